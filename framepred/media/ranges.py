"""Ranges of values: which numbers of a file stand for 0 and 1, and how users state them."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from framepred.errors import ConfigError

_BEYOND_INT64 = 2.0**63


@dataclass(frozen=True)
class ValueRange:
    """The values of a file that stand for 0 and for 1, such as -32 and 60 dBZ, or 0 and 4095 of a 12-bit camera.

    Attributes:
        low: the value that becomes 0.
        high: the value that becomes 1; above ``low``.
        whole: whether the values of the file are whole numbers, to which :meth:`from_unit` rounds.
        filler: the value that NaN is read as, such as -32 dBZ outside the coverage of a radar; None refuses NaN.
        keeps_nan: whether NaN stays NaN in frames, as pixels that are missing; needs a filler.
        scales: whether values are scaled on reading; otherwise :meth:`to_unit` leaves them as they are.
        scales_bytes: whether a network was trained on bytes that were scaled by this range, too.
        fits_unit: whether the source holds floats that also lie in [0, 1], so that they may be scaled already.

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
    scales: bool = field(default=True, repr=False, compare=False)
    scales_bytes: bool = field(default=False, repr=False, compare=False)
    fits_unit: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high, self.filler or 0]).all() and self.low < self.high):
            raise ConfigError(
                f"A range of values is two finite numbers, the lower one first, not {self.low:g} and {self.high:g}"
                f"{'' if self.filler is None else f', and NaN is read as a finite number, not {self.filler:g}'}."
            )

    def to_unit(self, values: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Scale values to float32 in [0, 1]; those outside the range are clamped."""
        if not self.scales:
            return values.double()
        scaled = (values.double() - self.low) / (self.high - self.low)
        return scaled.clamp(0, 1).float()

    def from_unit(self, frames: Float[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Scale floats in [0, 1] back to the values of the file: float32, or the smallest integers that hold them."""
        return self.stored(self.values(frames))

    def values(self, frames: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Scale floats in [0, 1] back to the values of the file, in double precision."""
        return frames.double() * (self.high - self.low) + self.low

    def stored(self, values: Float[Tensor, "..."], floats: torch.dtype = torch.float32) -> Shaped[Tensor, "..."]:
        """Values in the type that a file gets: floats, or the smallest integers that hold them and the range.

        Args:
            values: the values; those with NaN among them become floats.
            floats: the type of floats.
        """
        if not self.whole or not bool((values.abs() < _BEYOND_INT64).all()):
            return values.to(floats)
        whole = values.round().long()
        low, high = (int(edge) for edge in whole.aminmax()) if whole.numel() else (0, 0)
        return whole.to(_integers(min(self.low, low), max(self.high, high)))

    @property
    def limits(self) -> tuple[float, float]:
        """The values that become 0 and 1, as results cards record them."""
        return self.low, self.high

    @property
    def summary(self) -> str:
        """All of the range that decides how files are read."""
        filler = "" if self.filler is None else f" with NaN as {self.filler:g}"
        return f"{self.low:g} to {self.high:g}{filler}{', also of bytes' if self.scales_bytes else ''}"

    @property
    def filler_in_unit(self) -> float | None:
        """The filler as networks read it, in [0, 1]; None where NaN is refused."""
        return None if self.filler is None else self.to_unit(torch.tensor(self.filler)).item()

    def with_missing(self) -> "ValueRange":
        """The same range, by which NaN stays NaN in frames if a filler is known."""
        return replace(self, keeps_nan=self.filler is not None)

    def to_json(self) -> dict[str, float]:
        """The range as numbers for a JSON file; ``bytes`` is 1 where bytes are scaled, too."""
        filler = {} if self.filler is None else {"nan": self.filler}
        return {"low": self.low, "high": self.high} | filler | ({"bytes": 1} if self.scales_bytes else {})

    @classmethod
    def from_json(cls, entry: Any) -> "ValueRange":
        """The range that :meth:`to_json` wrote.

        Raises:
            ConfigError: if it is no such entry.
        """
        try:
            filler, scales_bytes = entry.get("nan"), bool(entry.get("bytes"))
            filler = None if filler is None else float(filler)
            return cls(float(entry["low"]), float(entry["high"]), filler=filler, scales_bytes=scales_bytes)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"A range of values has the entries low and high, not {entry}.") from error


def _integers(low: float, high: float) -> torch.dtype:
    """The smallest type of integers that holds both."""
    kinds = (torch.uint8, torch.uint16, torch.int16, torch.int32)
    return next((kind for kind in kinds if _holds(kind, low, high)), torch.int64)


def _holds(kind: torch.dtype, low: float, high: float) -> bool:
    limits = torch.iinfo(kind)
    return bool(limits.min <= low and high <= limits.max)


@dataclass(frozen=True)
class DefaultRange:
    """The range of a source for which none is stated.

    Attributes:
        learned: the range that a network was trained on, which then holds for all values but for bytes that it was not
            trained to scale; None where there is none. Then bytes and floats within [0, 1] keep the range of their
            type, and pictures and arrays of 16 bits have the bit depth that holds their values, so that 12-bit data is
            not taken for a black film.
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
    numbers, states_filler, filler = text.partition(",nan=")
    try:
        low, high = (float(part) for part in numbers.split(","))
        return ValueRange(low, high, filler=float(filler) if states_filler else None)
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


def range_text(stated: object) -> str | None:
    """What was stated as a range of values, as :func:`parse_range` reads it; None for a default.

    Raises:
        ConfigError: if it is no range.

    >>> range_text((0, 4095)), range_text("-32,60,nan=-32"), range_text("auto"), range_text(None)
    ('0.0,4095.0', '-32.0,60.0,nan=-32.0', 'auto', None)
    """
    choice = as_choice(stated)
    if not isinstance(choice, ValueRange):
        return choice if isinstance(choice, str) else None
    filler = "" if choice.filler is None else f",nan={choice.filler}"
    return f"{choice.low},{choice.high}{filler}"


def refuse_range(stated: object, name: object) -> None:
    """Refuse a stated range for frames of bytes, which have one: those of films, animations and cameras.

    Raises:
        ConfigError: if two numbers are stated.
    """
    choice = as_choice(stated)
    if isinstance(choice, ValueRange):
        raise ConfigError(
            f"The range {choice.low:g} to {choice.high:g} is for arrays, pictures and gray films of more "
            f"than 8 bits, and {name} is none; leave it out."
        )


def with_missing(stated: object) -> RangeChoice:
    """The range that was stated, by which NaN stays NaN in frames where a filler is known."""
    choice = as_choice(stated)
    if isinstance(choice, DefaultRange):
        return replace(choice, learned=choice.learned and choice.learned.with_missing())
    return choice.with_missing() if isinstance(choice, ValueRange) else choice
