"""Test error of each network after the same training time, from scratch, on the same clips."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks.learning import Precision, moving_mnist, score, train_for
from benchmarks.networks import NETWORKS
from framepred.baselines import load_baseline
from framepred.models.cost import macs_per_clip
from framepred.training import TeacherForcing

RECIPES: dict[str, dict[str, Any]] = {
    "framepred": {"batch": 8, "teacher_forcing": TeacherForcing(fade=0.0)},
    "convlstm-s": {"batch": 4, "teacher_forcing": TeacherForcing(fade=0.5)},
    "convlstm 2×64": {"batch": 4, "teacher_forcing": TeacherForcing(fade=0.5)},
}
"""Best settings of each network in short trials (docs/experiments.md); everything else is the same."""

DRAWN = ("blank", "last-frame")


class Quality(NamedTuple):
    """Result of one network."""

    mse: list[float]
    """Mean squared error of each lead time, protocol openstl."""
    steps: int
    minutes: float
    gmacs: float


def print_quality(
    only: list[str], minutes: float, clips: int, root: str | None, precision: Precision, output: Path
) -> None:
    """Train networks for the same time, score them on the same test clips, print a table and save the curves.

    With ``only``, just these are trained; the results of the others are read from ``output``.
    """
    saved = json.loads(output.read_text()) if only and output.is_file() else {}
    reached = {name: Quality(**found) for name, found in saved.items()}
    for name in only or NETWORKS:
        reached[name] = learn(name, minutes, clips, root, precision)
        output.write_text(json.dumps({name: found._asdict() for name, found in reached.items()}, indent=2) + "\n")
    draw(
        reached,
        {name: score(load_baseline(name), moving_mnist(16, clips, root)) for name in DRAWN},
        output.with_suffix(".png"),
    )
    table = Table(
        "", *reached, title=f"about {minutes:g} minutes each, {torch.get_num_threads()} threads, {clips} clips"
    )
    ours = _mean(reached["framepred"]) if "framepred" in reached else float("nan")
    for label, values in {
        "MSE (openstl)": [f"{_mean(found):.2f}" for found in reached.values()],
        "ratio of framepred's MSE to this model's": [f"{ours / _mean(found):.2f}" for found in reached.values()],
        "MSE at lead time 1, 10": [f"{found.mse[0]:.1f}, {found.mse[-1]:.1f}" for found in reached.values()],
        "steps": [f"{found.steps:,}" for found in reached.values()],
        "minutes": [f"{found.minutes:.1f}" for found in reached.values()],
        "GMACs per clip": [f"{found.gmacs:.2f}" for found in reached.values()],
    }.items():
        table.add_row(label, *values)
    Console(width=100).print(table)


def draw(reached: dict[str, Quality], baselines: dict[str, list[float]], path: Path) -> None:
    """Draw the mean squared error over lead time, one line per network and baseline."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    lines = {f"{name}, {found.minutes:.0f} minutes": (found.mse, "o-") for name, found in reached.items()}
    lines |= {name: (errors, "--") for name, errors in baselines.items()}
    for label, (errors, style) in lines.items():
        (line,) = axes.plot(range(1, len(errors) + 1), errors, style, color="gray" if style == "--" else None)
        end, color = (len(errors), errors[-1]), line.get_color()
        axes.annotate(label, end, xytext=(0, 6), textcoords="offset points", ha="right", color=color)
    axes.set(xlabel="lead time, frames", ylabel="MSE (openstl)", ylim=(0, 1.03 * axes.get_ylim()[1]))
    figure.savefig(path, dpi=120)


def learn(name: str, minutes: float, clips: int, root: str | None, precision: Precision) -> Quality:
    """Train one network from scratch for about ``minutes`` and score it."""
    torch.manual_seed(0)
    net, recipe = NETWORKS[name](), RECIPES[name]
    data = moving_mnist(recipe["batch"], clips, root)
    spent = train_for(minutes, net, data, recipe["teacher_forcing"], precision)
    return Quality(score(net.eval(), data), *spent, macs_per_clip(net, 10, 10, (1, 64, 64)) / 1e9)


def _mean(found: Quality) -> float:
    return sum(found.mse) / len(found.mse)
