"""Test error of each network after the same training time, from scratch, on the same clips."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.learning import Precision, Spent, clip_task, moving_mnist, score, train_for
from benchmarks.networks import NETWORKS
from benchmarks.simvp import HorizonTask, SimVP
from framepred.baselines import load_baseline
from framepred.data import MovingMNISTData
from framepred.data.datamodules.moving_mnist_paths import MovingMNISTPathData
from framepred.forecaster import Forecaster
from framepred.models import TrackingForecaster
from framepred.models.cost import macs_per_clip
from framepred.training import Muon, TeacherForcing
from framepred.training.path_task import PathNoise, PathTask

Learn: TypeAlias = Callable[[Forecaster, float, MovingMNISTData, Precision], Spent]
"""Trains a network for some minutes on the data."""


def _on_clips(fade: float) -> Learn:
    """Return the training of a recurrent network; ``fade`` is that of :class:`TeacherForcing`."""

    def train(net: Forecaster, minutes: float, data: MovingMNISTData, precision: Precision) -> Spent:
        return train_for(minutes, data, lambda steps: clip_task(net, steps, TeacherForcing(fade=fade)), precision)

    return train


def _in_two_stages(net: Forecaster, minutes: float, data: MovingMNISTData, precision: Precision) -> Spent:
    """Train as the recipe of ``moving-mnist`` does: the network on clips, then its path network on paths."""
    assert isinstance(net, TrackingForecaster)
    net.revealed_share = 0.0
    clips = _on_clips(fade=0.0)(net, CLIP_SHARE * minutes, data, precision)
    net.revealed_share = 1.0
    paths_data = MovingMNISTPathData(
        [(64, 64)], batch_size=PATH_BATCH, clips_per_epoch=1000 * PATH_BATCH, val_clips=8, root=data.root
    )
    noise = PathNoise(outlier_share=0.05, outlier_px=0.7)

    def path_task(steps: int) -> PathTask:
        return PathTask(
            net,
            noise,
            budget=steps,
            loss=nn.NLLLoss(),
            optimizer=partial(torch.optim.AdamW, lr=4e-3, betas=(0.9, 0.98)),
        )

    paths = train_for((1 - CLIP_SHARE) * minutes, paths_data, path_task, precision)
    net.requires_grad_(True)
    return Spent(clips.steps + paths.steps, clips.minutes + paths.minutes)


def _horizon_at_once(net: Forecaster, minutes: float, data: MovingMNISTData, precision: Precision) -> Spent:
    """Train a network that predicts the horizon at once, which has no clips of other lengths."""

    def task(steps: int) -> HorizonTask:
        return HorizonTask(net, budget=steps, loss=nn.MSELoss(), optimizer=Muon)

    return train_for(minutes, data, task, precision)


class Recipe(NamedTuple):
    """How a network is made and trained.

    Attributes:
        make: makes the network.
        batch: clips per step.
        learn: trains it.
    """

    make: Callable[[], Forecaster]
    batch: int
    learn: Learn


RECIPES = {
    "framepred": Recipe(NETWORKS["framepred"], 8, _in_two_stages),
    "convlstm-s": Recipe(NETWORKS["convlstm-s"], 4, _on_clips(fade=0.5)),
    "convlstm 2×64": Recipe(NETWORKS["convlstm 2×64"], 4, _on_clips(fade=0.5)),
    "simvp": Recipe(SimVP, 4, _horizon_at_once),
}
"""Networks with their best settings in short trials (docs/experiments.md)."""

CLIP_SHARE = 0.5
"""Share of the time in which the tracking network learns on clips; its path network learns in the rest."""
PATH_BATCH = 256
"""Paths per step."""

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
    for name in only or RECIPES:
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
    for (name, errors), style in zip(baselines.items(), (":", "--"), strict=True):
        axes.plot(range(1, len(errors) + 1), errors, style, color="gray", label=name)
    for name, found in reached.items():
        axes.plot(range(1, len(found.mse) + 1), found.mse, "o-", label=f"{name}, {found.minutes:.0f} minutes")
    axes.set(xlabel="lead time, frames", ylabel="MSE (openstl)", ylim=(0, None))
    figure.legend(loc="outside right upper")
    figure.savefig(path, dpi=120)


def learn(name: str, minutes: float, clips: int, root: str | None, precision: Precision) -> Quality:
    """Train one network from scratch for about ``minutes`` and score it."""
    torch.manual_seed(0)
    recipe = RECIPES[name]
    net = recipe.make()
    data = moving_mnist(recipe.batch, clips, root)
    spent = recipe.learn(net, minutes, data, precision)
    return Quality(score(net.eval(), data), *spent, macs_per_clip(net, 10, 10, (1, 64, 64)) / 1e9)


def _mean(found: Quality) -> float:
    return sum(found.mse) / len(found.mse)
