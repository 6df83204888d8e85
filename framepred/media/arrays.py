"""Arrays of frames in ``.npy``, ``.npz`` and HDF5 files and in zarr stores."""

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

from framepred.errors import ClipError, ConfigError, MediaError
from framepred.media.failures import reading
from framepred.media.formats import ARRAYS
from framepred.media.frames import FrameStream, on_black, replace_ignored
from framepred.media.limits import check_bytes, check_pixels
from framepred.media.ranges import RangeChoice, ValueRange
from framepred.media.stored import AXES, StoredArray, arranged, named_axes, open_stored
from framepred.media.values import chosen_range, to_frames

__all__ = ["ARRAY_NAMES", "AXES", "CHANNELS", "array_frames", "open_array", "read_array", "replace_frames", "to_frames"]

CHANNELS = (1, 3, 4)
"""Numbers of channels by which the layout of an array is found where nothing else is known."""

ARRAY_NAMES = ("frames", "clips")
"""Names of arrays that are preferred to others in the same file."""

_FEWEST_AXES = len("thw")

_HEADER_LOCK = Lock()
"""Held while NumPy parses a header: in Python 3.11 two threads that parse at once can fail on sound files.

NumPy calls ``ast.literal_eval``, which counts its depth in a variable that all threads share:
https://github.com/python/cpython/issues/106905.
"""


def open_array(
    path: Path, layout: str | None = None, channels: tuple[int, ...] = CHANNELS, name: str | None = None
) -> NDArray[Any] | StoredArray:
    """A view ``(n, t, c, h, w)`` of the array in a file; only ``.npz`` is read at once, the others stay on disk.

    Args:
        path: a ``.npy`` or ``.npz`` file, an HDF5 or NetCDF-4 file, or a zarr store.
        layout: the order of the file's axes, such as ``thwc``; None to find it by the shape.
        channels: numbers of channels that frames may have, by which the layout is found; with a stated layout frames
            may have any number.
        name: which array of the file; None where it holds one with axes enough for frames, or one that is named
            ``frames`` or ``clips``.

    Raises:
        MediaError: if the file cannot be read as an array, or is too large to be read at once.
        ClipError: if the array's shape is no clip's, or fits several layouts.
        ConfigError: if ``layout`` is no order of axes or does not fit, or ``name`` is wanted of a ``.npy`` file.
    """
    found = _load(path, name)
    shape = tuple(int(length) for length in found.shape)
    order = _checked_layout(path, shape, layout) if layout else _named_layout(path, found, channels)
    array = arranged(found, order) if isinstance(found, np.ndarray) else StoredArray(found, order, path)
    if 0 in array.shape:
        raise ClipError(f"{path} holds no frames: its shape is {_shown(array.shape)} as (n, t, c, h, w).")
    check_pixels(path, array.shape[-1], array.shape[-2])
    return array


def read_array(
    path: Path,
    last: int | None = None,
    layout: str | None = None,
    *,
    channels: tuple[int, ...] = CHANNELS,
    name: str | None = None,
    value_range: RangeChoice = None,
    transparency: bool = False,
    ignored: frozenset[int] = frozenset(),
) -> tuple[Shaped[Tensor, "n t c h w"], ValueRange | None]:
    """All clips of an array file, or only the last frames of each, and the values that became 0 and 1.

    Args:
        path: see :func:`open_array`.
        last: read at most this many frames at the end of each clip.
        layout: see :func:`open_array`.
        channels: see :func:`open_array`.
        name: see :func:`open_array`.
        value_range: the values that become 0 and 1; see :class:`ValueRange`.
        transparency: whether the last of four channels is the opacity of RGB, which is laid on black.
        ignored: numbers of frames whose values may be anything; see :func:`replace_frames`. Needs all frames.

    Raises:
        MediaError: if the file cannot be read, or takes too much memory.
        ClipError: if it holds no clips, or values of no known range.
    """
    array = open_array(path, layout, channels, name)
    first = 0 if last is None else max(0, array.shape[1] - last)
    kept = (array.shape[0], array.shape[1] - first, *array.shape[2:])
    check_bytes(path, math.prod(kept) * max(array.dtype.itemsize, 4 if value_range else 1))
    values = replace_frames(array[:, first:], ignored)
    chosen = chosen_range(value_range, lambda: [values])
    return _opaque(to_frames(values, path, chosen), transparency), chosen


def replace_frames(clips: Shaped[np.ndarray, "n t c h w"], ignored: frozenset[int]) -> Shaped[np.ndarray, "n t c h w"]:
    """The clips with the values of another frame in those that are to be ignored, if there is one."""
    return clips[:, replace_ignored(range(clips.shape[1]), ignored)] if ignored else clips


def array_frames(
    path: Path,
    layout: str | None = None,
    *,
    last: int | None = None,
    channels: tuple[int, ...] = CHANNELS,
    name: str | None = None,
    value_range: RangeChoice = None,
    transparency: bool = False,
) -> FrameStream:
    """The frames of an array file that holds one clip; for the arguments see :func:`read_array`.

    Raises:
        ClipError: if it holds several clips.
    """
    array = open_array(path, layout, channels, name)
    if len(array) != 1:
        raise ClipError(f"{path} holds {len(array)} clips but one is wanted here; save one clip to a file of its own.")
    count = array.shape[1]
    times = range(0 if last is None else max(0, count - last), count)
    chosen = chosen_range(value_range, lambda: (array[:, time : time + 1] for time in times))
    return FrameStream(_each(array, times, path, chosen, transparency), value_range=chosen)


def _each(
    array: NDArray[Any] | StoredArray, times: range, path: Path, value_range: ValueRange | None, transparency: bool
) -> Iterator[Tensor]:
    for time in times:
        yield _opaque(to_frames(array[:, time : time + 1], path, value_range), transparency)[0, 0]


def _opaque(frames: Shaped[Tensor, "n t _c h w"], transparency: bool) -> Shaped[Tensor, "n t c h w"]:
    """RGB laid on black by a fourth channel, if there is one and it is asked for."""
    if not transparency or frames.shape[2] != len("rgba"):
        return frames
    return torch.from_numpy(on_black(frames.numpy(), axis=2))


def _load(path: Path, name: str | None) -> Any:
    def choose(path: Path, shapes: dict[str, tuple[int, ...]]) -> str:
        return _chosen_name(path, shapes, name)

    if path.suffix.lower() not in ARRAYS:
        return open_stored(path, choose)
    with reading(path, "an array of numbers"), _HEADER_LOCK:
        if path.suffix.lower() == ".npy":
            if name is not None:
                raise ConfigError(f"{path} holds a single array without a name; leave the name {name} out.")
            return np.lib.format.open_memmap(path, mode="r")
        return _load_npz(path, choose)


def _load_npz(path: Path, choose: Any) -> NDArray[Any]:
    """One array of a ``.npz`` file; its size is checked before it is unpacked."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist() if member.filename.endswith(".npy")}
        shapes = {filename.removesuffix(".npy"): _npz_header(archive, filename)[0] for filename in members}
        filename = f"{choose(path, shapes)}.npy"
        shape, dtype = _npz_header(archive, filename)
        check_bytes(path, max(members[filename].file_size, math.prod(shape) * dtype.itemsize))
        with archive.open(filename) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _npz_header(archive: zipfile.ZipFile, filename: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(filename) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return shape, dtype


def _chosen_name(path: Path, shapes: dict[str, tuple[int, ...]], wanted: str | None) -> str:
    """Which array holds the frames: lists of dates and names lie beside it."""
    if wanted is not None:
        found = _named(wanted.strip("/"), shapes)
        if found is None:
            raise MediaError(f"{path} holds no array named {wanted}; its arrays are: {_described(shapes)}.")
        return found
    large = [name for name, shape in shapes.items() if len(shape) >= _FEWEST_AXES] or list(shapes)
    chosen = large if len(large) == 1 else [name for name in ARRAY_NAMES if name in large]
    if not chosen:
        found = _described({name: shapes[name] for name in large})
        raise MediaError(
            f"{path} must hold one array of frames, or one that is named frames or clips; name one of its arrays: "
            f"{found}."
        )
    return chosen[0]


def _named(wanted: str, shapes: dict[str, tuple[int, ...]]) -> str | None:
    """The array of this name, or the only one of this name in any group."""
    inside = [name for name in shapes if name.rpartition("/")[2] == wanted]
    return wanted if wanted in shapes else inside[0] if len(inside) == 1 else None


def _described(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {_shown(shape)}" for name, shape in shapes.items()) or "none"


def _checked_layout(path: Path, shape: tuple[int, ...], layout: str) -> str:
    if not set("thw") <= set(layout) <= set(AXES) or len(set(layout)) != len(layout):
        raise ConfigError(
            f"The layout {layout} is no order of axes; name t, h and w, and n and c if there, as in thwc."
        )
    if len(layout) != len(shape):
        raise ConfigError(
            f"The layout {layout} names {len(layout)} axes but {path} has {len(shape)}, {_shown(shape)}; name each."
        )
    return layout


def _named_layout(path: Path, found: Any, channels: tuple[int, ...]) -> str:
    """The layout by the names of the axes, if all are known, else by the shape."""
    axes = named_axes(found)
    letters = "".join(letter for _, letter in axes)
    lacking = set("thw") - set(letters)
    if letters.count("?") == len(lacking) == 1:  # then the unknown name is the axis that lacks
        letters = letters.replace("?", lacking.pop())
    if set("thw") <= set(letters) and "?" not in letters and len(set(letters)) == len(letters):
        return letters
    order = _found_layout(path, tuple(map(int, found.shape)), channels)
    if any(letter in letters and letters.index(letter) != order.index(letter) for letter in "thw"):
        names = ", ".join(name for name, _ in axes)
        raise ClipError(f"{path} names its axes {names}, so that their order is not certain; state the layout.")
    return order


def _found_layout(path: Path, shape: tuple[int, ...], channels: tuple[int, ...]) -> str:
    candidates = {3: ["thw"], 4: ["tchw", "thwc"], 5: ["ntchw", "nthwc"]}.get(len(shape), [])
    fitting = [order for order in candidates if "c" not in order or shape[order.index("c")] in channels]
    if not candidates:
        raise ClipError(
            f"{path} has {len(shape)} axes, {_shown(shape)}, but frames have 3 to 5: (t, h, w), (t, h, w, c), "
            "(t, c, h, w) or (n, t, c, h, w); reshape it."
        )
    if len(fitting) != 1:
        known = "several of them fit" if fitting else f"no axis of channels has the length {_either(channels)}"
        raise ClipError(
            f"{path} has the shape {_shown(shape)}, whose layout is not certain: {known}; state the layout, such as "
            f"{' or '.join([*candidates, 'nthw'][: len(shape) - 1])}."
        )
    return fitting[0]


def _either(counts: tuple[int, ...]) -> str:
    *others, last = map(str, counts)
    return f"{', '.join(others)} or {last}" if others else last


def _shown(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
