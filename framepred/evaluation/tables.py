"""Results cards as people read them."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from framepred.evaluation.cards import Card, Interval
from framepred.evaluation.protocols import Measure, find_protocol

COMPACT: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}
"""How a table is drawn so that 80 columns leave room for names."""

DIGITS = {"ssim": 4}
"""Decimals a metric is shown with; others have 2."""


def score_table(card: Card) -> Table:
    """Model and baselines in rows, metrics in columns, the protocol in the title, lead times and notes below.

    Raises:
        ConfigError: if this version does not know the card's protocol.
    """
    table = Table(
        title=Text(_title(card)),
        caption=Text(_caption(card)),
        caption_justify="left",
        **COMPACT,
    )
    table.add_column("", overflow="fold")
    for name, measure in find_protocol(card.protocol).items():
        table.add_column(_heading(name, measure), justify="right", no_wrap=True)
    names = list(find_protocol(card.protocol))
    table.add_row(Text(_model(card)), *(_with_interval(name, card.metrics[name]) for name in names))
    for baseline, values in card.baselines.items():
        table.add_row(Text(baseline), *(_rounded(name, values[name]) for name in names))
    if card.skill:
        table.add_row("skill", *(f"{card.skill[name]:.3f}" if name in card.skill else "" for name in names))
    return table


def _title(card: Card) -> str:
    data = card.data
    split = f" {data.split}" if data.split else ""
    return (
        f"{_model(card)} on {data.name}{split}: {data.clips} clips, {data.context} → {data.horizon} frames, "
        f"protocol {card.protocol}"
    )


def _caption(card: Card) -> str:
    errors = " ".join(_rounded("mse", value) for value in card.lead_times["mse"])
    return "\n".join([f"mse by lead time: {errors}", "± half of the 95 % interval over clips", *card.notes])


def _model(card: Card) -> str:
    return card.weights.name if card.weights else "model"


def _heading(name: str, measure: Measure) -> str:
    return " ".join(filter(None, [name, measure.unit, "↑" if measure.higher_is_better else "↓"]))


def _with_interval(name: str, interval: Interval) -> str:
    return f"{_rounded(name, interval.value)} ± {_rounded(name, (interval.high - interval.low) / 2)}"


def _rounded(name: str, value: float) -> str:
    return f"{value:.{DIGITS.get(name, 2)}f}"
