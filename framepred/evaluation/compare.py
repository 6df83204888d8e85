"""Compares results cards of the same clips: differences, and ties by a paired bootstrap."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from rich.text import Text

from framepred.errors import DataError
from framepred.evaluation.averages import BOUNDS, poisson_weights
from framepred.evaluation.cards import Card
from framepred.evaluation.protocols import Measures, find_protocol
from framepred.evaluation.references import NOT_MEASURED, Reference
from framepred.evaluation.tables import COMPACT, Column, columns
from framepred.visualization.curves import Curve, write_curves

REPLICATES = 1000
BEST, TIED = "*", "="
LEGEND = (
    f"{BEST} best   {TIED} tied with the best: the 95 % interval of the difference (paired bootstrap over the clips) "
    "contains 0"
)


@dataclass(frozen=True)
class Comparison:
    """Cards of the same clips side by side.

    Attributes:
        names: what each card is called.
        cards: the cards, in the same order.
        differences: for each metric, the difference of each card from the first with its 95 % interval; the interval
            is None where a card has no values per clip.
        best: for each metric, the number of the best card.
        ties: for each metric, the numbers of the cards that are tied with the best; None where that is unknown.
        references: published results beside.
    """

    names: tuple[str, ...]
    cards: tuple[Card, ...]
    differences: Mapping[str, tuple["Difference", ...]]
    best: Mapping[str, int]
    ties: Mapping[str, tuple[int, ...] | None]
    references: tuple[Reference, ...] = ()

    def to_json(self) -> str:
        """The comparison as JSON."""
        first = self.cards[0]
        rows: list[dict[str, Any]] = [
            {
                "name": name,
                "metrics": {metric: asdict(interval) for metric, interval in card.metrics.items()},
                "difference": {metric: asdict(found[number]) for metric, found in self.differences.items()},
                "best": [metric for metric, best in self.best.items() if best == number],
                "tied_with_best": [metric for metric, tied in self.ties.items() if tied and number in tied],
            }
            for number, (name, card) in enumerate(zip(self.names, self.cards, strict=True))
        ]
        published = [
            {"name": one.name, "metrics": dict(one.metrics), "source": one.source, "measured_here": False}
            for one in self.references
        ]
        content = {
            "protocol": first.protocol._asdict(),
            "data": {"name": first.data.name, "clips": first.data.clips, "sha256": first.data.sha256},
            "cards": rows,
            "references": published,
        }
        return json.dumps(content, indent=2, ensure_ascii=False)

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Headings and cells: values with marks, then differences from the first card, then published results."""
        shown = [column for column in columns(self.cards[0]) if column.metric in self.best]
        rows = [[name, *(self._cell(column, number) for column in shown)] for number, name in enumerate(self.names)]
        for reference in self.references:
            cells = [column.text(reference.metrics.get(column.metric)) for column in shown]
            rows.append([f"{reference.name} ({NOT_MEASURED})", *cells])
        return ["", *(column.heading for column in shown)], rows

    def table(self) -> Table:
        """The comparison for a terminal."""
        headings, rows = self.rows()
        table = Table(title=Text(self.title()), caption=Text(self.legend()), caption_justify="left", **COMPACT)
        table.add_column("", overflow="fold")
        for heading in headings[1:]:
            table.add_column(heading, justify="right")
        for row in rows:
            table.add_row(*map(Text, row))
        return table

    def markdown(self) -> str:
        """The comparison as a Markdown table."""
        headings, rows = self.rows()
        lines = [headings, ["---", *("---:" for _ in headings[1:])], *rows]
        table = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
        return f"{self.title()}\n\n{table}\n\n{self.legend()}"

    def title(self) -> str:
        """Data and protocol, in a line."""
        data = self.cards[0].data
        frames = f"{data.context} → {data.horizon}" if data.context else f"{data.horizon}"
        return f"{data.name}: {data.clips} clips, {frames} frames, protocol {self.cards[0].protocol}"

    def legend(self) -> str:
        """What the marks mean, and the sources of published results."""
        unknown = any(tied is None for tied in self.ties.values())
        first = f"(difference from {self.names[0]})"
        ties = "Ties are unknown: a card without values per clip was given; evaluate again to know." if unknown else ""
        sources = dict.fromkeys(f"{one.name}: {one.model}; {one.source}" for one in self.references)
        return "\n".join(filter(None, [f"{LEGEND} {first}", ties, *sources]))

    def _cell(self, column: Column, number: int) -> str:
        value = column.text(self.cards[number].metrics[column.metric].value)
        tied = self.ties[column.metric]
        mark = BEST if self.best[column.metric] == number else TIED if tied and number in tied else " "
        if number == 0:
            return f"{value}{mark}"
        difference = self.differences[column.metric][number]
        return f"{value}{mark} ({difference.value * column.scale:+.{column.decimals}f})"


@dataclass(frozen=True)
class Difference:
    """A difference of two cards with its 95 % interval; the bounds are None where they are unknown."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def is_tie(self) -> bool | None:
        """Whether the interval contains 0; None where it is unknown."""
        return None if self.low is None or self.high is None else self.low <= 0 <= self.high


def compare(
    cards: Sequence[Card], names: Sequence[str] | None = None, references: Sequence[Reference] = ()
) -> Comparison:
    """Compare results cards that were measured on the same clips by the same protocol.

    Args:
        cards: two or more cards, or one beside references.
        names: what each is called; None takes the names of the weights.
        references: published results to show beside.

    Raises:
        DataError: if the cards differ in protocol, data, context or horizon, or share no metric.
        ConfigError: if this version does not know the cards' protocol.
    """
    if len(cards) + len(references) < 2 or not cards:
        raise DataError("A comparison needs two cards, or one card and a reference.")
    called = _unique(names or [card.name for card in cards])
    for name, card in zip(called[1:], cards[1:], strict=True):
        _check_comparable(called[0], cards[0], name, card)
    measures = find_protocol(cards[0].protocol).measures
    shared = [metric for metric in cards[0].metrics if all(metric in card.metrics for card in cards)]
    if not shared:
        raise DataError(f"{', '.join(called)} share no metric; evaluate all by the same protocol.")
    best = {metric: _best(cards, metric, measures) for metric in shared}
    return Comparison(
        names=tuple(called),
        cards=tuple(cards),
        differences={metric: tuple(difference(card, cards[0], metric) for card in cards) for metric in shared},
        best=best,
        ties={metric: _ties(cards, best[metric], metric) for metric in shared},
        references=tuple(references),
    )


def difference(card: Card, other: Card, metric: str) -> Difference:
    """``card − other`` in one metric, with the interval of a paired bootstrap over their common clips."""
    value = card.metrics[metric].value - other.metrics[metric].value
    ours, theirs = card.per_clip.get(metric, ()), other.per_clip.get(metric, ())
    if not ours or len(ours) != len(theirs):
        return Difference(value)
    pairs = torch.tensor(ours, dtype=torch.float64) - torch.tensor(theirs, dtype=torch.float64)  # (clips,)
    known = ~pairs.isnan()  # the others have no true pixels, or none for this metric
    if not known.any():
        return Difference(value)
    pairs = pairs[known]
    weights = poisson_weights(0, range(len(ours)), REPLICATES)[known].double()  # (clips, replicates)
    counts = weights.sum(dim=0)
    means = torch.where(counts > 0, pairs @ weights / counts.clamp(min=1), pairs.mean())
    low, high = means.quantile(means.new_tensor(BOUNDS)).tolist()
    return Difference(value, low, high)


def _best(cards: Sequence[Card], metric: str, measures: Measures) -> int:
    measure = measures.get(metric)
    sign = -1 if measure and measure.higher_is_better else 1
    return min(range(len(cards)), key=lambda number: sign * cards[number].metrics[metric].value)


def _ties(cards: Sequence[Card], best: int, metric: str) -> tuple[int, ...] | None:
    tied = {number: difference(card, cards[best], metric).is_tie for number, card in enumerate(cards) if number != best}
    return None if None in tied.values() else tuple(number for number, tie in tied.items() if tie)


def _check_comparable(first_name: str, first: Card, name: str, card: Card) -> None:
    values = {
        "protocol": (str(first.protocol), str(card.protocol)),
        "context": (first.data.context, card.data.context),
        "horizon": (first.data.horizon, card.data.horizon),
        "number of clips": (first.data.clips, card.data.clips),
        "data (SHA-256 of the clips)": (first.data.sha256, card.data.sha256),
    }
    for what, (ours, theirs) in values.items():
        if ours != theirs or (ours is None and "SHA" in what):
            raise DataError(
                f"{first_name} and {name} cannot be compared: the {what} differs, {_short(ours)} and {_short(theirs)}; "
                "evaluate both on the same clips by the same protocol."
            )


def _short(value: object) -> str:
    text = "unknown" if value is None else str(value)
    return text if len(text) <= 16 else f"{text[:12]}…"


def _unique(names: Sequence[str]) -> list[str]:
    """The names, numbered where two are equal."""
    return [
        f"{name} ({list(names[:number]).count(name) + 1})" if list(names).count(name) > 1 else name
        for number, name in enumerate(list(names))
    ]


def write_plot(comparison: Comparison, path: Path) -> None:
    """Write a picture of each metric by lead time, with 95 % intervals where the cards have them.

    Raises:
        MediaError: if the file cannot be written.
    """
    charts = {
        column.heading: [
            Curve(
                name,
                [value * column.scale for value in card.lead_times[column.metric]],
                [(low * column.scale, high * column.scale) for low, high in card.lead_intervals.get(column.metric, ())],
            )
            for name, card in zip(comparison.names, comparison.cards, strict=True)
            if column.metric in card.lead_times
        ]
        for column in columns(comparison.cards[0])
        if column.metric in comparison.best
    }
    write_curves(path, {heading: curves for heading, curves in charts.items() if curves}, comparison.title())
