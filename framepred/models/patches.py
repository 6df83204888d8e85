"""Convert frames to the patches that a network reads, and a network's output back to frames."""

from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ClipError, ConfigError
from framepred.warping import pad_to_multiple

Folded = Float[Tensor, "bf cf hf wf"]


def to_input(frame: RawFrame, weight: Tensor) -> Frame:
    """Convert a frame ``(b, c, h, w)`` to floats in [0, 1] of the dtype of a network's weights."""
    return to_unit(frame).to(weight.dtype)


def check_frame(frame: Frame, state: State | None, channels: int, smallest: int = 1) -> None:
    """Refuse a frame that does not fit the network or the frame before it.

    Args:
        frame: ``(b, c, h, w)``.
        state: its first tensor is the previous frame; None at the start of a clip.
        channels: channels of the network; with 1, each channel of a frame is processed as a clip of its own.
        smallest: smallest height and width in pixels.

    Raises:
        ClipError: if the frame is too small, has other channels, or differs in shape from the previous frame.
    """
    if frame.ndim != 4:
        raise ClipError(f"A frame has the axes (b, c, h, w), not the shape {tuple(frame.shape)}; add the missing axes.")
    found, height, width = frame.shape[-3:]
    if channels not in (1, found):
        fitting = "1 channel" if found == 1 else f"1 or {found} channels"
        raise ClipError(
            f"These weights take frames of {channels} channels, and these frames have {found}; "
            f"convert the frames to {channels} channels, or use weights with {fitting}."
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
    """Reshape ``(b, c, h, w)`` to ``(b·c/channels, channels, h', w')`` and pad to multiples of ``cell`` pixels."""
    return pad_to_multiple(frame.reshape(-1, channels, *frame.shape[-2:]), cell)


def unfold(folded: Folded, like: Frame) -> Frame:
    """Undo :func:`fold`: crop and reshape to the shape of ``like``."""
    return folded[..., : like.shape[-2], : like.shape[-1]].reshape(like.shape)


def to_patches(frame: Frame, channels: int, stride: int) -> Folded:
    """Fold a frame and move each patch of ``stride`` x ``stride`` pixels into channels: ``(n, c·s², h/s, w/s)``."""
    return functional.pixel_unshuffle(fold(frame, channels, stride), stride)


def from_patches(patches: Folded, stride: int, like: Frame) -> Frame:
    """Undo :func:`to_patches` for a frame of the shape of ``like``."""
    return unfold(functional.pixel_shuffle(patches, stride), like)


Head: TypeAlias = Literal["pixels", "softmax"]
"""What the output of a network means.

``pixels``: pixel values, trained towards [0, 1]. ``softmax``: channels are classes and the output holds their
probabilities; train it with ``framepred.training.CrossEntropy``.
"""


def check_head(head: str, channels: int) -> None:
    """Refuse an unknown head, or a softmax over a single class.

    Raises:
        ConfigError: in either case.
    """
    if head not in ("pixels", "softmax"):
        raise ConfigError(f"The head of a network is pixels or softmax, not {head!r}.")
    if head == "softmax" and channels < 2:
        raise ConfigError(f"A softmax needs at least 2 classes: set channels to their number, not {channels}.")


def apply_head(output: Frame, head: Head) -> Frame:
    """Convert the output ``(b, c, h, w)`` of a network's last layer to a frame."""
    return torch.softmax(output, dim=1) if head == "softmax" else output
