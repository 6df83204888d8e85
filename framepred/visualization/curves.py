"""Curves of a metric by lead time as a picture."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from framepred.media.atomic import atomic_write

WIDTH, HEIGHT, DPI = 4.2, 3.4, 150  # inches per chart, dots per inch
COLOURS = ("#c2540a", "#2b6cb0", "#3f7d20", "#8a4fb0", "#a8326b", "#6b7280")


class Curve(NamedTuple):
    """A metric by lead time, first predicted frame first.

    Attributes:
        name: of the forecaster.
        values: one per lead time.
        bounds: intervals (low, high) per lead time; empty where they are unknown.
    """

    name: str
    values: Sequence[float]
    bounds: Sequence[tuple[float, float]] = ()


def write_curves(path: Path, charts: dict[str, Sequence[Curve]], title: str) -> None:
    """Write a png with one chart per metric.

    Args:
        path: the file.
        charts: curves by the heading of their chart.
        title: a line above.

    Raises:
        MediaError: if the file cannot be written.
    """
    figure = Figure(figsize=(WIDTH * len(charts), HEIGHT), dpi=DPI, layout="constrained")
    for axes, (heading, curves) in zip(figure.subplots(1, len(charts), squeeze=False)[0], charts.items(), strict=True):
        for number, curve in enumerate(curves):
            colour, times = COLOURS[number % len(COLOURS)], range(1, len(curve.values) + 1)
            axes.plot(times, curve.values, color=colour, label=curve.name, marker="o", markersize=3)
            if curve.bounds:
                axes.fill_between(times, *zip(*curve.bounds, strict=True), color=colour, alpha=0.15, linewidth=0)
        axes.set_title(heading, fontsize=10, loc="left")
        axes.set_xlabel("lead time (frames)", fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    figure.axes[0].legend(fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    with atomic_write(path) as draft:
        draft.write_bytes(drawn.getvalue())
