"""From frames to the patches that a network reads, and from its output back to frames."""

from typing import Literal, TypeAlias

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from framepred.clips import Frame, State
from framepred.errors import ClipError, ConfigError

Folded = Float[Tensor, "bf cf hf wf"]


def check_frame(frame: Frame, state: State | None, channels: int, smallest: int = 1) -> None:
    """Refuse a frame that a network of so many channels cannot take in after that state.

    Args:
        frame: ``(b, c, h, w)``.
        state: whose first tensor is the frame before, or None at the start of a clip.
        channels: channels that the network knows; with 1, each channel of a frame runs as a clip of its own.
        smallest: fewest pixels that a side may have.

    Raises:
        ClipError: if the frame is smaller, has other channels, or differs in shape from the frame before.
    """
    depth, height, width = frame.shape[-3:]
    if channels not in (1, depth):
        raise ClipError(
            f"These weights predict frames of {channels} channels, and these frames have {depth}; "
            f"convert the frames, or use weights of 1 or {depth} channels."
        )
    if min(height, width) < smallest:
        raise ClipError(
            f"Frames must be at least {smallest} pixels high and wide for these weights, "
            f"not {height}x{width}; enlarge them."
        )
    if state is not None and state[0].shape != frame.shape:
        raise ClipError(
            f"This frame has the shape {tuple(frame.shape)} but the one before had {tuple(state[0].shape)}; "
            "start a new clip with state None."
        )


def fold(frame: Frame, channels: int, cell: int) -> Folded:
    """``(b, c, h, w)`` to ``(b·c/channels, channels, h', w')``, its border repeated up to whole cells."""
    height, width = frame.shape[-2:]
    frame = frame.reshape(-1, channels, height, width)
    edge = (0, -width % cell, 0, -height % cell)
    return functional.pad(frame, edge, mode="replicate") if any(edge) else frame


def unfold(folded: Folded, like: Frame) -> Frame:
    """Undo :func:`fold` for a frame of the shape of ``like``."""
    return folded[..., : like.shape[-2], : like.shape[-1]].reshape(like.shape)


def to_patches(frame: Frame, channels: int, stride: int) -> Folded:
    """:func:`fold` a frame and make each patch of ``stride`` x ``stride`` pixels one cell: ``(n, c·s², h/s, w/s)``."""
    return functional.pixel_unshuffle(fold(frame, channels, stride), stride)


def from_patches(patches: Folded, stride: int, like: Frame) -> Frame:
    """Undo :func:`to_patches` for a frame of the shape of ``like``."""
    return unfold(functional.pixel_shuffle(patches, stride), like)


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
