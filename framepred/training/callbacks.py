"""Callbacks of a training run: console report, run summary, prediction panels, gradient flow, progress bar."""

import json
import platform
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
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
from framepred.training.task import Task, validates_a_training
from framepred.visualization.gradient_flow import flow_image
from framepred.visualization.panels import panel

PICTURE_CHANNELS = (1, 3)
"""Numbers of channels that can be shown as a picture: gray and RGB."""


class RunReport(Callback):
    """Prints what is trained on what, its cost and where it is written; then a line per validation.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reported = False

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Print the first lines of a run, with the sizes of its first batch."""
        if self.reported or not trainer.is_global_zero:
            return
        self.reported = True
        assert isinstance(pl_module, Task)
        data = trainer.datamodule  # type: ignore[attr-defined]
        cost, clips = _cost_and_clips(pl_module, batch)
        lines = [
            f"Trains   {type(pl_module.net).__name__}: {count_parameters(pl_module.net):,} parameters{cost}",
            f"data     {data.describe() if hasattr(data, 'describe') else type(data).__name__}",
            *clips,
            f"steps    {trainer.global_step:,} to {pl_module.budget:,}, on {pl_module.device}",
            f"writes   {self.folder}: {_outputs(trainer)}",
        ]
        if pl_module.previous_budget is not None:
            lines.append(
                f"resumed  with a budget of {pl_module.previous_budget:,} steps before; from here on all schedules are "
                f"those of a budget of {pl_module.budget:,} steps"
            )
        for line in lines:
            _console().print(line)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the score of a validation of the training, and whether the predictions have collapsed."""
        assert isinstance(pl_module, Task)
        score = pl_module.val_score
        if not trainer.is_global_zero or not validates_a_training(trainer) or score is None:
            return
        _console().print(f"step {trainer.global_step:>7,}   {score.summary}")
        if score.note:
            _console().print(score.note, style="bold red")


def _cost_and_clips(task: Task, batch: Any) -> tuple[str, list[str]]:
    """Describe the cost and the sizes of clips; nothing for batches that are no clips, such as simulated paths."""
    if not isinstance(batch, ClipBatch):
        return "", []
    context, horizon = batch.context.shape[1], batch.target.shape[1]
    channels, height, width = batch.context.shape[2:]
    return (
        f", {_gmacs(task, context, horizon, (channels, height, width))} GMACs per clip",
        [f"clips    {context} context frames of {channels}x{height}x{width}, {horizon} frames to predict"],
    )


class RunConfig(Callback):
    """Writes the config of a run to ``config.yaml`` in its folder when training starts.

    Args:
        folder: the run's folder.
        text: the whole config as YAML.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.file = folder / "config.yaml"
        self.text = text

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            with atomic_write(self.file) as draft:
                draft.write_text(self.text, encoding="utf-8")


class PredictionPanels(Callback):
    """Draws the first validation clips beside their predictions, for TensorBoard.

    Args:
        clips: number of clips in a panel.
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
        if batch_idx or not validates_a_training(trainer) or not isinstance(trainer.logger, TensorBoardLogger):
            return
        if batch.context.shape[2] not in PICTURE_CHANNELS or not len(batch.context) or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, Task)
        shown = pl_module.validation_batch(first_clips(batch, self.clips))
        prediction = pl_module.predictor(pl_module.to_float(shown.context), shown.target.shape[1])
        picture = panel(shown.context, shown.target, prediction.float())
        trainer.logger.experiment.add_image("val/panel", picture, trainer.global_step, dataformats="HWC")


class GradientFlow(Callback):
    """Logs gradient flow through time to TensorBoard, as ``framepred diagnose`` measures it.

    For each memory a number, the gradient norm at the first step divided by that at the last, and a plot of all.

    Args:
        interval: optimizer steps between measurements.
        clips: number of clips of the training batch that are measured.

    Raises:
        ConfigError: if an argument is less than 1; in training, if the network has no recurrent memory.
    """

    def __init__(self, interval: int = 500, clips: int = 4) -> None:
        if min(interval, clips) < 1:
            raise ConfigError(f"interval and clips must be at least 1, not {interval} and {clips}.")
        self.interval = interval
        self.clips = clips

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Measure on a batch that was just trained on."""
        if trainer.global_step % self.interval or not isinstance(trainer.logger, TensorBoardLogger):
            return
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, Task)
        if not isinstance(pl_module.net, Forecaster):
            raise ConfigError(f"{type(pl_module.net).__name__} is no forecaster, so it has no gradient flow to log.")
        few = first_clips(batch, self.clips)
        few = ClipBatch(pl_module.to_float(few.context), pl_module.to_float(few.target))
        flows = gradient_flow(pl_module.net, pl_module.loss, few)
        board, step = trainer.logger.experiment, trainer.global_step
        for flow in flows:
            board.add_scalar(f"gradient-flow/{flow.name.replace(': ', '-').replace(' ', '-')}", flow.ratios[-1], step)
        board.add_image("gradient-flow/plot", flow_image(flows), step, dataformats="HWC")


def first_clips(batch: ClipBatch, clips: int) -> ClipBatch:
    """Return the first clips of a batch, with missing pixels filled."""
    context, target, _ = batch.filled()
    return ClipBatch(context[:clips], target[:clips])


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
            _console().print(
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


def _console() -> Console:
    """Return a console on standard error; made at each call, because a console cannot be pickled for spawn."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def _gmacs(task: Task, context: int, horizon: int, size: tuple[int, int, int]) -> str:
    """Return the billions of multiply-accumulates per clip, counted in float32."""
    predictor = task.predictor if task.dtype == torch.float32 else deepcopy(task.predictor).float()
    return f"{macs_per_clip(predictor, context, horizon, size) / 1e9:.2f}"


def _outputs(trainer: Trainer) -> str:
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return "nothing, because fast_dev_run is a trial"
    best = "checkpoints/best.ckpt with its report.html, " if _validates(trainer) else ""
    logs = ", TensorBoard logs" if isinstance(trainer.logger, TensorBoardLogger) else ""
    return f"{best}checkpoints/last.ckpt{logs}" if trainer.checkpoint_callbacks else f"no checkpoint{logs}"


def _validates(trainer: Trainer) -> bool:
    """Whether a validation takes place before the last step."""
    counts = trainer.num_val_batches
    return bool(sum(counts) if isinstance(counts, list) else counts)


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
