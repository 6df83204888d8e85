"""What each network costs on this machine, all in one run."""

import operator
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple, ParamSpec, TypeVar

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.networks import NETWORKS
from framepred.clips import Frame, State
from framepred.forecaster import Forecaster
from framepred.models.cost import count_parameters, macs_per_clip
from framepred.training.rollout import predict_every_frame

CONTEXT = HORIZON = 10
SIZE = (1, 64, 64)
TURNS = 5
"""Latencies measured a run."""
PASSES = 3
"""A training step costs about three forward passes: one forward, two backward."""


P = ParamSpec("P")
T = TypeVar("T")


class Cost(NamedTuple):
    """What one network costs; rates are of clips of 10 → 10 frames of 64×64."""

    parameters: int
    macs: int
    training: float
    """Clips a second."""
    inference: float
    """Clips a second."""
    memory: float
    """MiB that training and inference of one batch added to the process."""
    peak: float
    """Operations of training over what matrix products of this machine reach, in [0, 1]."""


class Latencies(NamedTuple):
    """Seconds that one network took, of one clip at a time, once in each turn."""

    clip: list[float]
    """10 → 10 frames."""
    frame: list[float]
    """One streamed frame: observed, and the next one drawn."""


def print_costs(batch_size: int, runs: int, threads: int) -> None:
    """Measure every network, each in a process of its own, their latencies in turn in one, and print a table."""
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
    """The cost of one network, in a fresh process, so that memory is its own."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = NETWORKS[name]()
    clips = torch.rand(batch_size, CONTEXT + HORIZON, *SIZE)
    before = _resident()
    training = batch_size / median_seconds(lambda: _train(net, clips), runs)
    net.eval()
    with torch.inference_mode():
        inference = batch_size / median_seconds(lambda: net(clips[:, :CONTEXT], HORIZON), runs)
    memory = _resident() - before
    macs = macs_per_clip(net, CONTEXT, HORIZON, SIZE)
    operations = 2 * PASSES * macs * training
    return Cost(count_parameters(net), macs, training, inference, memory, operations / _peak(runs))


@torch.inference_mode()
def measure_latencies(turns: int, threads: int) -> dict[str, Latencies]:
    """Of all networks in turn, one call of each: what slows a noisy machine down slows all of them down."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    context = torch.rand(1, CONTEXT, *SIZE)
    nets = {name: make().eval() for name, make in NETWORKS.items()}
    states = {name: net.observe(context[:, 0]) for name, net in nets.items()}
    found = {name: Latencies([], []) for name in nets}
    for _ in range(1 + turns):
        for name, net in nets.items():
            found[name].clip.append(_seconds(partial(net, context, HORIZON)))
            found[name].frame.append(_seconds(partial(_stream, net, context[:, 1], states[name])))
    return {name: Latencies(*(times[1:] for times in both)) for name, both in found.items()}  # the first warms up


def _stream(net: Forecaster, frame: Frame, state: State) -> Frame:
    return net.next_frame(net.observe(frame, state))


def _train(net: Forecaster, clips: torch.Tensor) -> None:
    """One step without its optimizer, on the network's own predictions beyond the context."""
    untaught = torch.zeros(clips.shape[:2], dtype=torch.bool)
    net.zero_grad()
    predicted = predict_every_frame(net, clips, CONTEXT, untaught)
    ((predicted.frames - clips[:, 1:]).square().mean() + predicted.auxiliary).backward()


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
