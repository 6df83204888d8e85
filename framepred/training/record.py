"""What a run took: steps, minutes, seconds a step and on what machine; measured, also over a kill and a resume."""

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console

from framepred import __version__
from framepred.media.atomic import written_beside


@dataclass
class Spent:
    """What the weights of a run took so far.

    Attributes:
        steps: optimizer steps.
        training: seconds of wall clock, with data and logging, without validation.
        validating: seconds of wall clock.
        machines: what each piece of the run was trained on, in order.
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
        """Wall clock of a step, validation left out; 0 before the first."""
        return self.training / self.steps if self.steps else 0.0


class RunRecord(Callback):
    """Measures what a run takes, prints it at the end, and keeps it in ``run.json`` in the run's folder.

    The measure travels with the checkpoints, so that a run that was killed and resumed sums over its pieces; the steps
    that a kill lost are neither in the weights nor in the sum.

    Args:
        folder: the run's folder.
        clock: tells the time in seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = perf_counter) -> None:
        self.file = folder / "run.json"
        self.clock = clock
        self.spent = Spent()
        self._mark: float | None = None  # when the current lap began; None outside training

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin a piece of the run."""
        self.spent.machines.append(_machine(pl_module.device, trainer.world_size))
        self._steps_elsewhere = trainer.global_step - self.spent.steps
        self._mark = self.clock()

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Count steps."""
        self.spent.steps = trainer.global_step - self._steps_elsewhere

    def on_validation_start(self, *_: object) -> None:
        """End a lap of training."""
        self.spent.training += self._lap()

    def on_validation_end(self, trainer: Trainer, *_: object) -> None:
        """End a lap of validation, and write what a kill would leave behind."""
        self.spent.validating += self._lap()
        self._write(trainer)

    def on_train_end(self, trainer: Trainer, *_: object) -> None:
        """Write and print what the run took."""
        self.spent.training += self._lap()
        self._write(trainer)
        if trainer.is_global_zero:
            Console(stderr=True, highlight=False, soft_wrap=True).print(
                f"took     {self.spent.minutes:.1f} minutes for {self.spent.steps:,} steps, "
                f"{self.spent.seconds_per_step:.3g} s a step without validation, on {self._machines()}"
            )

    def state_dict(self) -> dict[str, Any]:
        """What was spent until this checkpoint."""
        self.spent.training += self._lap()
        return asdict(self.spent)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting from a checkpoint."""
        self.spent = Spent(**state_dict)

    def _lap(self) -> float:
        """Seconds since the lap before; none outside training, such as in the validation that precedes it."""
        if self._mark is None:
            return 0.0
        before, self._mark = self._mark, self.clock()
        return self._mark - before

    def _machines(self) -> str:
        return ", then ".join(dict.fromkeys(self.spent.machines))

    def _write(self, trainer: Trainer) -> None:
        if self._mark is None or not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        record = {
            "framepred": __version__,
            "steps": self.spent.steps,
            "minutes": round(self.spent.minutes, 2),
            "validation_minutes": round(self.spent.validating / 60, 2),
            "seconds_per_step": round(self.spent.seconds_per_step, 4),
            "pieces": len(self.spent.machines),
            "machine": self._machines(),
        }
        with written_beside(self.file) as draft:
            draft.write_text(json.dumps(record, indent=2) + "\n")


def _machine(device: torch.device, processes: int) -> str:
    """The class of machine that a run is trained on: the accelerator, or what PyTorch uses of the processor."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
        name = f"CPU ({processor}, threads: {torch.get_num_threads()})"
    else:
        name = device.type
    return name if processes == 1 else f"{processes} × {name}"
