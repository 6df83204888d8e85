"""Write clips to a file, whose suffix selects the format, or to a folder of PNG frames, if the path has no suffix."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.clips import white_of
from framepred.errors import ClipError
from framepred.media.atomic import atomic_write
from framepred.media.encoding import VideoWriter, check_picture, checked_fps
from framepred.media.formats import ARRAYS
from framepred.media.frames import DEFAULT_FPS, as_tensor, to_8_bits
from framepred.media.images import encode_png
from framepred.media.outputs import check_output, mark_frame
from framepred.media.written_size import GAP, grid_cells, grid_size

Convert: TypeAlias = Callable[[Tensor], Tensor]


def tile_clips(clips: Shaped[Tensor, "n t c h w"], columns: int | None = None) -> Shaped[Tensor, "t c H W"]:
    """Arrange clips in a grid, row by row, with thin gray lines between them; unused cells are black.

    Args:
        clips: the clips.
        columns: clips in a row; None for a near-square grid.
    """
    count, time, channels, height, width = clips.shape
    rows, columns = grid_cells(count, height, width, columns)
    size = (time, channels, *grid_size(count, height, width, columns))
    gray = 0.5 if clips.is_floating_point() else white_of(clips.dtype) // 2
    grid = torch.full(size, gray, dtype=clips.dtype)
    for cell in range(rows * columns):
        top, left = cell // columns * (height + GAP), cell % columns * (width + GAP)
        grid[..., top : top + height, left : left + width] = clips[cell] if cell < count else 0
    return grid


OVERSHOOT = 0.5
"""How far floats to write as pictures may leave [0, 1]."""


def write_video(
    path: str | Path,
    frames: Shaped[Tensor | np.ndarray, "..."],
    fps: float | int = DEFAULT_FPS,
    *,
    times: Sequence[float] | None = None,
    last_duration: float | None = None,
    to_file: Convert | None = None,
) -> None:
    """Write one clip ``(t, c, h, w)`` or several ``(n, t, c, h, w)``, replacing what was there.

    ``.npy`` and ``.npz`` (under the name ``frames``) keep shape, type and values, with any number of channels.
    ``.mp4``, ``.gif`` and, where the path has no suffix, a folder of png frames hold gray or RGB and show several clips
    as a grid; png keeps 8 and 16 bits exactly.

    Args:
        path: where to write; missing folders are created.
        frames: a tensor or an array: uint8, uint16, or floats in [0, 1], which are clamped and rounded to 8 bits except
            in arrays.
        fps: frames per second, for ``.mp4`` and ``.gif``.
        times: when each frame is shown, in seconds, for ``.mp4`` and ``.gif``; one per frame, or None to follow
            ``fps``. A file begins with the first of them. A GIF shows each frame for at least 20 ms.
        last_duration: how long the last frame is shown, in seconds, where there are ``times``; None for ``1 / fps``.
        to_file: converts frames to the values of arrays and png files, such as the inverse of a scaling on reading.

    Raises:
        MediaError: if the suffix is unknown or the file cannot be written.
        ClipError: if the frames are neither a tensor nor an array, have not the shape of clips, a type without a known
            range, or fewer ``times`` than frames, or if floats lie far outside [0, 1].
        ConfigError: if ``fps`` is not a positive number, or too many for a GIF, or if a frame is shown for longer than
            a GIF can state.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "clip.npy"
        >>> write_video(path, torch.zeros(3, 2, 4, 4))
        >>> np.load(path).shape
        (3, 2, 4, 4)
    """
    path = check_output(path)
    checked_fps(fps)
    frames = as_tensor(frames)
    _check_clips(frames)
    if path.suffix.lower() in ARRAYS:
        _write_array(path, to_file(frames) if to_file else frames)
        return
    _check_scale(frames)
    check_picture(tuple(frames.shape[-3:]), path)
    clip = tile_clips(frames) if frames.ndim == 5 else frames
    write_frames(path, clip, fps, times=times, last_duration=last_duration, to_file=to_file)


def write_frames(
    path: str | Path,
    frames: Iterable[Shaped[Tensor | np.ndarray, "c h w"]],
    fps: float | int = DEFAULT_FPS,
    *,
    times: Iterable[float] | None = None,
    last_duration: float | None = None,
    to_file: Convert | None = None,
) -> None:
    """Write gray or RGB frames as they are produced, to ``.mp4``, ``.gif`` or a folder of png files.

    Memory holds one frame at a time. See ``write_video`` for the arguments.

    Raises:
        MediaError: if the suffix is unknown or the file cannot be written.
        ClipError: if there is no frame, if frames differ in shape, are neither gray nor RGB or have a type without a
            known range, or if there are fewer ``times`` than frames.
        ConfigError: if ``fps`` is not a positive number, or too many for a GIF, or if a frame is shown for longer than
            a GIF can state.
    """
    path = check_output(path)
    tensors = map(as_tensor, frames)
    if not path.suffix:
        _write_folder(path, map(to_file, tensors) if to_file else tensors)
        return
    with VideoWriter(path, fps, last_duration=last_duration) as writer:
        for frame, time in _timed(tensors, times):
            writer.write(frame, time)


def _timed(
    frames: Iterable[Shaped[Tensor, "c h w"]], times: Iterable[float] | None
) -> Iterator[tuple[Tensor, float | None]]:
    """Yield each frame with its time, or with None where there are no times."""
    if times is None:
        yield from zip(frames, repeat(None))
        return
    remaining, start, before = iter(times), math.nan, -math.inf
    for number, frame in enumerate(frames):
        time = next(remaining, None)
        if time is None:
            raise ClipError(f"There are times for {number} frames only; give one time per frame.")
        if not before < time < math.inf:
            raise ClipError(f"The times of frames increase, but that of frame {number} is {time:g}; correct times.")
        start = start if number else time
        yield frame, time - start
        before = time


def _check_clips(frames: Tensor) -> None:
    shape = tuple(frames.shape)
    if len(shape) not in (4, 5):
        raise ClipError(f"Frames to write have the shape (t, c, h, w) or (n, t, c, h, w), not {shape}.")
    if 0 in shape:
        raise ClipError(f"There is no frame to write in the shape {shape}; give at least one.")


def _check_scale(frames: Tensor) -> None:
    """Refuse floats of another scale, such as 0 to 255; those that a network predicts may leave [0, 1] a little."""
    if not frames.is_floating_point():
        return
    low, high = (value.item() for value in frames.detach().aminmax())
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise ClipError(f"Floats to write lie in [0, 1], and these lie in [{low:g}, {high:g}]; scale or clamp them.")


def _write_array(path: Path, frames: Tensor) -> None:
    frames = frames.detach().cpu()
    array = (frames.float() if frames.dtype == torch.bfloat16 else frames).numpy()
    with atomic_write(path) as draft, draft.open("wb") as file:
        if path.suffix.lower() == ".npy":
            np.save(file, array)
        else:
            np.savez_compressed(file, frames=array)


def _write_folder(path: Path, frames: Iterable[Shaped[Tensor, "c h w"]]) -> None:
    count, first = 0, None
    with atomic_write(path) as draft:
        draft.mkdir()
        for count, frame in enumerate(frames, start=1):
            check_picture(tuple(frame.shape), path)
            first = first or tuple(frame.shape)
            if tuple(frame.shape) != first:
                raise ClipError(f"All frames of {path} must have one shape but {tuple(frame.shape)} follows {first}.")
            exact = frame if frame.dtype == torch.uint16 else to_8_bits(frame)
            (draft / f"{count - 1:04d}.png").write_bytes(mark_frame(encode_png(exact)))
        if not count:
            raise ClipError(f"{path} was not written because there is no frame to write; give at least one.")
