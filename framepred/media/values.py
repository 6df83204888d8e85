"""Values of files as frames: the range that they suggest, checks, and scaling to [0, 1]."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

from framepred.clips import RANGE_TOLERANCE
from framepred.errors import ClipError
from framepred.media.ranges import DefaultRange, ValueRange, as_choice

WHITE_16_BITS = 65535.0
_BIT_DEPTHS = (8, 10, 12, 14, 16)  # of cameras and detectors
LITTLE = 1 / 8
"""Part of the range below which values are said to use little of it."""


def suggested_range(low: float, high: float, dtype: np.dtype[Any]) -> ValueRange | None:
    """The range that the lowest and the highest value of a source suggest.

    Args:
        low: the lowest value.
        high: the highest value.
        dtype: the type that they are stored in.

    Returns:
        None where the type states the range: uint8, booleans, and floats within [0, 1]. For integers from 0 on, the
        bit depth of a camera that holds them, and 1 for masks of 0 and 1, but in 16 bits, where these are a camera's
        darkest values; otherwise the values themselves.
    """
    floats_fit = dtype.kind == "f" and low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE
    if dtype.kind == "b" or dtype == np.uint8 or floats_fit:
        return None
    if dtype.kind in "ui" and low >= 0:
        depths = _BIT_DEPTHS if dtype.itemsize == 2 and dtype.kind == "u" else (1, *_BIT_DEPTHS)
        white = next((float(2**bits - 1) for bits in depths if high < 2**bits), high)
        return ValueRange(0.0, white, whole=True)
    return ValueRange(low, high if high > low else low + 1, whole=dtype.kind in "ui")


def check_finite(array: NDArray[Any], name: object, axes: str = "ntchw") -> None:
    """Refuse values that are not finite.

    Args:
        array: the values.
        name: where they come from.
        axes: one letter for each axis, as in the names of layouts.

    Raises:
        ClipError: if there are any: the sentence says where the first is, and how many there are.
    """
    if array.dtype.kind not in "fc" or bool(np.isfinite(array).all()):
        return
    wrong = ~np.isfinite(array)
    first = np.unravel_index(int(wrong.argmax()), array.shape)
    named = {"n": "clip", "t": "frame", "c": "channel", "h": "row", "w": "column"}
    where = ", ".join(
        f"{named[axis]} {index}" for axis, index, length in zip(axes, first, array.shape, strict=True)
        if length > 1 or axis in "thw"
    )  # fmt: skip
    raise ClipError(
        f"{name} holds values that are not finite (NaN or infinite), {float(wrong.mean()):.3%} of those read, the "
        f"first at {where}; fill them, for instance with numpy.nan_to_num, or state a range of values and what NaN is "
        "read as, such as -32,60,nan=-32."
    )


def range_notes(frames: Shaped[Tensor, "..."], value_range: ValueRange | None, name: object) -> tuple[str, ...]:
    """A sentence on the range in use, or on frames that use only a small part of the one that their type states.

    Args:
        frames: uint8, uint16 or floats in [0, 1].
        value_range: the values that became 0 and 1; None where the type states them.
        name: where they come from.
    """
    if value_range is None:
        return little_used(frames, name)
    return (*scaling_note(value_range, name), *beyond_note([frames], value_range, name))


def beyond_note(parts: Iterable[Shaped[Tensor, "..."]], value_range: ValueRange, name: object) -> tuple[str, ...]:
    """A sentence if no value lies inside of the range, so that all frames are black, or white.

    Args:
        parts: the frames, of which no more are read than are needed to know; NaN is a missing pixel.
        value_range: the values that became 0 and 1.
        name: where they come from.
    """
    colours = {f"{value_range.low:g} or below": (0, "black"), f"{value_range.high:g} or above": (1, "white")}
    for part in parts if value_range.scales else ():
        measured = part[~part.isnan()]
        colours = {found: (edge, _) for found, (edge, _) in colours.items() if bool((measured == edge).all())}
        if not colours:
            return ()
    if len(colours) > 1:  # no part, or none that is measured
        return ()
    ((found, (_, colour)),) = colours.items()
    return (f"All values of {name} are {found}, so its frames are {colour}; state another range if they differ.",)


def scaling_note(value_range: ValueRange, name: object) -> tuple[str, ...]:
    """Sentences on the range in use, and on floats that may have been scaled to [0, 1] before."""
    low, high = value_range.limits
    note = f"The values {low:g} to {high:g} of {name} are scaled to [0, 1]; others are clamped."
    if not value_range.fits_unit:
        return (note,)
    return (note, f"All values of {name} also lie in [0, 1]; if they are scaled already, state the range 0,1.")


def little_used(frames: Shaped[Tensor, "..."], name: object) -> tuple[str, ...]:
    """A sentence if frames use only a small part of the range that their type states.

    Args:
        frames: uint8, uint16 or floats in [0, 1].
        name: where they come from.
    """
    white = {torch.uint8: 255.0, torch.uint16: 65535.0}.get(frames.dtype, 1.0)
    values = frames.numpy()
    low, high = float(values.min()), float(values.max())
    if high - low >= LITTLE * white or low == high:
        return ()
    return (
        f"{name} uses only the values {low:.4g} to {high:.4g} of 0 to {white:g}, so details are hard to tell apart; "
        f"if its range is smaller, state it, such as {low:.4g},{high:.4g}.",
    )


def to_frames(
    array: NDArray[Any], name: object, value_range: ValueRange | None = None, axes: str = "ntchw"
) -> Shaped[Tensor, "..."]:
    """Copy the values of a file into a tensor: uint8, uint16, or float32 in [0, 1].

    Args:
        array: the values, of any type of numbers.
        name: where they come from, for messages.
        value_range: the range that becomes [0, 1]; None for the one that the type states.
        axes: one letter for each axis, for messages.

    Raises:
        ClipError: if values are not finite, or without ``value_range`` their range is unknown.
    """
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind not in "buif":
        raise ClipError(f"{name} holds {array.dtype} values; save numbers: uint8, uint16 or floats.")
    missing = _missing(array, value_range)
    if missing is not None and value_range is not None:
        array = np.where(missing, np.asarray(value_range.filler, array.dtype), array)
    check_finite(array, name, axes)
    if array.dtype.kind == "b" and (value_range is None or value_range.scales_bytes):  # as bytes
        array = array.astype(np.uint8) * 255
    if value_range is not None:
        wide = array if array.dtype.kind == "f" and array.itemsize <= 8 else array.astype(np.float64)
        frames = value_range.to_unit(torch.from_numpy(np.array(wide, order="C")))
        kept = missing if value_range.keeps_nan else None
        return frames if kept is None else frames.masked_fill(torch.from_numpy(kept), torch.nan)
    if array.dtype.kind == "f":
        array = _checked_floats(array, name)
    elif array.dtype not in (np.uint8, np.uint16):
        raise ClipError(f"{name} holds {array.dtype} values, whose range is unknown; state it, such as -32,60.")
    return torch.from_numpy(np.array(array, order="C"))


def _missing(array: NDArray[Any], value_range: ValueRange | None) -> NDArray[np.bool_] | None:
    """Which values are NaN, where a range says what NaN is read as."""
    if value_range is None or value_range.filler is None or array.dtype.kind != "f":
        return None
    return np.asarray(np.isnan(array))


def _checked_floats(array: NDArray[Any], name: object) -> NDArray[np.float32]:
    low, high = float(array.min()), float(array.max())
    if low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        raise ClipError(
            f"{name} holds floats from {low:.6g} to {high:.6g} but without a stated range they must lie in [0, 1]; "
            f"state it, such as {low:.4g},{high if high > low else low + 1:.4g}, or scale them."
        )
    return np.asarray(array.clip(0, 1), dtype=np.float32)


def extent(arrays: Iterable[NDArray[Any]]) -> tuple[float, float, np.dtype[Any]]:
    """The lowest and the highest finite value of arrays, at least one, and the widest of their types."""
    low, high, dtype = np.inf, -np.inf, np.dtype(bool)
    for array in arrays:
        values = array[np.isfinite(array)] if array.dtype.kind == "f" else array
        if values.size and array.dtype.kind in "buif":
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            dtype = np.promote_types(dtype, array.dtype)
    return (low, high, dtype) if low <= high else (0.0, 0.0, dtype)


def chosen_range(stated: object, arrays: Callable[[], Iterable[NDArray[Any]]]) -> ValueRange | None:
    """The range that a choice means.

    Args:
        stated: a range, ``auto``, a default or None. A stated range of whole numbers gives whole numbers again where
            the source holds integers or booleans.
        arrays: gives the values of the source; of a stated range only the first are looked at.

    Raises:
        ConfigError: if it is none of these.
    """
    choice = as_choice(stated)
    if isinstance(choice, DefaultRange):
        return _default_range(choice, arrays)
    if isinstance(choice, ValueRange):
        first = next(iter(arrays()), None)
        whole = all(float(edge).is_integer() for edge in (choice.low, choice.high))
        return replace(choice, whole=first is not None and first.dtype.kind in "bui" and whole)
    return suggested_range(*extent(arrays())) if choice == "auto" else None


def _default_range(choice: DefaultRange, arrays: Callable[[], Iterable[NDArray[Any]]]) -> ValueRange | None:
    """The range by the type alone where a network has one, so that all clips of a kind are read on one scale."""
    first, learned = next(iter(arrays()), None), choice.learned
    if first is None or first.dtype.kind not in "buif":
        return None
    if learned is None:
        return _bit_depth(arrays) if first.dtype.newbyteorder("=") == np.uint16 else None
    if first.dtype in (np.bool_, np.uint8) and not learned.scales_bytes:
        return None
    found = extent(arrays()) if first.dtype.kind == "f" else None
    fits_unit = found is not None and found[2].kind == "f" and suggested_range(*found) is None
    return replace(learned, whole=first.dtype.kind in "ui", fits_unit=fits_unit)


def _bit_depth(arrays: Callable[[], Iterable[NDArray[Any]]]) -> ValueRange | None:
    """The range of the bit depth that holds values of 16 bits; None for all 16, and where some have another type."""
    low, high, dtype = extent(arrays())
    found = suggested_range(low, high, dtype) if dtype == np.uint16 else None
    return None if found is None or found.high == WHITE_16_BITS else found
