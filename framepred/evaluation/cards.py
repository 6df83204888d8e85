"""Results cards: what was measured, on what, by which protocol, with which weights; written as ``card.json``."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from framepred.errors import DataError


@dataclass(frozen=True)
class DataRecord:
    """The data of an evaluation; what does not apply is None and stays out of the JSON.

    ``evaluate`` fills in what it saw: ``clips``, ``context`` and ``horizon`` in frames, ``size`` as (c, h, w), and the
    ``sha256`` of the clips' raw bytes, whole clips in order.
    """

    name: str
    split: str | None = None
    seed: int | None = None
    clips: int | None = None
    context: int | None = None
    horizon: int | None = None
    size: tuple[int, int, int] | None = None
    digits: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class WeightsRecord:
    """The weights of an evaluation: ``parameters`` is a count, ``macs_per_clip`` are multiply-adds of one clip."""

    name: str
    sha256: str | None = None
    parameters: int | None = None
    macs_per_clip: int | None = None


@dataclass(frozen=True)
class Interval:
    """A metric's value and the bounds of its 95 % bootstrap interval over clips."""

    value: float
    low: float
    high: float


Record = TypeVar("Record", DataRecord, WeightsRecord)


@dataclass(frozen=True)
class Card:
    """The result of one evaluation, as ``card.json`` holds it.

    Attributes:
        protocol: the name that says which formulas the metrics are.
        data: what was predicted.
        metrics: the forecaster's metrics by name.
        lead_times: each metric by lead time, first predicted frame first.
        weights: what predicted; None for weights without a record.
        baselines: each baseline's metrics by name, on the same clips.
        skill: see ``skill``.
        notes: sentences that a reader of the numbers must know, such as that all predictions are blank.
        framepred: version that measured.
    """

    protocol: str
    data: DataRecord
    metrics: Mapping[str, Interval]
    lead_times: Mapping[str, tuple[float, ...]]
    weights: WeightsRecord | None = None
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    skill: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    framepred: str = field(default_factory=lambda: version("framepred"))

    def to_json(self) -> str:
        """The card as JSON.

        Raises:
            DataError: if a number is not finite, which JSON cannot hold.
        """
        card = {
            "framepred": self.framepred,
            "protocol": self.protocol,
            "data": _without_none(asdict(self.data)),
            "weights": _without_none(asdict(self.weights)) if self.weights else None,
            "metrics": {name: asdict(interval) for name, interval in self.metrics.items()},
            "lead_times": self.lead_times,
            "baselines": self.baselines,
            "skill": self.skill,
            "notes": self.notes or None,
        }
        try:
            return json.dumps(_without_none(card), indent=2, ensure_ascii=False, allow_nan=False)
        except ValueError as problem:
            raise DataError(
                "The card holds NaN or infinite numbers, so predictions or targets were not in [0, 1]; "
                "check the data and the weights, then evaluate again."
            ) from problem

    @classmethod
    def from_json(cls, text: str, source: str = "This text") -> "Card":
        """Read a card; what it holds beyond these fields is left out.

        Args:
            text: what ``to_json`` gave.
            source: what an error says is not a card.

        Raises:
            DataError: if the text is not a card.
        """
        try:
            card = json.loads(text, parse_constant=_refuse_constant)
            return cls(
                framepred=card["framepred"],
                protocol=card["protocol"],
                data=_data_record(card["data"]),
                weights=_record(WeightsRecord, card["weights"]) if card.get("weights") else None,
                metrics={name: Interval(**_numbers(interval)) for name, interval in card["metrics"].items()},
                lead_times={name: tuple(map(_number, values)) for name, values in card["lead_times"].items()},
                baselines={name: _numbers(values) for name, values in card["baselines"].items()},
                skill=_numbers(card["skill"]),
                notes=tuple(card.get("notes", ())),
            )
        except KeyError as problem:
            raise DataError(f"{source} is not a results card: {problem} is missing; evaluate again.") from problem
        except (AttributeError, TypeError, ValueError) as problem:
            raise DataError(f"{source} is not a results card ({problem}); evaluate again.") from problem

    def write(self, path: Path) -> None:
        """Write ``card.json``, whole or not at all.

        Raises:
            DataError: if a number is not finite.
        """
        from framepred.media.atomic import atomic_write  # here, so that metrics need no video libraries

        text = self.to_json() + "\n"
        with atomic_write(path) as beside:
            beside.write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Card":
        """Read ``card.json``.

        Raises:
            DataError: if the file cannot be read or is not a card.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as problem:
            raise DataError(f"{path} cannot be read ({problem.strerror}); give the path of a card.json.") from problem
        except UnicodeDecodeError as problem:
            raise DataError(f"{path} is not text, so it is not a results card; evaluate again.") from problem
        return cls.from_json(text, source=str(path))


def _without_none(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if value is not None}


def _record(kind: type[Record], mapping: Mapping[str, Any]) -> Record:
    return kind(**{entry.name: mapping[entry.name] for entry in fields(kind) if entry.name in mapping})


def _data_record(mapping: Mapping[str, Any]) -> DataRecord:
    size = {"size": tuple(mapping["size"])} if mapping.get("size") else {}
    return _record(DataRecord, {**mapping, **size})


def _numbers(mapping: Mapping[str, Any]) -> dict[str, float]:
    return {name: _number(value) for name, value in mapping.items()}


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
