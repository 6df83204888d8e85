"""What the values of a drawn frame mean: brightness of pixels, or probabilities of classes."""

from typing import Literal, TypeAlias

from framepred.clips import Frame
from framepred.errors import ConfigError

Head: TypeAlias = Literal["pixels", "softmax"]
"""``pixels``: any value, meant to lie in [0, 1]. ``softmax``: the channels of a place are classes, and the frame holds
their probabilities; trained with ``framepred.training.CrossEntropy``."""


def check_head(head: str, channels: int) -> None:
    """Refuse a head that there is not, or classes where there is one alone.

    Raises:
        ConfigError: in either case.
    """
    if head not in ("pixels", "softmax"):
        raise ConfigError(f"The head of a network is pixels or softmax, not {head!r}.")
    if head == "softmax" and channels < 2:
        raise ConfigError(f"A softmax needs at least 2 classes: set channels to their number, not {channels}.")


def shown(drawn: Frame, head: Head) -> Frame:
    """The frame ``(b, c, h, w)`` that a network's last layer stands for."""
    return drawn.softmax(dim=1) if head == "softmax" else drawn
