"""Latency, start-up and memory of one network in PyTorch eager, ``torch.compile``, ONNX Runtime and OpenVINO."""

import operator
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple, TypeAlias

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.process_memory import peak_mib
from benchmarks.timing import seconds_of, stream_frame
from framepred.clips import State
from framepred.exporting.export import export
from framepred.exporting.graphs import StepGraph
from framepred.forecaster import Forecaster
from framepred.models.exported import ExportedForecaster, Graph, load_onnx
from framepred.models.pretrained import load
from framepred.onnx_graphs import graph_path

CONTEXT = HORIZON = 10
SIZE = (64, 64)
Runtime: TypeAlias = Literal["eager", "compiled", "onnx", "openvino"]


class Start(NamedTuple):
    """A fresh process that loads the network and predicts one frame."""

    seconds: float
    """From the start of the process to the first predicted frame."""
    memory: float
    """Peak resident memory of the process, MiB."""


class Latencies(NamedTuple):
    """Seconds per call with one clip, one measurement per turn."""

    clip: list[float]
    """10 → 10 frames."""
    frame: list[float]
    """One streamed frame after the context: observe it and predict the next one."""


def print_latencies(weights: str, turns: int, threads: int, compiled: bool) -> None:
    """Export the network, measure every runtime, and print a table."""
    with TemporaryDirectory() as folder:
        file = export(weights, Path(folder) / "model.onnx", size=SIZE).files[1]
        runtimes: list[Runtime] = ["eager", "compiled", "onnx"] if compiled else ["eager", "onnx"]
        if find_spec("openvino"):
            runtimes.append("openvino")
        starts = {name: measure_start(name, weights, file, threads) for name in runtimes}
        latencies = measure_latencies(runtimes, weights, file, turns, threads)
    Console(width=100).print(_table(weights, threads, starts, latencies))


def measure_start(runtime: Runtime, weights: str, file: Path, threads: int) -> Start:
    """Start a fresh process that predicts one frame."""
    start = time.perf_counter()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        memory = process.submit(_first_frame, runtime, weights, file, threads).result()
        return Start(time.perf_counter() - start, memory)


@torch.inference_mode()
def measure_latencies(
    runtimes: list[Runtime], weights: str, file: Path, turns: int, threads: int
) -> dict[Runtime, Latencies]:
    """Measure all runtimes in turn, so that load on the machine affects all of them alike."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    nets = {name: _open(name, weights, file) for name in runtimes}
    context = torch.rand(1, CONTEXT, nets["eager"].channels, *SIZE)
    states = {name: net.observe_clip(context) for name, net in nets.items()}
    found = {name: Latencies([], []) for name in nets}
    for _ in range(1 + turns):
        for name, net in nets.items():
            found[name].clip.append(seconds_of(partial(net, context, HORIZON)))
            found[name].frame.append(seconds_of(partial(stream_frame, net, context[:, 0], states[name])))
    return {name: Latencies(*(times[1:] for times in both)) for name, both in found.items()}  # the first turn warms up


def _first_frame(runtime: Runtime, weights: str, file: Path, threads: int) -> float:
    """Load a runtime and predict one frame; return the peak memory of this process in MiB."""
    torch.set_num_threads(threads)
    net = _open(runtime, weights, file)
    with torch.inference_mode():
        net.next_frame(net.observe(torch.rand(1, net.channels, *SIZE)))
    return peak_mib()


def _open(runtime: Runtime, weights: str, file: Path) -> Forecaster:
    if runtime == "onnx":
        return load_onnx(file)
    if runtime == "openvino":
        info = load_onnx(file).info
        return ExportedForecaster({name: _openvino(graph_path(file, name)) for name in info.graphs}, info).eval()
    net = load(weights)
    if runtime == "eager":
        return net
    info = load_onnx(file).info
    return ExportedForecaster({name: _compiled(net, name) for name in info.graphs}, info).eval()


def _compiled(net: Forecaster, name: str) -> Callable[[list[torch.Tensor]], State]:
    graph = torch.compile(StepGraph(net, name))
    return lambda inputs: graph(*inputs)


def _openvino(file: Path) -> Graph:
    """Return a graph that OpenVINO runs in single precision, as the other runtimes do."""
    import openvino

    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = openvino.Core().compile_model(file, "CPU", hints)
    return lambda inputs: tuple(
        torch.from_numpy(value.copy()) for value in compiled([tensor.numpy() for tensor in inputs]).to_tuple()
    )


def _table(weights: str, threads: int, starts: dict[Runtime, Start], latencies: dict[Runtime, Latencies]) -> Table:
    turns = len(latencies["eager"].clip)
    table = Table("", *starts, title=f"{weights}, {SIZE[0]}x{SIZE[1]}, {threads} threads, median of {turns}")
    for label, part in {"a clip of 10 → 10": "clip", "a streamed frame": "frame"}.items():
        times = [getattr(found, part) for found in latencies.values()]
        table.add_row(f"{label}, ms", *(f"{1e3 * statistics.median(each):.1f}" for each in times))
        ratios = [map(operator.truediv, each, getattr(latencies["eager"], part)) for each in times]
        table.add_row(f"{label}, × eager", *(f"{statistics.median(each):.2f}" for each in ratios))
    table.add_row("start to first frame, s", *(f"{found.seconds:.1f}" for found in starts.values()))
    table.add_row("peak memory, MiB", *(f"{found.memory:.0f}" for found in starts.values()))
    return table
