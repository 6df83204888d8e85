"""Results cards: what was measured, on which data, by which protocol, with which weights; written as ``card.json``."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from framepred.errors import DataError, reason_of
from framepred.evaluation.evidence import Evidence
from framepred.evaluation.protocols import ProtocolVersion
from framepred.media.paths import expand_user
from framepred.media.text import read_small_text

MAX_BYTES = 1 << 28  # of a card.json; a card of a million clips has about 40 MB
LeadTimes = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class DataRecord:
    """The data of an evaluation; what does not apply is None and stays out of the JSON.

    ``evaluate`` fills in ``clips``, ``context`` and ``horizon`` in frames, ``size`` as (c, h, w), and ``sha256`` of the
    raw bytes of whole clips in order. ``value_range`` holds the values of the files that became 0 and 1. ``arguments``
    are those of ``framepred evaluate`` that read the same data; None where no command does.
    """

    name: str
    split: str | None = None
    seed: int | None = None
    clips: int | None = None
    context: int | None = None
    horizon: int | None = None
    size: tuple[int, int, int] | None = None
    value_range: tuple[float, float] | None = None
    digits: str | None = None
    sha256: str | None = None
    arguments: tuple[str, ...] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class WeightsRecord:
    """The weights of an evaluation: ``parameters`` is a count, ``macs_per_clip`` are multiply-adds of one clip.

    ``precision`` is None for the precision of the weights, or ``bf16-mixed`` for bfloat16 autocast.
    """

    name: str
    sha256: str | None = None
    parameters: int | None = None
    macs_per_clip: int | None = None
    precision: str | None = None


@dataclass(frozen=True)
class Interval:
    """A metric's value and the bounds of its 95 % bootstrap interval over clips."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Card:
    """The result of one evaluation, as ``card.json`` holds it.

    Attributes:
        protocol: name and version of the protocol that defines the metrics.
        data: what was predicted.
        metrics: the forecaster's metrics by name.
        lead_times: each metric by lead time, first predicted frame first; without metrics of one value per clip.
        weights: what predicted; None for weights without a record.
        baselines: each baseline's metrics by name, on the same clips.
        skill: see :func:`framepred.evaluation.skill_scores`.
        notes: sentences that a reader of the numbers must know, such as that the predictions have collapsed.
        lead_intervals: bounds (low, high) of the 95 % interval of each metric by lead time.
        baseline_lead_times: each baseline's metrics by lead time.
        per_clip: each metric of each clip in float32, which comparisons of two cards need; NaN for a clip without a
            value.
        framepred: version that measured.
        evidence: example clips and error map for the report; not part of the JSON, None for a card that was read.
    """

    protocol: ProtocolVersion
    data: DataRecord
    metrics: Mapping[str, Interval]
    lead_times: LeadTimes
    weights: WeightsRecord | None = None
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    skill: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    lead_intervals: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    baseline_lead_times: Mapping[str, LeadTimes] = field(default_factory=dict)
    per_clip: LeadTimes = field(default_factory=dict)
    framepred: str = field(default_factory=lambda: version("framepred"))
    evidence: Evidence | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Name of the weights, or ``model`` where there is no record."""
        return self.weights.name if self.weights else "model"

    def to_json(self) -> str:
        """The card as JSON; values per clip are base64 of little-endian float32.

        Raises:
            DataError: if a number is not finite, which JSON cannot hold.
        """
        from framepred.evaluation.card_json import to_mapping

        try:
            return json.dumps(to_mapping(self), indent=2, ensure_ascii=False, allow_nan=False)
        except ValueError as problem:
            raise DataError(
                "The card holds NaN or infinite numbers, so predictions or targets were not in [0, 1]; "
                "check the data and the weights, then evaluate again."
            ) from problem

    @classmethod
    def from_json(cls, text: str, source: str = "This text") -> "Card":
        """Read a card of this or of an earlier version; unknown fields are left out.

        Args:
            text: the result of ``to_json``.
            source: what an error says is not a card.

        Raises:
            DataError: if the text is not a card.
        """
        from framepred.evaluation.card_json import from_text

        return from_text(text, source)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write ``card.json``, whole or not at all.

        Raises:
            DataError: if a number is not finite.
            MediaError: if the file cannot be written.
        """
        from framepred.media.atomic import atomic_write  # here, so that metrics need no video libraries

        text = self.to_json() + "\n"
        with atomic_write(expand_user(path)) as draft:
            draft.write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Card":
        """Read ``card.json``, or the one in a folder.

        Raises:
            DataError: if the file cannot be read or is not a card.
        """
        path = expand_user(path)
        try:
            path = path / "card.json" if path.is_dir() else path
            text = read_small_text(path, MAX_BYTES)
        except (OSError, ValueError) as problem:  # a path with a zero byte is a ValueError, and so is text of bytes
            if isinstance(problem, UnicodeDecodeError):
                raise DataError(f"{path} is not text, so it is not a results card; evaluate again.") from problem
            raise DataError(f"{path} cannot be read ({reason_of(problem)}); give the path of a card.json.") from problem
        return cls.from_json(text, source=str(path))

    def report(
        self, path: str | os.PathLike[str], others: Sequence["Card"] = (), references: Sequence[str] | None = None
    ) -> None:
        """Write a report to look at: one HTML file with curves, clips that play, and the card.

        Args:
            path: the file; a folder gets ``report.html``.
            others: cards of other forecasters on the same clips, to show beside.
            references: names of published results to show beside, such as ``openstl/convlstm-s``; None given shows
                those that fit the data.

        Raises:
            DataError: if cards or references are of another protocol or of other data.
            MediaError: if the file cannot be written.
        """
        from framepred.evaluation.report import write_report

        write_report(self, path, others, references)

    def without_clips(self) -> dict[str, Any]:
        """The JSON as a mapping without the values per clip, for people to read."""
        from framepred.evaluation.card_json import to_mapping

        return {key: value for key, value in to_mapping(self).items() if key != "per_clip"}


def without_none(record: DataRecord | WeightsRecord) -> dict[str, Any]:
    """The fields of a record that apply."""
    return {key: value for key, value in asdict(record).items() if value is not None}
