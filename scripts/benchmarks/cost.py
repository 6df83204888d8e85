"""Parameters, operations, throughput, latency and memory of each network on this machine, in one run."""

import operator
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple, ParamSpec, TypeVar

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.networks import NETWORKS
from benchmarks.process_memory import peak_mib
from benchmarks.timing import median_seconds, seconds_of, stream_frame
from framepred.forecaster import Forecaster
from framepred.models.cost import count_parameters, macs_per_clip
from framepred.training.rollout import predict_every_frame

CONTEXT = HORIZON = 10
SIZE = (1, 64, 64)
TURNS = 5
"""Latency measurements per run."""
PASSES = 3
"""A training step costs about as much as three forward passes: one forward, two backward."""


P = ParamSpec("P")
T = TypeVar("T")


class Cost(NamedTuple):
    """Cost of one network on clips of 10 → 10 frames of 64×64."""

    parameters: int
    macs: int
    training: float
    """Clips per second."""
    inference: float
    """Clips per second."""
    memory: float
    """MiB that the process gained by training and inference on one batch."""
    peak: float
    """Training operations per second divided by those of a large matrix product, in [0, 1]."""


class Latencies(NamedTuple):
    """Seconds per call of one network with one clip, one measurement per turn."""

    clip: list[float]
    """10 → 10 frames."""
    frame: list[float]
    """One streamed frame after the context: observe it and predict the next one."""


def print_costs(batch_size: int, runs: int, threads: int) -> None:
    """Measure each network in its own process, all latencies in turn in one process, and print a table."""
    costs = {name: _in_a_process(measure, name, batch_size, runs, threads) for name in NETWORKS}
    latencies = _in_a_process(measure_latencies, TURNS * runs, threads)
    first = next(iter(NETWORKS))
    table = Table("", *costs, title=f"batches of {batch_size}, {threads} threads, median of {runs}")
    for label, show in ROWS.items():
        table.add_row(label, *(show(cost) for cost in costs.values()))
    for label, part in {"latency of a clip": "clip", "latency of a streamed frame": "frame"}.items():
        times = [getattr(found, part) for found in latencies.values()]
        table.add_row(f"{label}, ms", *(f"{1e3 * statistics.median(each):.1f}" for each in times))
        ratios = [map(operator.truediv, each, getattr(latencies[first], part)) for each in times]
        table.add_row(f"{label}, × {first}", *(f"{statistics.median(each):.1f}" for each in ratios))
    table.add_row(f"MACs, × {first}", *(f"{cost.macs / costs[first].macs:.1f}" for cost in costs.values()))
    Console(width=100).print(table)


def _in_a_process(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(work, *args, **kwargs).result()


ROWS: dict[str, Callable[[Cost], str]] = {
    "parameters": lambda cost: f"{cost.parameters:,}",
    "GMACs a clip": lambda cost: f"{cost.macs / 1e9:.2f}",
    "training, clips/s": lambda cost: f"{cost.training:.2f}",
    "inference, clips/s": lambda cost: f"{cost.inference:.2f}",
    "memory added, MiB": lambda cost: f"{cost.memory:.0f}",
    "share of matrix-product peak": lambda cost: f"{cost.peak:.0%}",
}


def measure(name: str, batch_size: int, runs: int, threads: int) -> Cost:
    """Measure one network; run it in a fresh process, so that the memory is only this network's."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = NETWORKS[name]()
    clips = torch.rand(batch_size, CONTEXT + HORIZON, *SIZE)
    before = peak_mib()
    training = batch_size / median_seconds(lambda: _train(net, clips), runs)
    net.eval()
    with torch.inference_mode():
        inference = batch_size / median_seconds(lambda: net(clips[:, :CONTEXT], HORIZON), runs)
    memory = peak_mib() - before
    macs = macs_per_clip(net, CONTEXT, HORIZON, SIZE)
    operations = 2 * PASSES * macs * training
    return Cost(count_parameters(net), macs, training, inference, memory, operations / _peak(runs))


@torch.inference_mode()
def measure_latencies(turns: int, threads: int) -> dict[str, Latencies]:
    """Measure all networks in turn, one call each, so that load on the machine affects all of them alike."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    context = torch.rand(1, CONTEXT, *SIZE)
    nets = {name: make().eval() for name, make in NETWORKS.items()}
    # after the whole context, because a network that keeps past frames then works on all of them
    states = {name: net.observe_clip(context) for name, net in nets.items()}
    found = {name: Latencies([], []) for name in nets}
    for _ in range(1 + turns):
        for name, net in nets.items():
            found[name].clip.append(seconds_of(partial(net, context, HORIZON)))
            found[name].frame.append(seconds_of(partial(stream_frame, net, context[:, 0], states[name])))
    return {name: Latencies(*(times[1:] for times in both)) for name, both in found.items()}  # the first turn warms up


def _train(net: Forecaster, clips: torch.Tensor) -> None:
    """Run one training step without optimizer; beyond the context the network reads its own predictions."""
    no_teacher = torch.zeros(clips.shape[:2], dtype=torch.bool)
    net.zero_grad()
    predicted = predict_every_frame(net, clips, CONTEXT, no_teacher)
    ((predicted.frames - clips[:, 1:]).square().mean() + predicted.auxiliary).backward()


def _peak(runs: int) -> float:
    """Operations per second of a large matrix product."""
    side = 2048
    matrix = torch.rand(side, side)
    return 2 * side**3 / median_seconds(lambda: matrix @ matrix, runs)
