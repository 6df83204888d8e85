"""The simple recurrent network of Elman: the hidden layer of the step before comes back."""

import torch
from torch import nn

from framepred.models.recurrent_cell import Map, Memory, RecurrentCell


class ConvElmanCell(RecurrentCell):
    """One time step of a convolutional simple recurrent network (Elman 1990, "Finding structure in time").

    The hidden layer reads the input and itself as it was one step before. Its memory goes through weights and a tanh
    at every step, so it, and the gradient back through it, shrinks or grows as a power of the number of steps. On
    1x1 maps this is ``torch.nn.RNN``.

    Args:
        channels: channels c of the input map.
        width: channels d of the hidden state.
        kernel: odd side of the convolution in cells of the map; padding keeps h and w.
        norm: normalise over the channels and the map (Wu & He 2018, arXiv:1803.08494) before the tanh.

    Raises:
        ConfigError: if ``kernel`` is even or a size is less than 1.
    """

    parts = ("hidden",)

    def __init__(self, channels: int, width: int, kernel: int = 5, norm: bool = False) -> None:
        super().__init__(channels, width, kernel)
        self.hidden = nn.Conv2d(channels + width, width, kernel, padding=kernel // 2, bias=not norm)
        self.norm = nn.GroupNorm(1, width) if norm else nn.Identity()

    def forward(self, frame: Map, state: tuple[Memory, ...]) -> tuple[Memory, ...]:
        """Advance the hidden state by one input map ``(b, c, h, w)``."""
        (hidden,) = state
        return (self.norm(self.hidden(torch.cat([frame, hidden], dim=1))).tanh(),)
