"""The convolutional GRU: two gates and one state, which is memory and output at once."""

import torch
from torch import nn

from framepred.models.recurrent_cell import Map, Memory, RecurrentCell


class ConvGRUCell(RecurrentCell):
    """One time step of a convolutional GRU (Cho et al. 2014, arXiv:1406.1078; Ballas et al. 2016, arXiv:1511.06432).

    The new state is a mean of the old one and of a new value, weighted by the update gate, so that memory is kept by
    addition as in an LSTM. The reset gate acts on what the convolution brings from the old state, not on the state
    itself: the variant of cuDNN and PyTorch, which needs one convolution less in a row. On 1x1 maps this is
    ``torch.nn.GRU``.

    Args:
        channels: channels c of the input map.
        width: channels d of the state.
        kernel: odd side of the convolutions in cells of the map; padding keeps h and w.
        norm: normalise each gate and the value over its channels and the map (Wu & He 2018, arXiv:1803.08494).
        update_bias: bias of a new cell's update gate; at 1 it remembers, as an LSTM does by its forget gate.

    Raises:
        ConfigError: if ``kernel`` is even or a size is less than 1.
    """

    parts = ("hidden",)

    def __init__(
        self, channels: int, width: int, kernel: int = 5, norm: bool = False, *, update_bias: float = 1.0
    ) -> None:
        super().__init__(channels, width, kernel, update_bias=update_bias)
        self.inputs = nn.Conv2d(channels, 3 * width, kernel, padding=kernel // 2, bias=not norm)
        self.memory = nn.Conv2d(width, 3 * width, kernel, padding=kernel // 2, bias=not norm)
        self.norm_gates = nn.GroupNorm(2, 2 * width) if norm else nn.Identity()
        self.norm_value = nn.GroupNorm(1, width) if norm else nn.Identity()
        self._set_biases(update_bias)

    @torch.no_grad()
    def _set_biases(self, update_bias: float) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
        bias = self.norm_gates.bias if isinstance(self.norm_gates, nn.GroupNorm) else self.inputs.bias
        assert bias is not None
        bias[self.width : 2 * self.width] = update_bias

    def forward(self, frame: Map, state: tuple[Memory, ...]) -> tuple[Memory, ...]:
        """Advance the hidden state by one input map ``(b, c, h, w)``."""
        (hidden,) = state
        sizes = [2 * self.width, self.width]
        gates, value = self.inputs(frame).split(sizes, dim=1)
        gates_of_memory, value_of_memory = self.memory(hidden).split(sizes, dim=1)
        reset, update = self.norm_gates(gates + gates_of_memory).sigmoid().chunk(2, dim=1)
        value = self.norm_value(value + reset * value_of_memory).tanh()
        return (update * hidden + (1 - update) * value,)
