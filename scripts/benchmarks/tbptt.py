"""Memory of training on long clips, with full and truncated backpropagation through time."""

import re
from multiprocessing import get_context
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from framepred.clips import ClipBatch
from framepred.models import EncoderForecaster
from framepred.training import ForecastTask

SIDE, CONTEXT = 64, 10


def print_memory(lengths: list[int], steps: int, batch_size: int) -> None:
    """Measure every length with and without truncation, each in a new process, and print a table."""
    table = Table("frames per clip", "full, MiB", f"truncated to {steps} frames, MiB", title=f"batches of {batch_size}")
    for length in lengths:
        whole, cut = (_in_a_fresh_process(length, cutting, batch_size) for cutting in (None, steps))
        table.add_row(f"{length:,}", f"{whole:,.0f}", f"{cut:,.0f}")
    Console().print(table)
    print(f"memory that one training step adds to the process, two ConvLSTM layers of 64 channels, {SIDE}×{SIDE}")


def _in_a_fresh_process(length: int, steps: int | None, batch_size: int) -> float:
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_added, (length, steps, batch_size))


def _added(length: int, steps: int | None, batch_size: int) -> float:
    """Return the MiB that a training step needs beyond one on a clip of two frames."""
    torch.set_num_threads(1)
    task = ForecastTask(EncoderForecaster(), 1, torch.nn.MSELoss(), tbptt_steps=steps)
    task.log = task.log_dict = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    clips = torch.randint(0, 256, (batch_size, length, 1, SIDE, SIDE), dtype=torch.uint8)
    task.training_step(ClipBatch.cut(clips[:, :2], 1)).backward()
    before = _peak()
    task.training_step(ClipBatch.cut(clips, CONTEXT)).backward()
    return _peak() - before


def _peak() -> float:
    """Return the peak memory of this process in MiB; Linux only."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1024
