"""The convolutional LSTM: gates decide what a map of memory keeps, takes in and shows."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from framepred.errors import ConfigError

Map = Float[Tensor, "b c h w"]
Memory = Float[Tensor, "b d h w"]


class ConvLSTMCell(nn.Module):
    """One time step of a convolutional LSTM (Shi et al. 2015, arXiv:1506.04214, eq. 3).

    The four gates are one convolution over input and hidden state together. The forget gate's bias starts
    at 1 (Gers et al. 2000; Jozefowicz et al. 2015), so that a new cell remembers. On 1x1 maps this is the
    classic LSTM.

    Args:
        channels: channels c of the input map.
        width: channels d of the hidden and of the cell state.
        kernel: odd side of the convolution in cells of the map; padding keeps h and w.
        peephole: let the gates see the cell state, one weight a channel (Shi's weights, a map of one frame
            size, would tie the cell to that size).
        norm: normalise each gate over its channels and the map (Wu & He 2018, arXiv:1803.08494) before it opens.

    Raises:
        ConfigError: if ``kernel`` is even or an argument is less than 1.
    """

    def __init__(
        self, channels: int, width: int, kernel: int = 5, *, peephole: bool = False, norm: bool = False
    ) -> None:
        super().__init__()
        if kernel % 2 == 0 or min(channels, width, kernel) < 1:
            raise ConfigError(
                f"A ConvLSTM cell needs channels and width of at least 1 and an odd kernel, "
                f"not channels {channels}, width {width}, kernel {kernel}."
            )
        self.width = width
        self.gates = nn.Conv2d(channels + width, 4 * width, kernel, padding=kernel // 2, bias=not norm)
        self.norm = nn.GroupNorm(4, 4 * width) if norm else nn.Identity()
        self.peephole = nn.Parameter(torch.zeros(3, width, 1, 1)) if peephole else None
        self._open_forget_gate()

    @torch.no_grad()
    def _open_forget_gate(self) -> None:
        bias = self.norm.bias if isinstance(self.norm, nn.GroupNorm) else self.gates.bias
        assert bias is not None
        bias.zero_()
        bias.view(4, self.width)[1] = 1.0

    def start(self, frame: Map) -> tuple[Memory, Memory]:
        """Hidden and cell state before the first frame: zeros, ``(b, d, h, w)``."""
        zeros = frame.new_zeros(frame.shape[0], self.width, *frame.shape[-2:])
        return zeros, zeros

    def forward(self, frame: Map, state: tuple[Memory, Memory]) -> tuple[Memory, Memory]:
        """Advance hidden and cell state by one input map ``(b, c, h, w)``."""
        hidden, cell = state
        write, forget, read, value = self.norm(self.gates(torch.cat([frame, hidden], dim=1))).chunk(4, dim=1)
        if self.peephole is not None:
            write = write + self.peephole[0] * cell
            forget = forget + self.peephole[1] * cell
        cell = forget.sigmoid() * cell + write.sigmoid() * value.tanh()
        if self.peephole is not None:
            read = read + self.peephole[2] * cell
        return read.sigmoid() * cell.tanh(), cell
