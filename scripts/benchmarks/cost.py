"""What each network costs on this machine, all in one run."""

import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.networks import NETWORKS
from framepred.forecaster import Forecaster
from framepred.models.cost import count_parameters, macs_per_clip
from framepred.training.rollout import predict_every_frame

CONTEXT = HORIZON = 10
SIZE = (1, 64, 64)
PASSES = 3
"""A training step costs about three forward passes: one forward, two backward."""


class Cost(NamedTuple):
    """What one network costs; rates are of clips of 10 → 10 frames of 64×64."""

    parameters: int
    macs: int
    training: float
    """Clips a second."""
    inference: float
    """Clips a second."""
    latency: float
    """Seconds for one clip."""
    frame: float
    """Seconds for one streamed frame: observed, and the next one drawn."""
    memory: float
    """MiB that training and inference of one batch added to the process."""
    peak: float
    """Operations of training over what matrix products of this machine reach, in [0, 1]."""


def print_costs(batch_size: int, runs: int, threads: int) -> None:
    """Measure every network, each in a process of its own, and print a table."""
    columns: dict[str, Cost] = {}
    for name in NETWORKS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            columns[name] = process.submit(measure, name, batch_size, runs, threads).result()
    first = next(iter(columns.values()))
    table = Table("", *columns, title=f"batches of {batch_size}, {threads} threads, median of {runs}")
    for label, show in ROWS.items():
        table.add_row(label, *(show(cost) for cost in columns.values()))
    for label, ratio in {"MACs": lambda c: c.macs / first.macs, "latency": lambda c: c.latency / first.latency}.items():
        table.add_row(f"{label}, × framepred", *(f"{ratio(cost):.1f}" for cost in columns.values()))
    Console(width=100).print(table)


ROWS: dict[str, Callable[[Cost], str]] = {
    "parameters": lambda cost: f"{cost.parameters:,}",
    "GMACs a clip": lambda cost: f"{cost.macs / 1e9:.2f}",
    "training, clips/s": lambda cost: f"{cost.training:.2f}",
    "inference, clips/s": lambda cost: f"{cost.inference:.2f}",
    "latency of a clip, ms": lambda cost: f"{1e3 * cost.latency:.0f}",
    "latency of a streamed frame, ms": lambda cost: f"{1e3 * cost.frame:.1f}",
    "memory added, MiB": lambda cost: f"{cost.memory:.0f}",
    "share of matrix-product peak": lambda cost: f"{cost.peak:.0%}",
}


def measure(name: str, batch_size: int, runs: int, threads: int) -> Cost:
    """The cost of one network, in a fresh process, so that memory is its own."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = NETWORKS[name]()
    clips = torch.rand(batch_size, CONTEXT + HORIZON, *SIZE)
    before = _resident()
    training = batch_size / median_seconds(lambda: _train(net, clips), runs)
    inference, latency, frame = _inference(net.eval(), clips, runs)
    memory = _resident() - before
    macs = macs_per_clip(net, CONTEXT, HORIZON, SIZE)
    operations = 2 * PASSES * macs * training
    return Cost(count_parameters(net), macs, training, inference, latency, frame, memory, operations / _peak(runs))


def _train(net: Forecaster, clips: torch.Tensor) -> None:
    """One step without its optimizer, on the network's own predictions beyond the context."""
    untaught = torch.zeros(clips.shape[:2], dtype=torch.bool)
    net.zero_grad()
    predicted = predict_every_frame(net, clips, CONTEXT, untaught)
    ((predicted.frames - clips[:, 1:]).square().mean() + predicted.misplacement).backward()


@torch.inference_mode()
def _inference(net: Forecaster, clips: torch.Tensor, runs: int) -> tuple[float, float, float]:
    context = clips[:, :CONTEXT]
    state = net.observe(context[:1, 0])
    inference = len(clips) / median_seconds(lambda: net(context, HORIZON), runs)
    latency = median_seconds(lambda: net(context[:1], HORIZON), 3 * runs)
    frame = median_seconds(lambda: net.next_frame(net.observe(context[:1, 1], state)), 10 * runs)
    return inference, latency, frame


def _peak(runs: int) -> float:
    """Operations a second of a large matrix product."""
    side = 2048
    matrix = torch.rand(side, side)
    return 2 * side**3 / median_seconds(lambda: matrix @ matrix, runs)


def _resident() -> float:
    """The most memory this process ever held, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def median_seconds(work: Callable[[], object], runs: int) -> float:
    """The median of several timings, after one run that warms up."""
    work()
    return statistics.median(_seconds(work) for _ in range(runs))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
