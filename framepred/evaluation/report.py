"""Builds the report of a results card from its numbers and, where they are at hand, its clips."""

import json
import math
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from framepred.evaluation.cards import Card, WeightsRecord
from framepred.evaluation.compare import compare
from framepred.evaluation.protocols import find_protocol
from framepred.evaluation.references import Reference, find_references, fitting_references
from framepred.evaluation.tables import Column, columns, score_rows, title
from framepred.media.paths import expand_user
from framepred.visualization.charts import histogram, line_chart
from framepred.visualization.curves import Curve
from framepred.visualization.report import Chart, Player, Report, error_pictures, make_player, write_html

REPORT_NAME = "report.html"
OFF_SCALE = 5.0  # a baseline that widens the range of a chart by more than this factor would hide the other curves


def write_report(
    card: Card,
    path: str | os.PathLike[str],
    others: Sequence[Card] = (),
    references: Sequence[str] | None = None,
) -> Path:
    """Write the report of a card; see :meth:`framepred.evaluation.Card.report`.

    A card that was just measured shows clips and error maps; one that was read from a file shows its numbers.

    Returns:
        The path of the file.
    """
    place = expand_user(path)
    place = place / REPORT_NAME if place.is_dir() else place
    write_html(place, build_report(card, others, references))
    return place


def build_report(card: Card, others: Sequence[Card] = (), references: Sequence[str] | None = None) -> Report:
    """The content of a report.

    Raises:
        DataError: if cards or references are of another protocol or of other data.
    """
    published = fitting_references(card) if references is None else find_references(references, card)
    shown = columns(card)
    if others:
        compare([card, *others])  # refuses cards of other clips
    primary = shown[0]
    return Report(
        title=card.name,
        subtitle=title(card).removeprefix(f"{card.name} on "),
        headline=_headline(card, primary),
        notes=card.notes,
        headings=["", *(column.heading for column in shown)],
        rows=_rows(card, others, shown),
        published=[_published(reference, shown) for reference in published],
        legend=_legend(card, published),
        names=[card.name, *(other.name for other in others), *card.baseline_lead_times],
        charts=_charts(card, others, shown),
        distribution=_distribution(card, primary),
        players=_players(card),
        maps=error_pictures(card.evidence.error_map) if card.evidence else [],
        facts=_facts(card),
        commands=_commands(card),
        card=json.dumps(card.without_clips(), indent=2, ensure_ascii=False),
    )


def _headline(card: Card, column: Column) -> str:
    """The first metric beside that of the best baseline, in a sentence."""
    metric = column.metric
    score = f"{column.heading[:-2]} {column.interval(card.metrics[metric], card.data)}"
    measure = find_protocol(card.protocol).measures.get(metric)
    values = {name: scores[metric] for name, scores in card.baselines.items() if metric in scores}
    if not values or measure is None:
        return f"{score}."
    best = (max if measure.higher_is_better else min)(values, key=values.__getitem__)
    baseline = f"the best baseline, {best} ({column.text(values[best])})."
    if metric not in card.skill:
        return f"{score}, beside {baseline}"
    skill = card.skill[metric]
    return f"{score}: {abs(skill):.0%} {'less' if skill >= 0 else 'more'} than {baseline}"


def _rows(card: Card, others: Sequence[Card], shown: Sequence[Column]) -> list[list[str]]:
    own, *rest = score_rows(card, shown)
    return [own, *(score_rows(other, shown)[0] for other in others), *rest]


def _published(reference: Reference, shown: Sequence[Column]) -> list[str]:
    return [reference.model, *(column.text(reference.metrics.get(column.metric)) for column in shown)]


def _legend(card: Card, published: Sequence[Reference]) -> list[str]:
    lines = ["± half of the 95 % bootstrap interval over clips."] if card.data.clips != 1 else []
    lines += ["skill: 1 − error / error of the best baseline."] if card.skill else []
    if published:
        sources = "; ".join(dict.fromkeys(reference.source for reference in published))
        lines.append(f"Published results are quoted from {sources}. They were measured on the official test file.")
    return lines


def _charts(card: Card, others: Sequence[Card], shown: Sequence[Column]) -> list[Chart]:
    charts = []
    for column in shown:
        curves = [_curve(each, column) for each in (card, *others) if column.metric in each.lead_times]
        baselines = [
            Curve(name, [value * column.scale for value in values[column.metric]])
            for name, values in card.baseline_lead_times.items()
            if column.metric in values
        ]
        hidden = _off_scale(curves, baselines)
        kept = [None if curve.name == hidden else curve for curve in baselines]
        if curves:
            note = f" ({hidden} is off the scale)" if hidden else ""
            charts.append(Chart(column.heading + note, line_chart([*curves, *kept], column.heading)))
    return charts


def _off_scale(curves: Sequence[Curve], baselines: Sequence[Curve]) -> str | None:
    """The name of the baseline without which the others fill the chart; None if there is no such baseline."""
    for left_out in baselines if len(baselines) > 1 else ():
        others = [curve for curve in (*curves, *baselines) if curve is not left_out]
        if _span([*others, left_out]) > OFF_SCALE * _span(others):
            return left_out.name
    return None


def _span(curves: Sequence[Curve]) -> float:
    values = [value for curve in curves for value in curve.values]
    return max(values) - min(values)


def _curve(card: Card, column: Column) -> Curve:
    bounds = [(low * column.scale, high * column.scale) for low, high in card.lead_intervals.get(column.metric, ())]
    return Curve(card.name, [value * column.scale for value in card.lead_times[column.metric]], bounds)


def _distribution(card: Card, column: Column) -> Chart | None:
    values = [value * column.scale for value in card.per_clip.get(column.metric, ()) if not math.isnan(value)]
    if len(values) < 2:
        return None
    marks = [("mean", card.metrics[column.metric].value * column.scale)]
    return Chart(f"{column.heading} of each clip", histogram(values, column.heading, marks))


def _players(card: Card) -> list[Player]:
    if card.evidence is None:
        return []
    column = next(column for column in columns(card) if column.metric == "mse")
    return [
        make_player(
            one.title,
            f"Clip {one.number} of {card.data.clips} (the first is 0): {column.metric} {column.text(one.mse)}",
            one.context,
            one.target,
            one.prediction,
        )
        for one in card.evidence.examples()
    ]


def _facts(card: Card) -> list[tuple[str, str]]:
    protocol, data, weights = find_protocol(card.protocol), card.data, card.weights
    facts: list[tuple[str, object]] = [
        ("protocol", f"{protocol.id}: {protocol.description} Source: {protocol.source}."),
        ("data", ", ".join(filter(None, [data.name, data.split, f"digits {data.digits}" if data.digits else ""]))),
        ("clips", data.clips),
        ("context, horizon", f"{data.context or 'unknown'} observed, {data.horizon} predicted frames"),
        ("frame", " × ".join(map(str, data.size)) + " (channels, height, width)" if data.size else None),
        ("SHA-256 of the clips", data.sha256),
        ("weights", weights.name if weights else None),
        ("SHA-256 of the weights", weights.sha256 if weights else None),
        ("parameters", f"{weights.parameters:,}" if weights and weights.parameters else None),
        ("precision", weights.precision if weights else None),
        ("multiply-adds per clip", f"{weights.macs_per_clip:,}" if weights and weights.macs_per_clip else None),
        ("framepred", card.framepred),
    ]
    return [(name, str(value)) for name, value in facts if value is not None]


def _commands(card: Card) -> list[str]:
    """The command that measures the card again; none where the command line cannot name its data or its weights."""
    data, weights = card.data, card.weights
    if data.arguments is None or weights is None or not _names_weights(weights):
        return []
    precision = [f"--precision={weights.precision}"] if weights.precision else []
    lpips = ["--lpips"] if "lpips" in card.metrics else []
    arguments = [*data.arguments, f"--protocol={card.protocol.name}", f"--clips={data.clips}", *precision, *lpips]
    digits = [f"# with the digits: {data.digits}"] if data.digits else []
    command = shlex.join(["framepred", "evaluate", f"--weights={weights.name}", *arguments])
    return [f"pip install framepred=={card.framepred}", *digits, command]


def _names_weights(weights: WeightsRecord) -> bool:
    """Whether the name is that of weights, which have a hash, or of a baseline, and not of an object or of a file."""
    return weights.sha256 is not None or weights.name.startswith("baseline:")
