"""Processes that share the clips of an evaluation: those of torchrun or of an initialized process group."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from framepred.evaluation.metrics import process_count, process_rank

__all__ = ["joined_processes", "process_is_alone", "process_is_first"]


def process_is_alone() -> bool:
    """Whether no other process shares the clips."""
    return process_count() == 1


def process_is_first() -> bool:
    """Whether this process writes and prints; before the processes have joined, torchrun's number decides."""
    return process_rank() == 0 and int(os.environ.get("RANK", 0)) == 0


@contextmanager
def joined_processes() -> Iterator[None]:
    """Join the processes that torchrun started, unless they have joined already, and part afterwards."""
    import torch.distributed as distributed

    if not _started_by_torchrun() or not distributed.is_available() or distributed.is_initialized():
        yield
        return
    distributed.init_process_group("gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _started_by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", 1)) > 1
