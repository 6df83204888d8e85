"""Training and inference throughput of one and of several CPU processes of one thread each."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as distributed
import torch.multiprocessing as multiprocessing
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.gpu import rate, training_loss
from benchmarks.networks import NETWORKS
from framepred.clips import Clip
from framepred.forecaster import Forecaster

CONTEXT = HORIZON = 10
CPU = torch.device("cpu")


class Throughput(NamedTuple):
    """Clips per second of all processes together."""

    training: float
    """Forward and backward pass; gradients are averaged over the processes (DDP)."""
    inference: float


class TrainingLoss(nn.Module):
    """The loss of one training step as a module, which DistributedDataParallel can wrap."""

    def __init__(self, net: Forecaster) -> None:
        super().__init__()
        self.net = net

    def forward(self, clips: Clip) -> Tensor:
        """Return the loss of a batch ``(b, t, c, h, w)``."""
        return training_loss(self.net, clips, CONTEXT)


def print_throughput(names: Sequence[str], counts: Sequence[int], batch_size: int, side: int, seconds: float) -> None:
    """Measure each network with each number of processes, and print a table.

    Args:
        names: networks of :data:`benchmarks.networks.NETWORKS`; all of them if there are none.
        counts: numbers of processes; the ratios are relative to the first one.
        batch_size: clips per batch of each process.
        side: height and width of the frames, pixels.
        seconds: time of each measurement.
    """
    table = Table(
        "network", "processes", "training, clips/s", "ratio", "inference, clips/s", "ratio",
        title=f"{CONTEXT} → {HORIZON} frames of {side}x{side}, batches of {batch_size} per process, one thread each",
    )  # fmt: skip
    for name in names or NETWORKS:
        found = [measure(name, count, batch_size, side, seconds) for count in counts]
        for count, each in zip(counts, found, strict=True):
            training, inference = each.training / found[0].training, each.inference / found[0].inference
            table.add_row(
                name, str(count), f"{each.training:.2f}", f"{training:.2f}", f"{each.inference:.1f}", f"{inference:.2f}"
            )
    Console(width=100).print(table)


def measure(name: str, count: int, batch_size: int, side: int, seconds: float) -> Throughput:
    """Measure a network with ``count`` processes."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = (count, name, batch_size, side, seconds, folder)
        multiprocessing.spawn(_run, arguments, nprocs=count)
        found = [torch.load(_result(folder, rank)) for rank in range(count)]
    return Throughput(*(sum(rates) for rates in zip(*found, strict=True)))


def _run(rank: int, count: int, name: str, batch_size: int, side: int, seconds: float, folder: str) -> None:
    """Join the processes, measure training and inference, and save both rates."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=count)
    torch.manual_seed(rank)
    net = NETWORKS[name]()
    clips = torch.rand(batch_size, CONTEXT + HORIZON, 1, side, side)
    loss = DistributedDataParallel(TrainingLoss(net).train())
    training = _clips_per_second(lambda: loss(clips).backward(), batch_size, seconds)
    net.eval()
    with torch.inference_mode():
        inference = _clips_per_second(lambda: net(clips[:, :CONTEXT], HORIZON), batch_size, seconds)
    torch.save((training, inference), _result(folder, rank))
    distributed.destroy_process_group()


def _clips_per_second(work: Callable[[], object], batch_size: int, seconds: float) -> float:
    """Run the same number of calls in every process, because gradients are averaged over all of them."""
    calls = torch.tensor(max(1.0, seconds * rate(work, CPU, 0.0)))
    distributed.all_reduce(calls, distributed.ReduceOp.MIN)
    distributed.barrier()
    return batch_size * rate(work, CPU, calls=int(calls))


def _result(folder: str, rank: int) -> Path:
    return Path(folder) / f"rates-{rank}.pt"
