"""Callbacks of a training run: console report, its config, prediction panels, gradient flow."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from typing_extensions import override

from framepred.clips import ClipBatch
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.media.atomic import atomic_write
from framepred.models.cost import count_parameters, macs_per_clip
from framepred.training.diagnosis import gradient_flow
from framepred.training.task import Task, divides_parameters, validates_a_training
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
        self._parameters = 0

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Count the parameters before they are divided among processes."""
        assert isinstance(pl_module, Task)
        self._parameters = count_parameters(pl_module.net)

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Print the first lines of a run, with the sizes of its first batch."""
        if self.reported or not trainer.is_global_zero:
            return
        self.reported = True
        assert isinstance(pl_module, Task)
        data = trainer.datamodule  # type: ignore[attr-defined]
        cost, clips = _cost_and_clips(pl_module, batch, whole=not divides_parameters(trainer))
        lines = [
            f"Trains   {type(pl_module.net).__name__}: {self._parameters:,} parameters{cost}",
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
            console().print(line)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the score of a validation of the training, and whether the predictions have collapsed."""
        assert isinstance(pl_module, Task)
        score = pl_module.val_score
        if not trainer.is_global_zero or not validates_a_training(trainer) or score is None:
            return
        console().print(f"step {trainer.global_step:>7,}   {score.summary}")
        if score.note:
            console().print(score.note, style="bold red")


def _cost_and_clips(task: Task, batch: Any, *, whole: bool) -> tuple[str, list[str]]:
    """Describe the cost and the sizes of clips; nothing for batches that are no clips, such as simulated paths.

    The cost is counted by running the network, so only where this process holds the whole of it.
    """
    if not isinstance(batch, ClipBatch):
        return "", []
    context, horizon = batch.context.shape[1], batch.target.shape[1]
    channels, height, width = batch.context.shape[2:]
    gmacs = _gmacs(task, context, horizon, (channels, height, width)) if whole else "uncounted"
    return (
        f", {gmacs} GMACs per clip",
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
        """Draw from the first batch of a validation; ``outputs`` are its predictions."""
        if batch_idx or not validates_a_training(trainer) or not isinstance(trainer.logger, TensorBoardLogger):
            return
        if batch.context.shape[2] not in PICTURE_CHANNELS or not trainer.is_global_zero:
            return
        if not isinstance(outputs, torch.Tensor) or not outputs.isfinite().all():  # StopOnDivergence says so
            return
        assert isinstance(pl_module, Task)
        shown = first_clips(pl_module.validation_batch(batch), self.clips)
        picture = panel(shown.context, shown.target, outputs[: self.clips])
        trainer.logger.experiment.add_image("val/panel", picture, trainer.global_step, dataformats="HWC")


class GradientFlow(Callback):
    """Logs gradient flow through time to TensorBoard, as ``framepred diagnose`` measures it.

    For each memory a number, the gradient norm at the first step divided by that at the last, and a plot of all. Where
    processes share the parameters, as under FSDP, nothing is measured.

    Args:
        interval: optimizer steps between measurements.
        clips: number of clips of the training batch that are measured.

    Raises:
        ConfigError: if an argument is less than 1; in training, if the network has no recurrent memory, or the batches
            are no clips.
    """

    def __init__(self, interval: int = 500, clips: int = 4) -> None:
        if min(interval, clips) < 1:
            raise ConfigError(f"interval and clips must be at least 1, not {interval} and {clips}.")
        self.interval = interval
        self.clips = clips

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say it where nothing is measured."""
        if divides_parameters(trainer) and trainer.is_global_zero:
            console().print("Gradient flow is not measured, because the processes share the parameters.")

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Any, batch_idx: int
    ) -> None:
        """Measure on the batch that completed an optimizer step."""
        if trainer.global_step % self.interval or trainer.fit_loop._should_accumulate():
            return
        if not isinstance(trainer.logger, TensorBoardLogger) or not trainer.is_global_zero:
            return
        if divides_parameters(trainer):
            return
        assert isinstance(pl_module, Task)
        if not isinstance(pl_module.net, Forecaster):
            raise ConfigError(f"{type(pl_module.net).__name__} is no forecaster, so it has no gradient flow to log.")
        if not isinstance(batch, ClipBatch):
            raise ConfigError(f"Gradient flow is measured on clips, not on a {type(batch).__name__}; leave it out.")
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


def console() -> Console:
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
