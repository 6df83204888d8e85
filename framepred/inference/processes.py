"""Processes that share clips or files: those of torchrun or of an initialized process group."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from framepred.evaluation.averages import process_count, process_rank

__all__ = ["from_all_processes", "joined_processes", "process_is_alone", "process_is_first", "share_of_process"]

Value = TypeVar("Value")


def process_is_alone() -> bool:
    """Whether no other process shares the clips."""
    return process_count() == 1


def process_is_first() -> bool:
    """Whether this process writes and prints; before the processes have joined, torchrun's number decides."""
    return process_rank() == 0 and int(os.environ.get("RANK", 0)) == 0


def share_of_process(values: Sequence[Value]) -> Sequence[Value]:
    """Return every n-th value for n processes, beginning with the number of this one."""
    return values[process_rank() :: process_count()]


def from_all_processes(value: Value) -> list[Value]:
    """Return the values of all processes in their order; each process waits for the others."""
    if process_is_alone():
        return [value]
    import torch.distributed as distributed

    values: list[Value] = [value] * process_count()
    distributed.all_gather_object(values, value)
    return values


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
