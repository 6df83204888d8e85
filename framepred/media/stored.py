"""Arrays in HDF5 files and zarr stores, which stay on disk and are read slice by slice."""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framepred.errors import MediaError
from framepred.media.formats import ZARR

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
