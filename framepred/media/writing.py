"""Write a clip, or several, to a file or folder that its suffix names."""

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.clips import WHITE
from framepred.errors import ClipError
from framepred.media.atomic import atomic_write
from framepred.media.encoding import VideoWriter, checked_fps
from framepred.media.formats import ARRAYS
from framepred.media.frames import DEFAULT_FPS, to_8_bits
from framepred.media.images import encode_png
from framepred.media.outputs import check_output

GAP = 2  # pixels between clips


def tile_clips(clips: Shaped[Tensor, "n t c h w"]) -> Shaped[Tensor, "t c H W"]:
    """Lay clips out in a near-square grid, row by row, with thin gray lines between them; unused cells are black."""
    count, time, channels, height, width = clips.shape
    columns = min(count, max(1, math.ceil(math.sqrt(count * height / width))))
    rows = math.ceil(count / columns)
    size = (time, channels, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP)
    white = 1.0 if clips.is_floating_point() else WHITE[clips.dtype]
    grid = torch.full(size, white / 2 if clips.is_floating_point() else white // 2, dtype=clips.dtype)
    for cell in range(rows * columns):
        top, left = cell // columns * (height + GAP), cell % columns * (width + GAP)
        grid[..., top : top + height, left : left + width] = clips[cell] if cell < count else 0
    return grid


def write_video(path: str | Path, frames: Shaped[Tensor, "..."], fps: float | int = DEFAULT_FPS) -> None:
    """Write one clip ``(t, c, h, w)`` or several ``(n, t, c, h, w)``, RGB or gray, replacing what was there.

    ``.npy`` and ``.npz`` (under the name ``frames``) keep shape, type and values. ``.mp4``, ``.gif`` and, where the
    path has no suffix, a folder of png frames show several clips as a grid; png keeps 8 and 16 bits exactly.

    Args:
        path: where to write; missing folders are made.
        frames: uint8, uint16, or floats in [0, 1], which are rounded to 8 bits except in arrays.
        fps: frames a second, for ``.mp4`` and ``.gif``.

    Raises:
        MediaError: if the suffix is unknown or the file cannot be written.
        ClipError: if the frames have no clip's shape or no known range.
        ConfigError: if ``fps`` is not a positive number, or too many for a GIF.
    """
    path = check_output(path)
    checked_fps(fps)
    _check_clips(frames)
    if path.suffix.lower() in ARRAYS:
        _write_array(path, frames)
        return
    clip = tile_clips(frames) if frames.ndim == 5 else frames
    if not path.suffix:
        _write_folder(path, clip)
        return
    with VideoWriter(path, fps) as writer:
        for frame in clip:
            writer.write(frame)


def _check_clips(frames: Tensor) -> None:
    shape = tuple(frames.shape)
    if len(shape) not in (4, 5) or shape[-3] not in (1, 3):
        raise ClipError(f"Frames to write have the shape (t, c, h, w) or (n, t, c, h, w) with c 1 or 3, not {shape}.")
    if 0 in shape:
        raise ClipError(f"There is no frame to write in the shape {shape}; give at least one.")


def _write_array(path: Path, frames: Tensor) -> None:
    frames = frames.detach().cpu()
    array = (frames.float() if frames.dtype == torch.bfloat16 else frames).numpy()
    with atomic_write(path) as draft, draft.open("wb") as file:  # a file, because to a name NumPy may add a suffix
        if path.suffix.lower() == ".npy":
            np.save(file, array)
        else:
            np.savez_compressed(file, frames=array)


def _write_folder(path: Path, clip: Shaped[Tensor, "t c h w"]) -> None:
    with atomic_write(path) as draft:
        draft.mkdir()
        for number, frame in enumerate(clip):
            exact = frame if frame.dtype == torch.uint16 else to_8_bits(frame)
            (draft / f"{number:04d}.png").write_bytes(encode_png(exact))
