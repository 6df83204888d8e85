"""Training of a forecaster: predict every next frame of a clip; validate on the horizon."""

from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from framepred.clips import Clip, ClipBatch, FrameMask, fill_missing
from framepred.errors import ConfigError
from framepred.evaluation.formulas import frame_mse
from framepred.forecaster import Forecaster
from framepred.training.losses import measured_loss
from framepred.training.rollout import Predicted, predict_every_frame, truncated
from framepred.training.schedules import Curriculum, LRSchedulerFactory, TeacherForcing, WarmupCosine
from framepred.training.task import OptimizerFactory, Task


class ForecastTask(Task):
    """Trains a forecaster to predict every next frame of a clip; validates it on the horizon.

    Args:
        net: the forecaster to train.
        budget: as :class:`framepred.training.task.Task`.
        loss: as ``Task``.
        optimizer: as ``Task``.
        lr_scheduler: as ``Task``.
        teacher_forcing: schedule of the share of true input frames beyond the context.
        curriculum: as ``Task``.
        seed: as ``Task``.
        tbptt_steps: truncated backpropagation through time: gradients are cut after this many frames, so memory does
            not grow with the clip; None for none. States carry over, and an optimizer step covers whole clips.
        auxiliary_weight: weight of the network's auxiliary loss, at least 0; see
            :class:`framepred.forecaster.HasAuxiliaryLoss`.
        protocol: as ``Task``.

    Raises:
        ConfigError: as ``Task``, or if ``tbptt_steps`` is less than 1 or ``auxiliary_weight`` is negative; in training,
            if ``tbptt_steps`` meets 16-mixed precision.
    """

    net: Forecaster
    metrics = (*Task.metrics, "train/teacher")

    def __init__(
        self,
        net: Forecaster,
        budget: int,
        loss: nn.Module,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        lr_scheduler: LRSchedulerFactory = WarmupCosine,
        teacher_forcing: TeacherForcing = TeacherForcing(),  # noqa: B008 (frozen)
        curriculum: Curriculum = Curriculum(),  # noqa: B008 (frozen)
        seed: int = 0,
        tbptt_steps: int | None = None,
        auxiliary_weight: float = 0.0,
        protocol: str = "openstl",
    ) -> None:
        super().__init__(net, budget, loss, optimizer, lr_scheduler, curriculum, seed, protocol)
        if tbptt_steps is not None and tbptt_steps < 1:
            raise ConfigError(f"tbptt_steps must be at least 1 frame, or left out, not {tbptt_steps}.")
        if auxiliary_weight < 0:
            raise ConfigError(f"auxiliary_weight must be at least 0, not {auxiliary_weight}.")
        self.teacher_forcing = teacher_forcing
        self.tbptt_steps = tbptt_steps
        self.auxiliary_weight = auxiliary_weight

    @property
    def predictor(self) -> nn.Module:
        """The forecaster itself."""
        return self.net

    def on_fit_start(self) -> None:
        """Refuse float16 with truncation: the gradients of a chunk are computed before the loss is scaled."""
        super().on_fit_start()
        if self.tbptt_steps and self.trainer.precision == "16-mixed":
            raise ConfigError("tbptt_steps cannot be trained in the precision 16-mixed; use bf16-mixed or 32-true.")

    def training_step(self, batch: ClipBatch) -> Tensor:
        """Return the loss over every next frame; clips arrive as uint8 and become floats on the device."""
        batch = self.shorten(batch)
        loss, errors = self._loss_and_errors(batch, self._teacher_mask(batch.clips))
        self.log("train/teacher", self._teacher_probability)
        self.log_training(loss, errors[:, batch.context.shape[1] - 1 :].nanmean())
        return loss

    def schedule(self) -> dict[str, Any]:
        """Return what must stay the same when a run is resumed."""
        return super().schedule() | {
            "tbptt_steps": self.tbptt_steps,
            "teacher_forcing": asdict(self.teacher_forcing),
        }

    def _loss_and_errors(self, batch: ClipBatch, teacher: FrameMask) -> tuple[Tensor, Float[Tensor, "b _steps"]]:
        """Return the loss over every next frame, and the squared error of each, not clipped."""
        context, filler = batch.context.shape[1], batch.filler
        loss = partial(self._loss, filler=filler)
        if self.tbptt_steps:
            return truncated(self.net, loss, batch.clips, context, teacher, self.tbptt_steps, filler)
        clips = self.to_float(batch.clips)
        predicted = predict_every_frame(self.net, fill_missing(clips, filler), context, teacher)
        return loss(predicted, clips[:, 1:]), frame_mse(predicted.frames.detach(), clips[:, 1:])

    def _loss(self, predicted: Predicted, target: Clip, filler: float | None) -> Tensor:
        loss = measured_loss(self.loss, predicted.frames, target, filler)
        return loss + self.auxiliary_weight * predicted.auxiliary

    @property
    def _teacher_probability(self) -> float:
        return self.teacher_forcing.probability(self.global_step, self.budget)

    def _teacher_mask(self, clips: Tensor) -> FrameMask:
        """Draw, for the clips of all processes, where the input is the true frame; return the rows of this process."""
        count, length = clips.shape[:2]
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self._trainer else (0, 1)
        drawn = self.random.random((world * count, length)) < self._teacher_probability
        return torch.from_numpy(drawn[rank * count : (rank + 1) * count]).to(clips.device)
