"""Results cards as tables in a terminal."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from framepred.evaluation.cards import Card, DataRecord, Interval
from framepred.evaluation.protocols import OPTIONAL, Measure, Measures, find_protocol

COMPACT: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}
"""Style of a table that leaves room for names in 80 columns."""

NARROW = 4
"""Metrics that fit side by side into 80 columns; of more, each value and its interval take two lines."""

LARGEST_SUMMED = 64 * 64
"""Values of a frame up to which sums over pixels are shown, those of Moving MNIST."""


class Column(NamedTuple):
    """How a metric is shown.

    Attributes:
        metric: its name on the card.
        heading: with unit and direction.
        scale: factor from the card's value to the one shown.
        decimals: digits after the point.
    """

    metric: str
    heading: str
    scale: float
    decimals: int

    def text(self, value: float | None) -> str:
        """The value as shown; empty for None."""
        return "" if value is None else f"{value * self.scale:.{self.decimals}f}"

    def interval(self, interval: Interval, data: DataRecord) -> str:
        """The value with half its 95 % interval; a single clip has no interval."""
        half = self.text((interval.high - interval.low) / 2)
        return self.text(interval.value) + (f" ± {half}" if data.clips != 1 else "")


def columns(card: Card) -> list[Column]:
    """The metrics of a card in the order and unit in which people can read them.

    Frames of Moving MNIST and smaller ones show sums over pixels, as papers do. Films show PSNR first and errors per
    pixel.

    Raises:
        ConfigError: if this version does not know the card's protocol.
    """
    return metric_columns(card.metrics, find_protocol(card.protocol).measures, card.data)


def metric_columns(metrics: Iterable[str], measures: Measures, data: DataRecord) -> list[Column]:
    """The columns of these metrics; see :func:`columns`."""
    shown = {name: measures.get(name) for name in metrics}
    if shows_sums(data):
        return [_column(name, measure, 1) for name, measure in shown.items()]
    assert data.size is not None
    channels, height, width = data.size
    films_order = sorted(shown, key=lambda name: bool((measure := shown[name]) and measure.summed))
    films_order.sort(key=lambda name: name != "psnr")
    return [_column(name, shown[name], channels * height * width) for name in films_order]


def shows_sums(data: DataRecord) -> bool:
    """Whether sums over the pixels of a frame are readable."""
    if data.size is None or data.digits is not None:
        return True
    channels, height, width = data.size
    return channels * height * width <= LARGEST_SUMMED


def score_table(card: Card) -> Table:
    """Model and baselines in rows, metrics in columns; protocol in the title, lead times and notes below.

    Raises:
        ConfigError: if this version does not know the card's protocol.
    """
    shown = columns(card)
    table = Table(title=Text(title(card)), caption=_caption(card, shown[0]), caption_justify="left", **COMPACT)
    table.add_column("", overflow="fold")
    for column in shown:
        table.add_column(column.heading, justify="right", no_wrap=len(shown) <= NARROW)
    for row in score_rows(card, shown):
        table.add_row(*map(Text, row))
    return table


def score_rows(card: Card, shown: Iterable[Column]) -> list[list[str]]:
    """The cells of the model, of each baseline and of the skill."""
    shown = list(shown)
    rows = [[card.name, *(column.interval(card.metrics[column.metric], card.data) for column in shown)]]
    for name, values in card.baselines.items():
        rows.append([name, *(column.text(values[column.metric]) for column in shown)])
    if card.skill:
        rows.append(["skill", *(f"{card.skill[c.metric]:.3f}" if c.metric in card.skill else "" for c in shown)])
    return rows


def title(card: Card) -> str:
    """What was measured, in a line."""
    data = card.data
    split = f" {data.split}" if data.split else ""
    frames = f"{data.context} → {data.horizon} frames" if data.context else f"{data.horizon} frames"
    clips = f"{data.clips} clip{'' if data.clips == 1 else 's'}"
    return f"{card.name} on {data.name}{split}: {clips}, {frames}, protocol {card.protocol}"


def _caption(card: Card, column: Column) -> Text:
    values = " ".join(column.text(value) for value in card.lead_times.get(column.metric, ()))
    lines = [f"{column.heading.rstrip(' ↑↓')} by lead time: {values}"] if values else []
    lines += ["± half of the 95 % interval over clips"] if card.data.clips != 1 else []
    caption = Text("\n".join(lines))
    for note in card.notes:
        caption.append(f"\n{note}", style="bold red")
    return caption


def _column(name: str, measure: Measure | None, pixels: int) -> Column:
    direction = ("↑" if measure.higher_is_better else "↓") if measure else "↓" * (name in OPTIONAL)
    if measure and measure.summed and pixels > 1:
        factor, power = (1000, "·10³") if name == "mse" else (1, "")
        decimals = 2 if name == "mse" else 4
        return Column(name, f"{name}/pixel{power} {direction}", factor / pixels, decimals)
    heading = " ".join(filter(None, [name, measure.unit if measure else "", direction]))
    return Column(name, heading, 1.0, 2 if name in ("mse", "mae", "psnr") else 4)
