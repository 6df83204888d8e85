"""Callback that measures the time of a run over all its sessions."""

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from framepred import __version__
from framepred.media.atomic import atomic_write
from framepred.training.callbacks import console


@dataclass
class RunTotals:
    """What a run has taken so far, over all its sessions.

    Attributes:
        steps: optimizer steps.
        training: seconds of wall clock in training, with data loading and logging, without validation.
        validating: seconds of wall clock in validation.
        machines: the machine class of each session, in order; a resumed run has several sessions.
    """

    steps: int = 0
    training: float = 0.0
    validating: float = 0.0
    machines: list[str] = field(default_factory=list)

    @property
    def minutes(self) -> float:
        """Wall clock of training and validation."""
        return (self.training + self.validating) / 60

    @property
    def seconds_per_step(self) -> float:
        """Wall clock of a step without validation; 0 before the first step."""
        return self.training / self.steps if self.steps else 0.0

    @property
    def machine(self) -> str:
        """The machine classes of all sessions."""
        return ", then ".join(dict.fromkeys(self.machines))


class RunSummary(Callback):
    """Measures the time of a run, prints it at the end, and writes it to ``run.json`` in the run's folder.

    The totals are part of the checkpoints, so a resumed run adds up its sessions. Steps lost by a kill do not count.

    Args:
        folder: the run's folder.
        clock: returns the time in seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = perf_counter) -> None:
        self.file = folder / "run.json"
        self.clock = clock
        self.totals = RunTotals()
        self._interval_start: float | None = None  # None outside training
        self._steps_before = 0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin a session."""
        self.totals.machines.append(_machine(pl_module.device, trainer.world_size))
        self._steps_before = trainer.global_step - self.totals.steps
        self._interval_start = self.clock()

    @override
    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Count steps."""
        self.totals.steps = trainer.global_step - self._steps_before

    @override
    def on_validation_start(self, *_: object) -> None:
        """Add the time of training since the last validation."""
        self.totals.training += self._elapsed()

    @override
    def on_validation_end(self, trainer: Trainer, *_: object) -> None:
        """Add the time of the validation, and write the summary."""
        self.totals.validating += self._elapsed()
        self._write(trainer)

    @override
    def on_train_end(self, trainer: Trainer, *_: object) -> None:
        """Write and print the summary."""
        self.totals.training += self._elapsed()
        self._write(trainer)
        self._interval_start = None
        if trainer.is_global_zero:
            console().print(
                f"took     {self.totals.minutes:.1f} minutes for {self.totals.steps:,} steps, "
                f"{self.totals.seconds_per_step:.3g} s per step without validation, on {self.totals.machine}"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the totals up to this checkpoint."""
        self.totals.training += self._elapsed()
        return asdict(self.totals)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the totals of a checkpoint."""
        self.totals = RunTotals(**state_dict)

    def _elapsed(self) -> float:
        """Return the seconds since the last call; 0 outside training, as in the sanity check."""
        if self._interval_start is None:
            return 0.0
        before, self._interval_start = self._interval_start, self.clock()
        return self._interval_start - before

    def _write(self, trainer: Trainer) -> None:
        if self._interval_start is None or not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        summary = {
            "framepred": __version__,
            "steps": self.totals.steps,
            "minutes": round(self.totals.minutes, 2),
            "validation_minutes": round(self.totals.validating / 60, 2),
            "seconds_per_step": round(self.totals.seconds_per_step, 4),
            "sessions": len(self.totals.machines),
            "machine": self.totals.machine,
        }
        with atomic_write(self.file) as draft:
            draft.write_text(json.dumps(summary, indent=2) + "\n")


def _machine(device: torch.device, processes: int) -> str:
    """Return the machine class: the accelerator, or the processor as PyTorch uses it."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
        name = f"CPU ({processor}, threads: {torch.get_num_threads()})"
    else:
        name = device.type
    return name if processes == 1 else f"{processes} × {name}"
