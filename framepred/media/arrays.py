"""Arrays of frames in ``.npy``, ``.npz`` and HDF5 files and in zarr stores."""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

from framepred.errors import ClipError, ConfigError, MediaError
from framepred.media.formats import ARRAYS, ZARR
from framepred.media.frames import FrameStream, on_black

AXES = "ntchw"


def arranged(array: NDArray[Any], order: str) -> NDArray[Any]:
    """A view ``(n, t, c, h, w)`` of an array whose axes are in ``order``; missing ones have the length 1."""
    array = array.transpose([order.index(axis) for axis in AXES if axis in order])
    return np.expand_dims(array, [place for place, axis in enumerate(AXES) if axis not in order])


class StoredArray:
    """An array on disk, seen as ``(n, t, c, h, w)``; indexing with slices reads that part alone.

    Args:
        source: an HDF5 data set or zarr array.
        order: the order of its axes.
    """

    def __init__(self, source: Any, order: str) -> None:
        self._source = source
        self._order = order
        self.dtype = np.dtype(source.dtype)
        lengths = dict(zip(order, source.shape, strict=True))
        self.shape = tuple(int(lengths.get(axis, 1)) for axis in AXES)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, wanted: slice | tuple[slice, ...]) -> NDArray[Any]:
        given = wanted if isinstance(wanted, tuple) else (wanted,)
        parts = dict(zip(AXES, given, strict=False))
        stored = [slice(*parts.get(axis, slice(None)).indices(self.shape[AXES.index(axis)])) for axis in self._order]
        view = arranged(np.asarray(self._source[tuple(stored)]), self._order)
        missing = [slice(None) if axis in self._order else parts.get(axis, slice(None)) for axis in AXES]
        return view[tuple(missing)]


def open_stored(path: Path, choose: Callable[[Path, list[str]], str]) -> Any:
    """The data set of an HDF5 file or the array of a zarr store.

    Args:
        path: the file or folder.
        choose: picks one of several arrays by their names.

    Raises:
        MediaError: if the library for it is missing or the file is damaged.
    """
    return _open_zarr(path, choose) if path.suffix.lower() == ZARR else _open_hdf5(path, choose)


def _open_hdf5(path: Path, choose: Callable[[Path, list[str]], str]) -> Any:
    file = _library("h5py", path).File(path, "r")
    return file[choose(path, _names((name, entry) for name, entry in file.items() if hasattr(entry, "dtype")))]


def _open_zarr(path: Path, choose: Callable[[Path, list[str]], str]) -> Any:
    store = _library("zarr", path).open(path, mode="r")
    return store if hasattr(store, "dtype") else store[choose(path, _names(sorted(store.arrays())))]


def _names(arrays: Iterable[tuple[str, Any]]) -> list[str]:
    """The arrays with axes enough for frames, beside which there may be lists of dates or names; or else all."""
    axes = {name: len(array.shape) for name, array in arrays}
    return [name for name, count in axes.items() if count >= len("thw")] or list(axes)


def _library(name: str, path: Path) -> ModuleType:
    try:
        return __import__(name)
    except ImportError as error:
        raise MediaError(
            f"{path} is read by {name}, which is not installed; pip install 'framepred[{name}]'."
        ) from error


CHANNELS = (1, 3, 4)
ARRAY_NAMES = ("frames", "clips")


def open_array(
    path: Path, layout: str | None = None, channels: tuple[int, ...] = CHANNELS
) -> NDArray[Any] | StoredArray:
    """A view ``(n, t, c, h, w)`` of the array in a file; only ``.npz`` is read at once, the others stay on disk.

    Args:
        path: a ``.npy`` file, or a ``.npz`` file, HDF5 file or zarr store with one array or one named ``frames`` or
            ``clips``.
        layout: the order of the file's axes, such as ``thwc``; None where the shape tells.
        channels: how many channels the frames may have.

    Raises:
        MediaError: if the file cannot be read as an array.
        ClipError: if the array's shape is no clip's, or could be read in several ways.
        ConfigError: if ``layout`` is no order of axes or does not fit.
    """
    found = _load(path)
    order = _checked_layout(path, found, layout) if layout else _guessed_layout(path, found.shape, channels)
    array = arranged(found, order) if isinstance(found, np.ndarray) else StoredArray(found, order)
    if 0 in array.shape:
        raise ClipError(f"{path} holds no frames: its shape is {_shape(array)} as (n, t, c, h, w).")
    if array.shape[2] not in channels:
        raise ClipError(
            f"{path} has {array.shape[2]} channels as {order} but a frame has {_either(channels)}; "
            "pass --layout, such as nthw."
        )
    return array


def to_frames(array: NDArray[Any], path: Path, transparency: bool = True) -> Shaped[Tensor, "n t c h w"]:
    """Copy frames out of a view ``(n, t, c, h, w)``: uint8, uint16, or float32 in [0, 1].

    Args:
        array: the view.
        path: where it comes from.
        transparency: whether the last of four channels is transparency: RGBA is laid on black.

    Raises:
        ClipError: if the type has no known range, or floats are outside [0, 1] or not finite.
    """
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * 255
    elif array.dtype.kind == "f":
        array = _checked_floats(array, path)
    elif array.dtype not in (np.uint8, np.uint16):
        raise ClipError(f"{path} holds {array.dtype} values; save them as uint8, uint16 or floats in [0, 1].")
    if transparency and array.shape[2] == 4:
        array = on_black(array, axis=2)
    return torch.from_numpy(np.array(array, order="C"))


def read_array(path: Path, last: int | None = None, layout: str | None = None) -> Shaped[Tensor, "n t c h w"]:
    """All clips of an array file, or only the last frames of each."""
    array = open_array(path, layout)
    return to_frames(array[:] if last is None else array[:, -last:], path)


def array_frames(path: Path, layout: str | None = None) -> FrameStream:
    """The frames of an array file that holds one clip.

    Raises:
        ClipError: if it holds several clips.
    """
    array = open_array(path, layout)
    if len(array) != 1:
        raise ClipError(f"{path} holds {len(array)} clips but one is wanted here; save one clip to a file of its own.")
    return FrameStream(_each(array, path))


def _each(array: NDArray[Any] | StoredArray, path: Path) -> Iterator[Tensor]:
    for time in range(array.shape[1]):
        yield to_frames(array[:, time : time + 1], path)[0, 0]


def _load(path: Path) -> Any:
    try:
        if path.suffix.lower() not in ARRAYS:
            return open_stored(path, _array_name)
        if path.suffix.lower() == ".npy":
            return np.lib.format.open_memmap(path, mode="r")
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
            return np.asarray(arrays[_array_name(path, arrays.files)])
    except (OSError, ValueError, KeyError, EOFError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:
        raise MediaError(
            f"{path} is not an array of numbers: it is damaged or holds Python objects; save it anew with NumPy."
        ) from error


def _array_name(path: Path, names: list[str]) -> str:
    chosen = names if len(names) == 1 else [name for name in ARRAY_NAMES if name in names]
    if not chosen:
        found = ", ".join(names) or "none"
        raise MediaError(f"{path} must hold one array, or one named frames or clips, but its arrays are: {found}.")
    return chosen[0]


def _checked_layout(path: Path, array: Any, layout: str) -> str:
    if not set("thw") <= set(layout) <= set(AXES) or len(set(layout)) != len(layout):
        raise ConfigError(
            f"The layout {layout} is no order of axes; name t, h and w, and n and c if there, as in thwc."
        )
    if len(layout) != array.ndim:
        raise ConfigError(
            f"The layout {layout} names {len(layout)} axes but {path} has {array.ndim}, {_shape(array)}; name each."
        )
    return layout


def _guessed_layout(path: Path, shape: tuple[int, ...], channels: tuple[int, ...]) -> str:
    candidates = {3: ["thw"], 4: ["tchw", "thwc"], 5: ["ntchw", "nthwc"]}.get(len(shape), [])
    fitting = [order for order in candidates if "c" not in order or shape[order.index("c")] in channels]
    if not candidates:
        raise ClipError(
            f"{path} has {len(shape)} axes, {shape}, but frames have 3 to 5: (t, h, w), (t, h, w, c), (t, c, h, w) "
            "or (n, t, c, h, w); reshape it."
        )
    if len(fitting) != 1:
        raise ClipError(
            f"{path} has the shape {shape}, which could be read in several ways; "
            f"pass --layout, such as {' or '.join([*candidates, 'nthw'][: len(shape) - 1])}."
        )
    return fitting[0]


def _checked_floats(array: NDArray[Any], path: Path) -> NDArray[np.float32]:
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise ClipError(f"{path} holds values that are not finite (NaN or infinite); fill them before predicting.")
    if low < 0 or high > 1:
        raise ClipError(
            f"{path} holds floats from {low:.4g} to {high:.4g} but they must lie in [0, 1]; scale them or save uint8."
        )
    return np.asarray(array, dtype=np.float32)


def _either(counts: tuple[int, ...]) -> str:
    *others, last = map(str, counts)
    return f"{', '.join(others)} or {last}" if others else last


def _shape(array: Any) -> str:
    return f"({', '.join(map(str, array.shape))})"
