"""Line charts over lead time and histograms, as inline SVG; the page's style sheet sets the colours."""

import math
from collections.abc import Callable, Sequence
from html import escape

import numpy as np

from framepred.visualization.curves import Curve

WIDTH, HEIGHT = 420, 260  # units of the view box
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 36  # margins around the plot
BINS = 24  # of a histogram
TICKS = 5  # approximate number of intervals between ticks on the vertical axis


def line_chart(curves: Sequence[Curve | None], heading: str) -> str:
    """Draw curves over lead times 1, 2, …; bounds are drawn as a band. The first curve is emphasized.

    A None takes a colour but draws nothing, so that curves have the same colours in every chart.
    """
    drawn = {number: curve for number, curve in enumerate(curves) if curve is not None}
    count = max(len(curve.values) for curve in drawn.values())
    bounds = [edge for curve in drawn.values() for pair in curve.bounds for edge in pair]
    edges = [value for curve in drawn.values() for value in curve.values] + bounds
    ticks = _ticks(min(edges), max(edges))
    x = _scale(1, max(count, 2), LEFT, WIDTH - RIGHT)
    y = _scale(min(ticks[0], *edges), max(ticks[-1], *edges), HEIGHT - BOTTOM, TOP)
    parts = [_horizontal_axis(ticks, y), *_lead_time_labels(count, x)]
    for number, curve in reversed(drawn.items()):
        points = [(x(time), y(value)) for time, value in enumerate(curve.values, start=1)]
        if curve.bounds:
            lower = [(x(time), y(low)) for time, (low, _) in enumerate(curve.bounds, start=1)]
            upper = [(x(time), y(high)) for time, (_, high) in enumerate(curve.bounds, start=1)]
            parts.append(f'<polygon class="band s{number % 6}" points="{_points([*lower, *reversed(upper)])}"/>')
        parts.append(f'<polyline class="line s{number % 6}" points="{_points(points)}"/>')
        for time, ((left, top), value) in enumerate(zip(points, curve.values, strict=True), start=1):
            label = f"{curve.name}, lead time {time}: {value:.4g}"
            parts.append(
                f'<circle class="dot s{number % 6}" cx="{left:.1f}" cy="{top:.1f}" r="3"><title>{escape(label)}</title>'
                "</circle>"
            )
    return _svg(parts, f"{heading} by lead time")


def histogram(values: Sequence[float], heading: str, marks: Sequence[tuple[str, float]] = ()) -> str:
    """Draw the number of clips per bin of values, with labelled vertical lines at the values of ``marks``."""
    low, high = min(values), max(values)
    counts, edges = np.histogram(values, bins=BINS, range=(low, high if high > low else low + 1))
    ticks = [tick for tick in _ticks(0, float(counts.max())) if tick.is_integer()]
    x = _scale(float(edges[0]), float(edges[-1]), LEFT, WIDTH - RIGHT)
    y = _scale(0, max(ticks[-1], float(counts.max())), HEIGHT - BOTTOM, TOP + 14)
    parts = [_horizontal_axis(ticks, y)]
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        label = f"{left:.4g} to {right:.4g}: {count} clips"
        width = max(0.5, x(right) - x(left) - 1)
        parts.append(
            f'<rect class="bar" x="{x(left) + 0.5:.1f}" y="{y(count):.1f}" width="{width:.1f}" '
            f'height="{y(0) - y(count):.1f}"><title>{escape(label)}</title></rect>'
        )
    for name, value in marks:
        left = x(min(max(value, float(edges[0])), float(edges[-1])))
        anchor = "start" if left < WIDTH / 3 else "end" if left > 2 * WIDTH / 3 else "middle"
        parts.append(f'<line class="mark" x1="{left:.1f}" x2="{left:.1f}" y1="{TOP + 12}" y2="{y(0):.1f}"/>')
        parts.append(f'<text x="{left:.1f}" y="{TOP + 6}" text-anchor="{anchor}">{escape(name)}</text>')
    for value in np.linspace(edges[0], edges[-1], 5).tolist():
        parts.append(f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:.3g}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(heading)}</text>'
    )
    return _svg(parts, f"number of clips by {heading}")


def _svg(parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _horizontal_axis(ticks: Sequence[float], y: Callable[[float], float]) -> str:
    lines = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in ticks
    ]
    return "".join(lines)


def _lead_time_labels(count: int, x: Callable[[float], float]) -> list[str]:
    step = max(1, math.ceil(count / 10))
    return [
        f'<text x="{x(time):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">+{time}</text>'
        for time in range(1, count + 1, step)
    ] + [f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">lead time in frames</text>']


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = high - low or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _ticks(low: float, high: float) -> list[float]:
    """Return evenly spaced round numbers that cover the range from low to high."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if span / (power * factor) <= TICKS)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{left:.1f},{top:.1f}" for left, top in points)
