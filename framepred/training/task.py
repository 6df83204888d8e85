"""The LightningModule: how a forecaster learns and how it is validated while it learns."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from framepred.clips import Clip, ClipBatch, FrameMask, RawClip, to_unit
from framepred.errors import ConfigError
from framepred.evaluation.formulas import frame_mse
from framepred.forecaster import Forecaster
from framepred.models.pretrained import Network, describe
from framepred.training.rollout import Predicted, predict_every_frame, truncated
from framepred.training.schedules import Curriculum, TeacherForcing, learning_rate_factor

OptimizerFactory: TypeAlias = Callable[[Iterable[Tensor]], torch.optim.Optimizer]


class ForecastTask(LightningModule):
    """Train a forecaster to predict every next frame of a clip; validate it on the horizon alone.

    Learning rate, teacher forcing and curriculum are functions of the step and of ``budget``, and the sampling of
    a step depends on (seed, step, rank) alone, so that a resumed run repeats an unbroken one.

    Args:
        net: the forecaster to train.
        budget: optimizer steps of the whole training; on the command line it is ``trainer.max_steps``.
        loss: takes raw predictions and targets, both ``(b, t, c, h, w)``, and gives a scalar.
        optimizer: makes the optimizer from the parameters.
        teacher_forcing: how the truth as input gives way to the network's own predictions.
        curriculum: how clips grow from short to whole.
        warmup: optimizer steps over which the learning rate rises.
        seed: seed of the sampling.
        auxiliary_weight: weight of the network's auxiliary loss beside ``loss``, at least 0; see
            :class:`framepred.forecaster.HasAuxiliaryLoss`.
        tbptt_steps: frames after which backpropagation through time is cut, so that memory stays flat as clips grow;
            None for none. States carry over, and an optimizer step still sees whole clips.

    Raises:
        ConfigError: if ``budget`` or ``tbptt_steps`` is less than 1, ``auxiliary_weight`` negative, a checkpoint was
            made for another budget, or ``tbptt_steps`` is to be trained in 16-mixed precision.
    """

    def __init__(
        self,
        net: Network,
        budget: int,
        loss: nn.Module,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        teacher_forcing: TeacherForcing = TeacherForcing(),  # noqa: B008 (frozen)
        curriculum: Curriculum = Curriculum(),  # noqa: B008 (frozen)
        warmup: int = 100,
        seed: int = 0,
        tbptt_steps: int | None = None,
        auxiliary_weight: float = 0.0,
    ) -> None:
        super().__init__()
        if budget < 1:
            raise ConfigError(f"The budget is counted in steps: set --trainer.max_steps above 0, not {budget}.")
        if tbptt_steps is not None and tbptt_steps < 1:
            raise ConfigError(f"tbptt_steps must be at least 1 frame, or left out, not {tbptt_steps}.")
        if auxiliary_weight < 0:
            raise ConfigError(f"auxiliary_weight must be at least 0, not {auxiliary_weight}.")
        self.net = net
        self.budget = budget
        self.loss = loss
        self.optimizer = optimizer
        self.teacher_forcing = teacher_forcing
        self.curriculum = curriculum
        self.warmup = warmup
        self.seed = seed
        self.tbptt_steps = tbptt_steps
        self.auxiliary_weight = auxiliary_weight

    def on_fit_start(self) -> None:
        """Refuse float16: the scaled loss that keeps its gradients from underflow is made after a chunk's are."""
        if self.tbptt_steps and self.trainer.precision == "16-mixed":
            raise ConfigError(
                "tbptt_steps cannot be trained in 16-mixed precision; use --trainer.precision bf16-mixed or 32."
            )

    @property
    def predictor(self) -> nn.Module:
        """What predicts a batch's target from its context."""
        return self.net

    def training_step(self, batch: ClipBatch) -> Tensor:
        """Loss over every next frame; batches come as uint8 and are floats only on the device."""
        batch = self._shortened(batch)
        clips, context = batch.clips, batch.context.shape[1]
        loss, errors = self._loss_and_errors(clips, context, self._taught(clips))
        mse = errors[:, context - 1 :].mean()
        self.log_dict({"train/loss": loss, "train/teacher": self._probability})
        self.log("train/mse", mse, prog_bar=True)
        return loss

    def _loss_and_errors(
        self, clips: RawClip, context: int, taught: FrameMask
    ) -> tuple[Tensor, Float[Tensor, "b _steps"]]:
        """The loss over every next frame, and the squared error of each, protocol openstl."""
        assert isinstance(self.net, Forecaster)
        if self.tbptt_steps:
            return truncated(self.net, self._loss, clips, context, taught, self.tbptt_steps)
        clips = to_unit(clips)
        predicted = predict_every_frame(self.net, clips, context, taught)
        return self._loss(predicted, clips[:, 1:]), frame_mse(predicted.frames.detach(), clips[:, 1:])

    def _loss(self, predicted: Predicted, target: Clip) -> Tensor:
        loss: Tensor = self.loss(predicted.frames, target)
        return loss + self.auxiliary_weight * predicted.auxiliary

    def validation_step(self, batch: ClipBatch) -> None:
        """Mean squared error of the horizon, protocol openstl."""
        target = to_unit(batch.target)
        mse = frame_mse(self.predictor(batch.context, target.shape[1]), target).mean()
        self.log("val/mse", mse, prog_bar=True, sync_dist=True, batch_size=len(target))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer, its rate warmed up and then brought to zero over the budget."""
        optimizer = self.optimizer(self.net.parameters())
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, self.budget, self.warmup)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what rebuilds the network, and the schedule that the run follows."""
        checkpoint["net"] = describe(self.net)
        checkpoint["schedule"] = self._schedule

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to continue under another schedule than the run began with."""
        saved = {"tbptt_steps": None} | checkpoint["schedule"]  # older checkpoints know no truncation
        if saved != self._schedule:
            raise ConfigError(
                f"The checkpoint follows the schedule {saved} and this run asks for {self._schedule}; "
                "resume with the first, or start a new run from its weights with --weights."
            )

    @property
    def _schedule(self) -> dict[str, Any]:
        return {"budget": self.budget, "warmup": self.warmup, "seed": self.seed, "tbptt_steps": self.tbptt_steps,
                "teacher_forcing": asdict(self.teacher_forcing), "curriculum": asdict(self.curriculum)}  # fmt: skip

    @property
    def _probability(self) -> float:
        return self.teacher_forcing.probability(self.global_step, self.budget)

    @property
    def _random(self) -> np.random.Generator:
        """Chance of this step on this process, the same however training came here."""
        return np.random.default_rng([self.seed, self.global_step, self.global_rank])

    def _shortened(self, batch: ClipBatch) -> ClipBatch:
        """The beginning of each clip, as long as the curriculum has come."""
        share, clips = self.curriculum.share(self.global_step, self.budget), batch.clips
        length = max(2, round(share * clips.shape[1]))
        context = round(share * batch.context.shape[1])
        return ClipBatch.cut(clips[:, :length], min(max(context, 1), length - 1))

    def _taught(self, clips: Tensor) -> FrameMask:
        return torch.from_numpy(self._random.random(clips.shape[:2]) < self._probability).to(clips.device)
