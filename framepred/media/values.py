"""Ranges of values: which numbers of a file stand for 0 and 1, and the way back."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from framepred.clips import RANGE_TOLERANCE
from framepred.errors import ClipError, ConfigError

WHITE_16_BITS = 65535.0
_BIT_DEPTHS = (8, 10, 12, 14, 16)  # of cameras and detectors
LITTLE = 1 / 8
"""Part of the range below which values are said to use little of it."""


@dataclass(frozen=True)
class ValueRange:
    """The values of a file that stand for 0 and for 1, such as -32 and 60 dBZ, or 0 and 4095 of a 12-bit camera.

    Attributes:
        low: the value that becomes 0.
        high: the value that becomes 1; above ``low``.
        whole: whether the values of the file are whole numbers, to which :meth:`from_unit` rounds.
        filler: the value that NaN is read as, such as -32 dBZ outside the coverage of a radar; None refuses NaN.
        keeps_nan: whether NaN stays NaN in frames, as pixels that are missing; needs a filler.

    Raises:
        ConfigError: if the two are not finite numbers in this order.

    >>> celsius = ValueRange(-20, 30)
    >>> celsius.to_unit(torch.tensor([-20.0, 5.0, 30.0]))
    tensor([0.0000, 0.5000, 1.0000])
    >>> celsius.from_unit(torch.tensor([0.5]))
    tensor([5.])
    """

    low: float
    high: float
    whole: bool = False
    filler: float | None = None
    keeps_nan: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high, self.filler or 0]).all() and self.low < self.high):
            raise ConfigError(
                f"A range of values is two finite numbers, the lower one first, not {self.low:g} and {self.high:g}"
                f"{'' if self.filler is None else f', and NaN is read as a finite number, not {self.filler:g}'}."
            )

    def to_unit(self, values: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Scale values to float32 in [0, 1]; those outside the range are clamped."""
        scaled = (values.double() - self.low) / (self.high - self.low)
        return scaled.clamp(0, 1).float()

    def from_unit(self, frames: Float[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Scale floats in [0, 1] back to the values of the file: float32, or the smallest integers that hold them."""
        values = frames.double() * (self.high - self.low) + self.low
        return values.round().long().to(self._integers()) if self.whole else values.float()

    @property
    def filler_in_unit(self) -> float | None:
        """The filler as networks read it, in [0, 1]; None where NaN is refused."""
        return None if self.filler is None else self.to_unit(torch.tensor(self.filler)).item()

    def with_missing(self) -> "ValueRange":
        """The same range, by which NaN stays NaN in frames if a filler is known."""
        return replace(self, keeps_nan=self.filler is not None)

    def _integers(self) -> torch.dtype:
        kinds = (torch.uint8, torch.uint16, torch.int16, torch.int32)
        return next((kind for kind in kinds if _holds(kind, self.low, self.high)), torch.int64)

    def to_json(self) -> dict[str, float]:
        """The range as numbers for a JSON file."""
        return {"low": self.low, "high": self.high} | ({} if self.filler is None else {"nan": self.filler})

    @classmethod
    def from_json(cls, entry: Any) -> "ValueRange":
        """The range that :meth:`to_json` wrote.

        Raises:
            ConfigError: if it is no such entry.
        """
        try:
            filler = entry.get("nan")
            return cls(float(entry["low"]), float(entry["high"]), filler=None if filler is None else float(filler))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"A range of values has the entries low and high, not {entry}.") from error


def _holds(kind: torch.dtype, low: float, high: float) -> bool:
    limits = torch.iinfo(kind)
    return bool(limits.min <= low and high <= limits.max)


@dataclass(frozen=True)
class DefaultRange:
    """The range of a source for which none is stated.

    Bytes and floats within [0, 1] keep the range of their type.

    Attributes:
        learned: the range that a network was trained on, which then holds for all other types; None where there is
            none. Pictures and arrays of 16 bits then have the bit depth that holds their values, so that 12-bit data
            is not taken for a black film.
    """

    learned: ValueRange | None = None


RangeChoice: TypeAlias = "ValueRange | DefaultRange | Literal['auto'] | None"
"""A stated range; ``auto`` for the one that the values suggest; a default; None for the range that the type states."""

StatedRange: TypeAlias = "RangeChoice | str | tuple[float, float]"
"""A range as users of Python may state it; :func:`as_choice` understands it."""


def parse_range(text: str) -> "ValueRange | Literal['auto']":
    """A range as users write it: ``auto``, two numbers such as ``-32,60``, or these and what NaN is read as.

    Raises:
        ConfigError: if it is none of these.

    >>> parse_range("0,4095")
    ValueRange(low=0.0, high=4095.0, whole=False, filler=None)
    >>> parse_range("-32,60,nan=-32").filler
    -32.0
    """
    if text == "auto":
        return "auto"
    numbers, _, filler = text.partition(",nan=")
    try:
        low, high = (float(part) for part in numbers.split(","))
        return ValueRange(low, high, filler=float(filler) if filler else None)
    except ValueError as error:
        raise ConfigError(
            f"A range of values is auto or two numbers such as 0,4095, not {text}; where NaN is to be read, add what "
            "it stands for, such as -32,60,nan=-32."
        ) from error


def as_choice(stated: object) -> RangeChoice:
    """What was stated as a range of values: one of ``RangeChoice``, the text of a range, or two numbers.

    Raises:
        ConfigError: if it is none of these.

    >>> as_choice((0, 4095))
    ValueRange(low=0.0, high=4095.0, whole=False, filler=None)
    """
    if stated is None or isinstance(stated, ValueRange | DefaultRange):
        return stated
    if isinstance(stated, str):
        return parse_range(stated)
    try:
        low, high = map(float, cast("Iterable[float]", stated))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"A range of values is auto, two numbers or a ValueRange, not {stated!r}.") from error
    return ValueRange(low, high)


def refuse_range(stated: object, name: object) -> None:
    """Refuse a stated range for frames of bytes, which have one: those of films, animations and cameras.

    Raises:
        ConfigError: if two numbers are stated.
    """
    choice = as_choice(stated)
    if isinstance(choice, ValueRange):
        raise ConfigError(
            f"The range {choice.low:g} to {choice.high:g} is for arrays and pictures but {name} is none; leave it out."
        )


def with_missing(stated: object) -> RangeChoice:
    """The range that was stated, by which NaN stays NaN in frames where a filler is known."""
    choice = as_choice(stated)
    if isinstance(choice, DefaultRange):
        return replace(choice, learned=choice.learned and choice.learned.with_missing())
    return choice.with_missing() if isinstance(choice, ValueRange) else choice


def suggested_range(low: float, high: float, dtype: np.dtype[Any]) -> ValueRange | None:
    """The range that the lowest and the highest value of a source suggest.

    Args:
        low: the lowest value.
        high: the highest value.
        dtype: the type that they are stored in.

    Returns:
        None where the type states the range: uint8, booleans, and floats within [0, 1]. For integers from 0 on, the
        bit depth of a camera that holds them; otherwise the values themselves.
    """
    floats_fit = dtype.kind == "f" and low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE
    if dtype.kind == "b" or dtype == np.uint8 or floats_fit:
        return None
    if dtype.kind in "ui" and low >= 0:
        white = next((float(2**bits - 1) for bits in _BIT_DEPTHS if high < 2**bits), high)
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
    return little_used(frames, name) if value_range is None else scaling_note(value_range, name)


def scaling_note(value_range: ValueRange, name: object) -> tuple[str, ...]:
    """A sentence on the range in use."""
    return (
        f"The values {value_range.low:g} to {value_range.high:g} of {name} are scaled to [0, 1]; others are clamped.",
    )


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
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * 255
    if value_range is not None:
        wide = array.astype(np.float64 if array.dtype.kind in "ui" else array.dtype)
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
            the source holds integers.
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
        return replace(choice, whole=first is not None and first.dtype.kind in "ui" and whole)
    return suggested_range(*extent(arrays())) if choice == "auto" else None


def _default_range(choice: DefaultRange, arrays: Callable[[], Iterable[NDArray[Any]]]) -> ValueRange | None:
    first = next(iter(arrays()), None)
    if first is None or first.dtype.kind not in "uif" or first.dtype == np.uint8:
        return None
    if choice.learned is None:
        found = suggested_range(*extent(arrays())) if first.dtype.newbyteorder("=") == np.uint16 else None
        return None if found is None or found.high == WHITE_16_BITS else found
    if first.dtype.kind == "f" and suggested_range(*extent(arrays())) is None:
        return None
    return replace(choice.learned, whole=first.dtype.kind in "ui")
