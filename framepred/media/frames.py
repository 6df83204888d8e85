"""Streams of frames, and the conversion of frames for display."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from framepred.clips import to_uint8, to_unit
from framepred.errors import ClipError
from framepred.media.pixels import DEFAULT_FPS as DEFAULT_FPS
from framepred.media.pixels import on_black as on_black
from framepred.media.ranges import ValueRange

T = TypeVar("T")


def replace_ignored(frames: Sequence[T], ignored: Collection[int]) -> list[T]:
    """The frames, with the first other one in place of each whose number is to be ignored, if there is another.

    Example:
        >>> replace_ignored("abcd", {0, 3})
        ['b', 'b', 'c', 'b']
    """
    other = next((frame for number, frame in enumerate(frames) if number not in ignored), None)
    return [frame if other is None or number not in ignored else other for number, frame in enumerate(frames)]


@dataclass(frozen=True)
class FrameStream:
    """Frames that are decoded as they are asked for, so that memory does not grow.

    Attributes:
        frames: the frames in order, each ``(c, h, w)``, all of one shape and type.
        fps: mean number of frames per second; ``DEFAULT_FPS`` where the source states none.
        steady: whether all frames last equally long; if not, ``fps`` is only their mean.
        gray_within: levels by which the channels of a gray source may differ, where the source does not state whether
            it is gray; None where the number of channels is stated.
        endless: whether frames arrive in real time, as from a camera, and are lost when nobody takes them for long.
        notes: one sentence for each property of the source that a viewer should know.
        value_range: the values that were scaled to [0, 1]; None where the type states the range.
        times: seconds of each frame after the first, to be read after the frame; None where they follow from ``fps``.
            Of an endless source: its time stamps, which may repeat and jump; None for none.
    """

    frames: Iterator[Tensor]
    fps: float = DEFAULT_FPS
    steady: bool = True
    gray_within: int | None = None
    endless: bool = False
    notes: tuple[str, ...] = ()
    value_range: ValueRange | None = None
    times: Iterator[float] | None = None


def as_frame(pixels: UInt8[np.ndarray, "h w c"]) -> UInt8[Tensor, "c h w"]:
    """A decoded picture as a frame; both share their memory."""
    return torch.from_numpy(pixels).permute(2, 0, 1)


def as_tensor(frames: Shaped[Tensor | np.ndarray, "..."]) -> Shaped[Tensor, "..."]:
    """Frames in memory as a tensor of the same values; masked values of an array are NaN.

    Raises:
        ClipError: if they are neither a tensor nor an array of numbers.

    Example:
        >>> as_tensor(np.zeros((2, 1, 4, 4), np.uint8)).shape
        torch.Size([2, 1, 4, 4])
    """
    if isinstance(frames, Tensor):
        return frames
    if not isinstance(frames, np.ndarray) or frames.dtype.kind not in "biuf":
        found = f"an array of {frames.dtype}" if isinstance(frames, np.ndarray) else f"a {type(frames).__name__}"
        raise ClipError(
            f"Frames in memory are a PyTorch tensor or a NumPy array of numbers, not {found}; stack single frames by "
            "numpy.stack."
        )
    frames = with_nan(frames)
    wide = np.float64 if frames.dtype.kind == "f" and frames.itemsize > 8 else frames.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(frames, dtype=wide, order="C"))


def with_nan(array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """An array with NaN for masked values, as floats; one without any keeps its type.

    Example:
        >>> with_nan(np.ma.masked_equal(np.array([7, 9], np.uint8), 9))
        array([ 7., nan])
        >>> with_nan(np.ma.masked_equal(np.array([7, 9], np.uint8), 8))
        array([7, 9], dtype=uint8)
    """
    if not isinstance(array, np.ma.MaskedArray):
        return array
    return np.asarray(np.ma.filled(array.astype(np.float64), np.nan) if np.any(array.mask) else array.data)


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
