"""Callbacks of a training run: console report, run record, prediction panels, gradient flow."""

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from typing_extensions import override

from framepred import __version__
from framepred.clips import ClipBatch
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.media.atomic import atomic_write
from framepred.models.cost import count_parameters, macs_per_clip
from framepred.training.diagnosis import gradient_flow
from framepred.training.flow_plot import flow_picture
from framepred.training.task import ForecastTask
from framepred.visualization.panels import panel


class RunReport(Callback):
    """Prints what is trained on what, what it costs and where it is written; then a line per validation.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the first lines of a run."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, ForecastTask)
        data: LightningDataModule = trainer.datamodule  # type: ignore[attr-defined]
        batch: ClipBatch = next(iter(data.val_dataloader()))
        context, horizon = batch.context.shape[1], batch.target.shape[1]
        channels, height, width = batch.context.shape[2:]
        macs = macs_per_clip(pl_module.predictor, context, horizon, (channels, height, width))
        for line in (
            f"Trains   {type(pl_module.net).__name__}: {count_parameters(pl_module.net):,} parameters, "
            f"{macs / 1e9:.2f} GMACs a clip",
            f"on       {data.describe() if hasattr(data, 'describe') else type(data).__name__}",
            f"to see   {context} frames of {channels}x{height}x{width} and predict {horizon}",
            f"for      {pl_module.budget:,} steps, from step {trainer.global_step:,}, on {pl_module.device}",
            f"writes   {self.folder}: checkpoints/best.ckpt, checkpoints/last.ckpt, TensorBoard logs",
        ):
            self.console.print(line)

    def on_validation_end(self, trainer: Trainer, *_: object) -> None:
        """Print how the validation went."""
        if trainer.is_global_zero and not trainer.sanity_checking:
            mse = float(trainer.callback_metrics["val/mse"])
            self.console.print(f"step {trainer.global_step:>7,}   val/mse {mse:.2f} (protocol openstl)")


class PredictionPanels(Callback):
    """Draws the first validation clips beside their predictions, for TensorBoard.

    Args:
        clips: how many clips a panel shows.
    """

    def __init__(self, clips: int = 3) -> None:
        self.clips = clips

    @override
    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: ClipBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw from the first batch of a validation."""
        if batch_idx or trainer.sanity_checking or not isinstance(trainer.logger, TensorBoardLogger):
            return
        if batch.context.shape[2] not in (1, 3):  # measurements or words: no picture shows them
            return
        assert isinstance(pl_module, ForecastTask)
        context, target = (frames[: self.clips] for frames in batch)
        prediction = pl_module.predictor(context, target.shape[1])
        picture = panel(context, target, prediction)
        trainer.logger.experiment.add_image("val/panel", picture, trainer.global_step, dataformats="HWC")


class GradientFlow(Callback):
    """Logs to TensorBoard how far learning reaches back in time, as ``framepred diagnose`` measures it.

    For each memory a number, the gradient at the first step over that at the last, and for all of them a plot.

    Args:
        every: optimizer steps from one measurement to the next.
        clips: how many clips of the training batch are looked at.

    Raises:
        ConfigError: if an argument is less than 1, or, in training, if the network has no memory.
    """

    def __init__(self, every: int = 500, clips: int = 4) -> None:
        if min(every, clips) < 1:
            raise ConfigError(f"every and clips must be at least 1, not {every} and {clips}.")
        self.every = every
        self.clips = clips

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Measure on a batch just trained on."""
        if trainer.global_step % self.every or not isinstance(trainer.logger, TensorBoardLogger):
            return
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, ForecastTask)
        assert isinstance(pl_module.net, Forecaster)
        few = ClipBatch(*(frames[: self.clips] for frames in batch))
        flows = gradient_flow(pl_module.net, pl_module.loss, few)
        board, step = trainer.logger.experiment, trainer.global_step
        for flow in flows:
            board.add_scalar(f"gradient-flow/{flow.name.replace(': ', '-').replace(' ', '-')}", flow.shares[-1], step)
        board.add_image("gradient-flow/plot", flow_picture(flows), step, dataformats="HWC")


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
        with atomic_write(self.file) as draft:
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
