"""HDF5 files (also NetCDF-4), NetCDF-3 files and zarr stores; nothing in them reaches other files or runs code."""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framepred.errors import MediaError
from framepred.media.failures import reading
from framepred.media.formats import ZARR
from framepred.media.limits import check_bytes
from framepred.media.packing import XARRAY_NAMES, packing_of, stored_type, unpacked

AXES = "ntchw"
"""The axes of clips in memory: clip, time, channel, height, width."""

_NETCDF3 = b"CDF"  # the first bytes of a file; NetCDF-4 is HDF5

_NETCDF4 = "_NCProperties"
"""Attribute that the library of NetCDF gives the files that it writes."""

_NEVER_FILLED = 1  # H5D_FILL_TIME_NEVER

_AXIS_NAMES = {
    "n": ("clip", "sample", "member", "ensemble", "realization"),
    "t": ("time", "t", "times", "valid_time", "datetime", "date", "day", "step", "frame", "frames"),
    "c": ("channel", "channels", "band", "bands"),
    "h": ("y", "lat", "latitude", "rlat", "row", "rows", "south_north", "height"),
    "w": ("x", "lon", "longitude", "rlon", "column", "columns", "west_east", "width"),
}
"""Names of the axes, by CF conventions and custom."""

Choose = Callable[[Path, dict[str, tuple[int, ...]]], str]
"""Picks one of several arrays by their names and shapes."""

_MAX_ARRAYS = 10_000  # named in one file; bounds the walk through a damaged one

# Codecs of zarr whose decoding only moves bytes. Others are refused: numcodecs' pickle codec runs code.
_SAFE_CODECS = frozenset(
    {
        "blosc", "zstd", "gzip", "zlib", "lz4", "lzma", "bz2", "shuffle", "delta", "fixedscaleoffset", "bitround",
        "quantize", "astype", "packbits", "crc32", "crc32c", "adler32", "fletcher32", "bytes", "endian", "transpose",
        "sharding_indexed",
    }
)  # fmt: skip


def arranged(array: NDArray[Any], order: str) -> NDArray[Any]:
    """A view ``(n, t, c, h, w)`` of an array whose axes are in ``order``; missing ones get the length 1."""
    array = array.transpose([order.index(axis) for axis in AXES if axis in order])
    return np.expand_dims(array, [position for position, axis in enumerate(AXES) if axis not in order])


class StoredArray:
    """An array on disk, viewed as ``(n, t, c, h, w)``; indexing with slices reads only that part.

    Packed values of NetCDF (``scale_factor``, ``add_offset``; CF conventions, 8.1) are unpacked to floats, with NaN for
    ``_FillValue`` and ``missing_value`` and outside ``valid_range`` (2.5.1). ``_Unsigned`` integers are unsigned.
    Without ``_FillValue``, values of NetCDF that nobody wrote are NaN, too: a part of an array of integers is floats
    where it holds such values, and otherwise integers. So nothing is read that is not wanted.

    Args:
        source: an HDF5 data set or a zarr array.
        order: the order of its axes.
        path: where it lies.

    Attributes:
        dtype: the type of the values where none is missing.
        shape: the lengths of the axes ``(n, t, c, h, w)``.
        mixes_types: whether integers are floats in parts in which some are missing.
    """

    def __init__(self, source: Any, order: str, path: Path) -> None:
        self._source = source
        self._order = order
        self._path = path
        with reading(path, "a file of arrays"):
            self._packing = packing_of(source, filled=_is_filled_netcdf(source))
        stored = stored_type(source)
        self.mixes_types = self._packing is not None and self._packing.keeps_integers
        self.dtype = stored if self._packing is None or self.mixes_types else self._packing.unpacked_type(stored)
        lengths = dict(zip(order, source.shape, strict=True))
        self.shape = tuple(int(lengths.get(axis, 1)) for axis in AXES)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, wanted: slice | tuple[slice, ...]) -> NDArray[Any]:
        given = wanted if isinstance(wanted, tuple) else (wanted,)
        parts = dict(zip(AXES, given, strict=False))
        stored = [slice(*parts.get(axis, slice(None)).indices(self.shape[AXES.index(axis)])) for axis in self._order]
        count = math.prod(len(range(part.start, part.stop, part.step)) for part in stored)
        check_bytes(self._path, count * np.dtype(self._source.dtype).itemsize)
        with reading(self._path, "a file of arrays"):
            values = np.asarray(self._source[tuple(stored)]).view(stored_type(self._source))
            values = values if self._packing is None else unpacked(values, self._packing)
        view = arranged(values, self._order)
        missing = [slice(None) if axis in self._order else parts.get(axis, slice(None)) for axis in AXES]
        return view[tuple(missing)]


def open_stored(path: Path, choose: Choose) -> Any:
    """The data set of an HDF5 or NetCDF file or the array of a zarr store.

    Args:
        path: the file or folder.
        choose: picks one of several arrays.

    Raises:
        MediaError: if the library for it is missing, the file is damaged, or it refers to something outside itself.
    """
    if path.suffix.lower() == ZARR:
        return _open_zarr(path, choose)
    return _open_netcdf3(path, choose) if _is_netcdf3(path) else _open_hdf5(path, choose)


def named_axes(source: Any) -> tuple[tuple[str, str], ...]:
    """The name of each axis of a data set and the letter of ``AXES`` that it means; empty where its file names none.

    The letter is ``?`` where the name is unknown. NetCDF names axes, and HDF5 and zarr may.
    """
    known = {name: letter for letter, names in _AXIS_NAMES.items() for name in names}
    return tuple((name, known.get(name.lower(), "?")) for name in _dimensions(source))


def _dimensions(source: Any) -> tuple[str, ...]:
    if isinstance(source, _MemoryArray):
        return source.dimensions
    if hasattr(source, "dims"):
        found = [axis.label or (axis[0].name.rsplit("/")[-1] if len(axis) else "") for axis in source.dims]
    else:
        stated = getattr(getattr(source, "metadata", None), "dimension_names", None)
        found = list(stated or getattr(source, "attrs", {}).get(XARRAY_NAMES) or ())
    return tuple(found) if all(isinstance(name, str) and name for name in found) else ()


@dataclass(frozen=True)
class _MemoryArray:
    """An array in memory with the attributes that its file gives it, and the names of its axes."""

    values: NDArray[Any]
    attrs: dict[str, Any]
    dimensions: tuple[str, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def __getitem__(self, wanted: tuple[slice, ...]) -> NDArray[Any]:
        return np.asarray(self.values[wanted])


def _is_netcdf3(path: Path) -> bool:
    with reading(path, "a file of arrays"), path.open("rb") as file:
        return file.read(len(_NETCDF3)) == _NETCDF3


def _open_netcdf3(path: Path, choose: Choose) -> _MemoryArray:
    """A variable of a NetCDF file of version 3 or before, which is read at once."""
    from scipy.io import netcdf_file

    check_bytes(path, path.stat().st_size)
    with reading(path, "a NetCDF file"), netcdf_file(path, "r", mmap=False, maskandscale=False) as file:
        found = {name: variable for name, variable in file.variables.items() if variable.shape}
        chosen = found[choose(path, {name: tuple(variable.shape) for name, variable in found.items()})]
        return _MemoryArray(np.asarray(chosen[:]), dict(chosen._attributes), tuple(chosen.dimensions))


def _open_hdf5(path: Path, choose: Choose) -> Any:
    h5py = _library("h5py", path)
    with reading(path, "an HDF5 file"):
        file = h5py.File(path, "r")
        found = dict(_data_sets(h5py, path, file))
        data = found[choose(path, {name: tuple(entry.shape) for name, entry in found.items()})]
        if data.external or data.is_virtual:
            raise _outside(path, f"the pixels of {data.name}")
        _check_chunk(path, data.chunks, data.dtype)
        return data


def _data_sets(h5py: ModuleType, path: Path, group: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The data sets with values in a group and the groups below it."""
    for count, name in enumerate(group):
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise _outside(path, f"{prefix}{name}")
        if isinstance(link, h5py.SoftLink) or count >= _MAX_ARRAYS:
            continue  # what it names is listed under its own name
        entry = group[name]
        if isinstance(entry, h5py.Dataset) and entry.shape is not None:
            yield prefix + name, entry
        elif isinstance(entry, h5py.Group) and depth < len(AXES):
            yield from _data_sets(h5py, path, entry, f"{prefix}{name}/", depth + 1)


def _open_zarr(path: Path, choose: Choose) -> Any:
    zarr = _library("zarr", path)
    with reading(path, "a zarr store"):
        _check_inside(path)
        store = zarr.open(path, mode="r")
        if not hasattr(store, "dtype"):
            found = dict(sorted(store.arrays()))
            store = found[choose(path, {name: tuple(array.shape) for name, array in found.items()})]
        for codec in _codecs(store.metadata.to_dict()):
            if codec.lower().removeprefix("numcodecs.") not in _SAFE_CODECS:
                raise MediaError(f"{path} is coded with {codec}, which is not allowed; save it with blosc or zstd.")
        _check_chunk(path, store.chunks, store.dtype)
        return store


def _codecs(metadata: Any) -> Iterator[str]:
    """The names of all codecs in the metadata of an array, also of those within shards."""
    for key, value in metadata.items() if isinstance(metadata, dict) else ():
        if key in ("codecs", "index_codecs", "filters", "compressor", "configuration"):
            entries = value if isinstance(value, (list, tuple)) else [value]
            for entry in entries:
                plain = entry.get_config() if hasattr(entry, "get_config") else entry
                plain = plain.to_dict() if hasattr(plain, "to_dict") else plain
                if isinstance(plain, dict):
                    name = plain.get("name", plain.get("id"))
                    yield from [str(name)] if name is not None else []
                    yield from _codecs(plain)


def _check_inside(store: Path) -> None:
    """Refuse links in a store that lead out of it."""
    root = store.resolve()
    for folder, folders, files in os.walk(store):
        for name in (*folders, *files):
            entry = Path(folder) / name
            if entry.is_symlink() and not entry.resolve().is_relative_to(root):
                raise _outside(store, str(entry.relative_to(store)))


def _check_chunk(path: Path, chunk: tuple[int, ...] | None, dtype: np.dtype[Any]) -> None:
    """Refuse chunks too large to be decoded."""
    check_bytes(path, math.prod(chunk or ()) * np.dtype(dtype).itemsize)


def _outside(path: Path, name: str) -> MediaError:
    return MediaError(f"{path} refers to another file for {name}; copy the values into the file itself.")


def _is_filled_netcdf(source: Any) -> bool:
    """Whether a data set is of a NetCDF file, and filled where nothing was written."""
    if not hasattr(source, "dims"):
        return isinstance(source, _MemoryArray)
    is_netcdf = _NETCDF4 in source.file.attrs or all(len(axis) for axis in source.dims)
    return is_netcdf and source.id.get_create_plist().get_fill_time() != _NEVER_FILLED


def _library(name: str, path: Path) -> ModuleType:
    try:
        return __import__(name)
    except ImportError as error:
        raise MediaError(
            f"{path} is read by {name}, which is not installed; pip install 'framepred[{name}]'."
        ) from error
