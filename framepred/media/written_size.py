"""The size of the pictures that a file holds: clips in a grid, and sides that a format must make even."""

import math
from pathlib import Path

from framepred.media.formats import ARRAYS

GAP = 2
"""Pixels between the clips of a grid."""

EVEN_ONLY = (".mp4",)
"""Files whose sides are even: yuv420p has one colour for four pixels."""


def grid_cells(clips: int, height: int, width: int, columns: int | None = None) -> tuple[int, int]:
    """Rows and columns of the grid in which clips of one size are shown; near-square if ``columns`` is None.

    Example:
        >>> grid_cells(5, 10, 10)
        (2, 3)
    """
    columns = columns or min(clips, max(1, math.ceil(math.sqrt(clips * height / width))))
    return math.ceil(clips / columns), columns


def grid_size(clips: int, height: int, width: int, columns: int | None = None) -> tuple[int, int]:
    """Height and width of the grid of :func:`grid_cells`, in pixels."""
    rows, columns = grid_cells(clips, height, width, columns)
    return rows * (height + GAP) - GAP, columns * (width + GAP) - GAP


def even_size(height: int, width: int) -> tuple[int, int]:
    """Height and width with one more edge row or column where they are odd, in pixels."""
    return height + height % 2, width + width % 2


def describe_size(path: str | Path, height: int, width: int, clips: int = 1, versions: int = 1) -> str:
    """The size of frames in words, and that of the pictures in the file where it is another.

    Args:
        path: the file or folder that is written.
        height: of a frame, in pixels.
        width: of a frame, in pixels.
        clips: how many clips are shown in a grid, unless the file is an array.
        versions: how many versions of each clip are shown in a row, unless the file is an array.

    Example:
        >>> describe_size("a.npy", 33, 47), describe_size("a.mp4", 33, 47), describe_size("a.gif", 33, 47, clips=4)
        ('47x33', '47x33, padded to 48x34', '47x33 in a grid of 96x68')
    """
    suffix, size = Path(path).suffix.lower(), (height, width)
    words = _in_words(size)
    if clips * versions > 1 and suffix not in ARRAYS:
        size = grid_size(clips, *grid_size(versions, height, width, columns=versions))
        words += f" in a grid of {_in_words(size)}"
    if suffix in EVEN_ONLY and even_size(*size) != size:
        words += f", padded to {_in_words(even_size(*size))}"
    return words


def describe_frames(path: str | Path, shape: tuple[int, ...], fps: float) -> str:
    """Number, size and rate of written frames, in words.

    Args:
        path: the file or folder that is written.
        shape: ``(t, c, h, w)``, or ``(n, t, c, h, w)`` of several clips.
        fps: frames per second.

    Example:
        >>> describe_frames("a.mp4", (10, 1, 33, 47), 25)
        '10 frames of 47x33, padded to 48x34, at 25 a second'
    """
    *clips, count, _, height, width = shape
    size = describe_size(path, height, width, *clips)
    return f"{count} frames of {size}{',' * (',' in size)} at {fps:.3g} a second"


def _in_words(size: tuple[int, int]) -> str:
    height, width = size
    return f"{width}x{height}"
