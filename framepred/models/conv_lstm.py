"""The convolutional LSTM: gates decide what a map of memory keeps, takes in and shows."""

import torch
from torch import Tensor, nn

from framepred.models.recurrent_cell import Map, Memory, RecurrentCell


class ConvLSTMCell(RecurrentCell):
    """One time step of a convolutional LSTM (Shi et al. 2015, arXiv:1506.04214, eq. 3).

    The gates are one convolution over input and hidden state together. What is taken in is added to the cell state,
    never multiplied into it, so a gradient passes through time as it is. On 1x1 maps this is the classic LSTM.

    Args:
        channels: channels c of the input map.
        width: channels d of the hidden and of the cell state.
        kernel: odd side of the convolution in cells of the map; padding keeps h and w.
        norm: normalise each gate over its channels and the map (Wu & He 2018, arXiv:1803.08494) before it opens.
        forget_gate: let a gate decide how much of the cell state is kept (Gers, Schmidhuber & Cummins 2000);
            without it all of it is, for ever (Hochreiter & Schmidhuber 1997).
        peephole: let the gates see the cell state, one weight a channel (Gers & Schmidhuber 2000; Shi's weights, a
            map of one frame size, would tie the cell to that size).
        forget_bias: bias of a new cell's forget gate; at 1 it remembers (Jozefowicz et al. 2015).

    Raises:
        ConfigError: if ``kernel`` is even or a size is less than 1.
    """

    parts = ("hidden", "cell")

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: int = 5,
        norm: bool = False,
        *,
        forget_gate: bool = True,
        peephole: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__(channels, width, kernel, forget_gate=forget_gate, peephole=peephole, forget_bias=forget_bias)
        gates = 4 if forget_gate else 3
        self.forget_gate = forget_gate
        self.gates = nn.Conv2d(channels + width, gates * width, kernel, padding=kernel // 2, bias=not norm)
        self.norm = nn.GroupNorm(gates, gates * width) if norm else nn.Identity()
        self.peephole = nn.Parameter(torch.zeros(gates - 1, width, 1, 1)) if peephole else None
        self._set_biases(forget_bias)

    @torch.no_grad()
    def _set_biases(self, forget_bias: float) -> None:
        bias = self.norm.bias if isinstance(self.norm, nn.GroupNorm) else self.gates.bias
        assert bias is not None
        bias.zero_()
        if self.forget_gate:
            bias.view(4, self.width)[1] = forget_bias

    def forward(self, frame: Map, state: tuple[Memory, ...]) -> tuple[Memory, ...]:
        """Advance hidden and cell state by one input map ``(b, c, h, w)``."""
        hidden, cell = state
        signals = self.norm(self.gates(torch.cat([frame, hidden], dim=1))).chunk(4 if self.forget_gate else 3, dim=1)
        write, *forget, read, value = signals
        kept = self._seeing(cell, forget[0], 1).sigmoid() * cell if forget else cell
        new = kept + self._seeing(cell, write, 0).sigmoid() * value.tanh()
        return self._seeing(new, read, -1).sigmoid() * new.tanh(), new

    def _seeing(self, cell: Tensor, gate: Tensor, place: int) -> Tensor:
        """A gate that sees the cell state, where there are peepholes."""
        return gate if self.peephole is None else gate + self.peephole[place] * cell
