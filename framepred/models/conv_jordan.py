"""The recurrent network of Jordan: the output of the step before comes back."""

import torch
from torch import nn

from framepred.models.recurrent_cell import Map, Memory, RecurrentCell


class ConvJordanCell(RecurrentCell):
    """One time step of a convolutional Jordan network (Jordan 1986, "Serial order").

    A hidden layer reads the input and the cell's own *output* of one step before, which an output layer makes of the
    hidden layer. What the output does not show is forgotten at once: beside an Elman cell there is one squashing more
    in every step of memory.

    Args:
        channels: channels c of the input map.
        width: channels d of the hidden layer and of the output.
        kernel: odd side of the hidden layer's convolution in cells of the map; padding keeps h and w. The output
            layer sees one cell.
        norm: normalise the hidden layer over the channels and the map (Wu & He 2018, arXiv:1803.08494) before its tanh.

    Raises:
        ConfigError: if ``kernel`` is even or a size is less than 1.
    """

    parts = ("output",)

    def __init__(self, channels: int, width: int, kernel: int = 5, norm: bool = False) -> None:
        super().__init__(channels, width, kernel)
        self.hidden = nn.Conv2d(channels + width, width, kernel, padding=kernel // 2, bias=not norm)
        self.norm = nn.GroupNorm(1, width) if norm else nn.Identity()
        self.output = nn.Conv2d(width, width, 1)

    def forward(self, frame: Map, state: tuple[Memory, ...]) -> tuple[Memory, ...]:
        """Advance the output by one input map ``(b, c, h, w)``."""
        (output,) = state
        hidden = self.norm(self.hidden(torch.cat([frame, output], dim=1))).tanh()
        return (self.output(hidden).tanh(),)
