"""Time of an evaluation beside that of the network alone, and its peak memory by the number of clips."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
import typer

from benchmarks.process_memory import peak_mib
from framepred.clips import RawClip
from framepred.evaluation.scorer import read_batch
from framepred.inference.evaluate import NamedPredictor, evaluate, open_weights, score
from framepred.inference.evaluation_data import ClipChoice, open_data

CPU = torch.device("cpu")


def print_times(weights: str, clips: int, turns: int, root: Path | None) -> None:
    """Evaluate Moving MNIST and predict the same clips alone, in turn; print both times and their ratio."""
    torch.set_num_threads(1)
    choice = ClipChoice(clips=clips, root=root)
    named = open_weights(weights)
    contexts = [batch.context for batch in open_data("moving-mnist", choice).batches]  # uint8, generated beforehand
    _predict(named, contexts[:1], choice.horizon)  # warms up
    alone, whole = [], []
    for _ in range(turns):
        alone.append(_cpu_seconds(lambda: _predict(named, contexts, choice.horizon)))
        whole.append(_cpu_seconds(lambda: score([named], open_data("moving-mnist", choice))))
    ratio = statistics.median(one / other for one, other in zip(whole, alone, strict=True))
    typer.echo(
        f"scoring: {weights}, {clips:,} clips of Moving MNIST beside three baselines, one core, median of {turns}: "
        f"network alone {statistics.median(alone):.1f} s, evaluation {statistics.median(whole):.1f} s of CPU time, "
        f"ratio {ratio:.3f}"
    )


def print_memory(weights: str, counts: list[int]) -> None:
    """Evaluate each number of clips in a process of its own; print its peak memory."""
    for clips in counts:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            peak = process.submit(_peak_memory, weights, clips).result()
        typer.echo(f"scoring: {weights}, {clips:,} clips, peak memory {peak:.0f} MiB")


@torch.inference_mode()
def _predict(named: NamedPredictor, contexts: list[RawClip], horizon: int) -> None:
    assert callable(named.predictor)
    for context in contexts:
        named.predictor(read_batch(context, CPU), horizon)


def _peak_memory(weights: str, clips: int) -> float:
    torch.set_num_threads(1)
    evaluate(weights, clips=clips, device="cpu")
    return peak_mib()


def _cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time, which other programs on the machine hardly change."""
    start = time.process_time()
    work()
    return time.process_time() - start
