"""The JSON form of a results card: written exactly, read with every type checked."""

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, NoReturn, TypeVar

import numpy as np

from framepred.errors import DataError
from framepred.evaluation.cards import Card, DataRecord, Interval, WeightsRecord, without_none
from framepred.evaluation.protocols import ProtocolVersion

FLOAT32 = np.dtype("<f4")
T = TypeVar("T")


def to_mapping(card: Card) -> dict[str, Any]:
    """The fields of the JSON, in order; those that are empty and optional are left out."""
    required = {
        "framepred": card.framepred,
        "protocol": card.protocol._asdict(),
        "data": without_none(card.data),
        "metrics": {name: asdict(interval) for name, interval in card.metrics.items()},
        "lead_times": card.lead_times,
        "baselines": card.baselines,
        "skill": card.skill,
    }
    optional = {
        "weights": without_none(card.weights) if card.weights else None,
        "notes": card.notes,
        "lead_intervals": card.lead_intervals,
        "baseline_lead_times": card.baseline_lead_times,
        "per_clip": {name: _encoded(values) for name, values in card.per_clip.items()},
    }
    order = ["framepred", "protocol", "data", "weights", "metrics", "lead_times", "baselines", "skill"]
    fields = {**required, **{key: value for key, value in optional.items() if value}}
    return {key: fields[key] for key in [*order, *optional] if key in fields}


def from_text(text: str, source: str) -> Card:
    """Read a card; see :meth:`Card.from_json`."""
    try:
        return _card(_mapping(json.loads(text, parse_constant=_refuse_constant)))
    except KeyError as problem:
        raise DataError(f"{source} is not a results card: {problem} is missing; evaluate again.") from problem
    except RecursionError as problem:
        raise DataError(f"{source} is not a results card: it is nested too deeply; evaluate again.") from problem
    except (TypeError, ValueError, OverflowError, binascii.Error) as problem:
        reason = str(problem)[:200].encode("ascii", "backslashreplace").decode()
        raise DataError(f"{source} is not a results card ({reason}); evaluate again.") from problem


def _card(card: Mapping[str, Any]) -> Card:
    read = Card(
        framepred=_text(card["framepred"]),
        protocol=_protocol(card["protocol"]),
        data=_data(_mapping(card["data"])),
        weights=_weights(_mapping(card["weights"])) if card.get("weights") else None,
        metrics=_each(card["metrics"], _interval),
        lead_times=_each(card["lead_times"], _numbers),
        baselines=_each(card["baselines"], lambda values: _each(values, _number)),
        skill=_each(card["skill"], _number),
        notes=_texts(card.get("notes") or []),
        lead_intervals=_each(card.get("lead_intervals", {}), _bounds),
        baseline_lead_times=_each(card.get("baseline_lead_times", {}), lambda values: _each(values, _numbers)),
        per_clip=_each(card.get("per_clip", {}), _decoded),
    )
    _check_complete(read)
    return read


def _check_complete(card: Card) -> None:
    """Check that baselines hold every metric, as tables expect; one value per clip has no lead times."""
    for metric in card.metrics:
        for name, values in card.baselines.items():
            if metric not in values:
                raise ValueError(f"the baseline {name} has no {metric}")


def _protocol(value: object) -> ProtocolVersion:
    """Name and version; cards of framepred 0.1.0 hold the name only, which means version 1."""
    if isinstance(value, str):
        return ProtocolVersion(_text(value))
    fields = _mapping(value)
    return ProtocolVersion(_text(fields["name"]), _count(fields["version"]))


def _data(fields: Mapping[str, Any]) -> DataRecord:
    return DataRecord(
        name=_text(fields["name"]),
        split=_optional(fields, "split", _text),
        seed=_optional(fields, "seed", _count),
        clips=_optional(fields, "clips", _count),
        context=_optional(fields, "context", _count),
        horizon=_optional(fields, "horizon", _count),
        size=_optional(fields, "size", _size),
        value_range=_optional(fields, "value_range", _limits),
        digits=_optional(fields, "digits", _text),
        sha256=_optional(fields, "sha256", _text),
        arguments=_optional(fields, "arguments", _texts),
    )


def _weights(fields: Mapping[str, Any]) -> WeightsRecord:
    return WeightsRecord(
        name=_text(fields["name"]),
        sha256=_optional(fields, "sha256", _text),
        parameters=_optional(fields, "parameters", _count),
        macs_per_clip=_optional(fields, "macs_per_clip", _count),
        precision=_optional(fields, "precision", _text),
    )


def _optional(fields: Mapping[str, Any], key: str, read: Callable[[Any], T]) -> T | None:
    return None if fields.get(key) is None else read(fields[key])


def _size(value: object) -> tuple[int, int, int]:
    channels, height, width = (_count(side) for side in _list(value))
    return channels, height, width


def _limits(value: object) -> tuple[float, float]:
    low, high = (_number(limit) for limit in _list(value))
    return low, high


def _interval(value: object) -> Interval:
    fields = _mapping(value)
    return Interval(_number(fields["value"]), _number(fields["low"]), _number(fields["high"]))


def _bounds(value: object) -> tuple[tuple[float, float], ...]:
    pairs = [_numbers(pair) for pair in _list(value)]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("an interval by lead time needs two bounds")
    return tuple((low, high) for low, high in pairs)


def _numbers(value: object) -> tuple[float, ...]:
    return tuple(_number(number) for number in _list(value))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} is not a count")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    value.encode()  # lone surrogates can be neither printed nor written
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(one) for one in _list(value))


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not a mapping")
    return value


def _each(value: object, read: Callable[[Any], T]) -> dict[str, T]:
    return {_text(name): read(part) for name, part in _mapping(value).items()}


def _encoded(values: tuple[float, ...]) -> str:
    return base64.b64encode(np.asarray(values, dtype=FLOAT32).tobytes()).decode("ascii")


def _decoded(value: object) -> tuple[float, ...]:
    found = np.frombuffer(base64.b64decode(_text(value), validate=True), dtype=FLOAT32)
    if np.isinf(found).any():  # NaN is a clip without a value: all its true pixels are missing
        raise ValueError("a value of a clip is infinite")
    numbers: list[float] = found.tolist()
    return tuple(numbers)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
