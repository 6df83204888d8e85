"""Training of a forecaster: predict every next frame of a clip; validate on the horizon."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from framepred.baselines.lost_frames import read_for_training
from framepred.clips import Clip, ClipBatch, FrameMask, State
from framepred.errors import ConfigError
from framepred.evaluation.formulas import frame_mse
from framepred.forecaster import Forecaster
from framepred.training.compiling import CompiledCells
from framepred.training.course import Settings, class_setting
from framepred.training.losses import measured_loss
from framepred.training.rollout import Predicted, observe_back_and_forth, predict_every_frame, truncated
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
        shortest_context: observed frames of a training step at least; each step draws their number, up to the context
            of the data, and keeps the horizon. None for always the context of the data. A recurrent network that is
            trained on a single length learns to count frames, and fails in longer streams.
        burn_in: longest stream before a clip, in frames; it may be longer than the clips. Half of the steps begin in
            the state that the network has after a stream of up to this length, without gradients. The stream is the
            first half of the context, played forward and backward again and again, so its motion turns at both ends. 0
            for none; not with ``tbptt_steps``.
        compiled: whether the recurrent cells run compiled in training. Compiling takes about a minute at the start.

    Raises:
        ConfigError: as ``Task``, or if ``compiled`` is set for a network without recurrent cells, ``tbptt_steps`` or
            ``shortest_context`` is less than 1, ``auxiliary_weight`` or ``burn_in`` is negative, or ``burn_in`` meets
            ``tbptt_steps``; in training, if ``tbptt_steps`` meets 16-mixed precision, ``shortest_context`` is longer
            than the context of the data, or ``burn_in`` meets a context of one frame.
    """

    net: Forecaster
    training_metrics = (*Task.training_metrics, "train/teacher")

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
        shortest_context: int | None = None,
        burn_in: int = 0,
        compiled: bool = False,
    ) -> None:
        super().__init__(net, budget, loss, optimizer, lr_scheduler, curriculum, seed, protocol)
        if tbptt_steps is not None and tbptt_steps < 1:
            raise ConfigError(f"tbptt_steps must be at least 1 frame, or left out, not {tbptt_steps}.")
        if auxiliary_weight < 0:
            raise ConfigError(f"auxiliary_weight must be at least 0, not {auxiliary_weight}.")
        if shortest_context is not None and shortest_context < 1:
            raise ConfigError(f"shortest_context must be at least 1 frame, or left out, not {shortest_context}.")
        if burn_in < 0 or (burn_in and tbptt_steps):
            raise ConfigError(
                f"burn_in is a number of frames of at least 0, and 0 with tbptt_steps; burn_in is {burn_in} and "
                f"tbptt_steps {tbptt_steps}."
            )
        self.compiled: AbstractContextManager[None] = CompiledCells(net) if compiled else nullcontext()
        self.teacher_forcing = teacher_forcing
        self.burn_in = burn_in
        self.shortest_context = shortest_context
        self.tbptt_steps = tbptt_steps
        self.auxiliary_weight = auxiliary_weight

    @property
    def predictor(self) -> nn.Module:
        """The forecaster itself."""
        return self.net

    def on_fit_start(self) -> None:
        """Refuse settings without effect, and float16 with truncation: its gradients come before the loss is scaled."""
        super().on_fit_start()
        context = getattr(getattr(self.trainer, "datamodule", None), "context", None)
        if context == 1 and self.burn_in:
            raise ConfigError("burn_in plays the first half of a context of at least 2 frames; raise the context.")
        if context and self.shortest_context and self.shortest_context > context:
            raise ConfigError(
                f"shortest_context must be at most the context of the data, {context} frames, not "
                f"{self.shortest_context}."
            )
        if self.tbptt_steps and self.trainer.precision == "16-mixed":
            raise ConfigError("tbptt_steps cannot be trained in the precision 16-mixed; use bf16-mixed or 32-true.")

    def training_step(self, batch: ClipBatch) -> Tensor:
        """Return the loss over every next frame; clips arrive as uint8 and become floats on the device."""
        batch = self.shorten(batch)
        with self.compiled:
            loss, errors = self._loss_and_errors(batch, self._teacher_mask(batch.clips))
        self.log("train/teacher", self._teacher_probability)
        self.log_training(loss, errors[:, -batch.target.shape[1] :].nanmean())
        return loss

    def schedule(self) -> dict[str, Any]:
        """Return what must stay the same when a run is resumed."""
        drawn = {"shortest_context": self.shortest_context, "burn_in": self.burn_in}
        return super().schedule() | {
            "tbptt_steps": self.tbptt_steps,
            "teacher_forcing": asdict(self.teacher_forcing),
            **{name: value for name, value in drawn.items() if value},  # older checkpoints have neither
        }

    def course(self) -> Settings:
        """Return what else decides the course of a run."""
        return super().course() | {
            "auxiliary_weight": self.auxiliary_weight,
            **class_setting("teacher_forcing", self.teacher_forcing),
        }

    def shorten(self, batch: ClipBatch) -> ClipBatch:
        """Draw the context of this step, then cut each clip as the curriculum asks."""
        if self.shortest_context is None:
            return super().shorten(batch)
        longest, horizon = batch.context.shape[1], batch.target.shape[1]
        context = int(self.random.integers(min(self.shortest_context, longest), longest + 1))
        return super().shorten(ClipBatch.cut(batch.clips[:, : context + horizon], context, batch.filler))

    def _loss_and_errors(self, batch: ClipBatch, teacher: FrameMask) -> tuple[Tensor, Float[Tensor, "b _steps"]]:
        """Return the loss over every next frame, and the squared error of each, not clipped."""
        context, filler = batch.context.shape[1], batch.filler
        loss = partial(self._loss, filler=filler)
        if self.tbptt_steps:
            return truncated(self.net, loss, batch.clips, context, teacher, self.tbptt_steps, filler)
        clips = self.to_float(batch.clips)
        inputs, lost = read_for_training(clips, context, filler)
        start, state = self._burned_in(inputs, context)
        inputs, target, teacher = inputs[:, start:], clips[:, start + 1 :], teacher[:, start:]
        lost = None if lost is None else lost[:, start:]
        predicted = predict_every_frame(self.net, inputs, context - start, teacher, state, lost)
        return loss(predicted, target), frame_mse(predicted.frames.detach(), target)

    def _burned_in(self, clips: Clip, context: int) -> tuple[int, State | None]:
        """Return the frame at which this step begins to learn, and the state of the network before it."""
        start = context // 2
        random = np.random.default_rng([self.seed, self.global_step, 1])  # independent of the drawn context
        frames = int(random.integers(-self.burn_in, self.burn_in + 1))
        if frames <= 0 or start < 1:
            return 0, None
        return start, observe_back_and_forth(self.net, clips[:, :start], frames)

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
