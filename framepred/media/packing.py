"""Packed numbers of NetCDF: factor, offset, unsigned integers, and those that mean that nothing was measured."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SCALING = ("scale_factor", "add_offset")
_FILLERS = ("_FillValue", "missing_value")

_UNWRITTEN = {
    "i2": -32767, "i4": -2147483647, "i8": -9223372036854775806,
    "u2": 65535, "u4": 4294967295, "u8": 18446744073709551614,
    "f4": 9.969209968386869e36, "f8": 9.969209968386869e36,
}  # fmt: skip
"""What NetCDF reads where nothing was written (``NC_FILL_SHORT`` and so on in ``netcdf.h``), by type; of bytes it is a
value like any other."""

XARRAY_NAMES = "_ARRAY_DIMENSIONS"
"""Attribute in which xarray keeps the names of the axes in zarr 2."""


@dataclass(frozen=True)
class Packing:
    """How stored numbers become values.

    Attributes:
        scale: factor of the stored numbers.
        offset: what is added to them then.
        fillers: stored numbers that stand for missing values.
        lowest: stored numbers below are missing.
        highest: stored numbers above are missing.
        keeps_integers: whether integers stay integers where none of those that are read is missing.
    """

    scale: float = 1.0
    offset: float = 0.0
    fillers: tuple[float, ...] = ()
    lowest: float = -math.inf
    highest: float = math.inf
    keeps_integers: bool = False

    def unpacked_type(self, stored: np.dtype[Any]) -> np.dtype[Any]:
        """The type of values that may be missing: the smallest floats, from float32 on, that hold the stored ones."""
        return np.promote_types(stored, np.float32)


def packing_of(source: Any, *, filled: bool = False) -> Packing | None:
    """How the values of a data set are packed, by its attributes; None where they are stored as they are.

    No values are read: only those that are wanted later tell whether whole numbers of NetCDF are missing among them.
    Bytes of which one value means that nothing was measured stay bytes, so that pictures with such an attribute do.

    Args:
        source: the data set.
        filled: whether the library of NetCDF filled it where nothing was written.
    """
    dtype = stored_type(source)
    scaled = any(_numbers(source, name) for name in _SCALING)
    if dtype.kind not in "iuf" or (dtype == np.uint8 and not scaled):
        return None
    valid = _stored_numbers(source, "valid_range")
    low, high = valid if len(valid) == len(("low", "high")) else (-math.inf, math.inf)
    unwritten = _unwritten(source) if filled else ()
    stated = (*(number for name in _FILLERS for number in _stored_numbers(source, name)), *_xarray_filler(source))
    found = Packing(
        scale=_one(source, "scale_factor", 1.0),
        offset=_one(source, "add_offset", 0.0),
        fillers=(*stated, *unwritten),
        lowest=next(iter(_stored_numbers(source, "valid_min")), low),
        highest=next(iter(_stored_numbers(source, "valid_max")), high),
    )
    if found == Packing() and not scaled:
        return None
    return replace(found, keeps_integers=dtype.kind != "f" and not scaled and found == Packing(fillers=unwritten))


def _unwritten(source: Any) -> tuple[float, ...]:
    """The stored number with which NetCDF fills what nobody wrote; none where another is stated."""
    stored = np.dtype(source.dtype)
    number = _UNWRITTEN.get(stored.str[1:])
    if number is None or "_FillValue" in source.attrs:
        return ()
    return (float(np.array(number, stored).view(stored_type(source)).item()),)


def _xarray_filler(source: Any) -> tuple[float, ...]:
    """The fill value of an array of zarr 2 that xarray wrote: it keeps ``_FillValue`` there, and null where none is."""
    filler = getattr(source, "fill_value", None) if XARRAY_NAMES in getattr(source, "attrs", {}) else None
    is_second = getattr(getattr(source, "metadata", None), "zarr_format", None) == 2
    return (float(filler),) if is_second and filler is not None else ()


def _one(source: Any, name: str, default: float) -> float:
    """The number in an attribute; the default where there is none."""
    return next(iter(_numbers(source, name)), default)


def _numbers(source: Any, name: str) -> list[float]:
    """The numbers in an attribute; none where it is missing or holds something else."""
    attributes = getattr(source, "attrs", {})
    values = np.asarray(attributes[name]) if name in attributes else np.empty(0)
    return values.astype(float).reshape(-1).tolist() if values.dtype.kind in "iuf" else []


def _stored_numbers(source: Any, name: str) -> list[float]:
    """The numbers in an attribute that are stored numbers: rounded as these are, and unsigned where these are."""
    dtype, numbers = stored_type(source), np.asarray(_numbers(source, name))
    if dtype.kind == "u" and dtype != np.dtype(source.dtype):
        numbers = numbers.astype(np.int64)
    elif dtype.kind != "f":
        return list(map(float, numbers))
    return list(map(float, numbers.astype(dtype)))


def stored_type(source: Any) -> np.dtype[Any]:
    """The type of the stored numbers; NetCDF marks unsigned ones that a signed type holds."""
    dtype: np.dtype[Any] = np.dtype(source.dtype)
    unsigned = str(getattr(source, "attrs", {}).get("_Unsigned", "")).lower() in ("true", "b'true'")
    return np.dtype(dtype.str.replace("i", "u")) if unsigned and dtype.kind == "i" else dtype


def unpacked(values: NDArray[Any], packing: Packing) -> NDArray[Any]:
    """Values from stored numbers; missing ones are NaN."""
    missing = np.isin(values, packing.fillers) | (values < packing.lowest) | (values > packing.highest)
    if packing.keeps_integers and not missing.any():
        return values
    found = np.where(missing, np.nan, values * packing.scale + packing.offset)
    return found.astype(packing.unpacked_type(values.dtype))
