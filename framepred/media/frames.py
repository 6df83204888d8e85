"""Frames in order, one at a time, whatever they come from; and what every frame to be shown becomes."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from framepred.clips import to_uint8, to_unit
from framepred.errors import ClipError

DEFAULT_FPS = 10.0


@dataclass(frozen=True)
class FrameStream:
    """Frames that are decoded as they are asked for, so that memory does not grow.

    Attributes:
        frames: the frames in order, each ``(c, h, w)``, RGB or gray, all of one shape and type.
        fps: mean number of frames a second; ``DEFAULT_FPS`` where the source has none.
        steady: whether all frames last equally long; if not, ``fps`` is only their mean.
        gray_within: the source cannot say that it is gray; it is, when its channels never differ by more than this
            many levels. None where the number of channels is stated.
        endless: whether frames come on their own, as long as the source is there: a camera, a broadcast.
    """

    frames: Iterator[Tensor]
    fps: float = DEFAULT_FPS
    steady: bool = True
    gray_within: int | None = None
    endless: bool = False


def to_8_bits(frames: Shaped[Tensor, "..."]) -> UInt8[Tensor, "..."]:
    """Frames as uint8 on the CPU, from uint8, uint16 or floats in [0, 1]; floats outside are clamped.

    Raises:
        ClipError: if floats are not finite or the type has no known range.
    """
    frames = frames.detach().cpu()
    if frames.dtype == torch.uint8:
        return frames
    if frames.is_floating_point() and not bool(frames.isfinite().all()):
        raise ClipError("The frames hold values that are not finite (NaN or infinite); they cannot be shown.")
    return to_uint8(to_unit(frames))
