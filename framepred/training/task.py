"""The LightningModule: how a forecaster learns and how it is validated while it learns."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, TypeAlias

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from framepred.clips import ClipBatch, FrameMask, to_unit
from framepred.errors import ConfigError
from framepred.evaluation.formulas import frame_mse
from framepred.forecaster import Forecaster
from framepred.models.pretrained import describe
from framepred.training.rollout import predict_every_frame
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

    Raises:
        ConfigError: if ``budget`` is less than 1, or a checkpoint was made for another budget.
    """

    def __init__(
        self,
        net: Forecaster,
        budget: int,
        loss: nn.Module,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        teacher_forcing: TeacherForcing = TeacherForcing(),  # noqa: B008 (frozen)
        curriculum: Curriculum = Curriculum(),  # noqa: B008 (frozen)
        warmup: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if budget < 1:
            raise ConfigError(f"The budget is counted in steps: set --trainer.max_steps above 0, not {budget}.")
        self.net = net
        self.budget = budget
        self.loss = loss
        self.optimizer = optimizer
        self.teacher_forcing = teacher_forcing
        self.curriculum = curriculum
        self.warmup = warmup
        self.seed = seed

    def training_step(self, batch: ClipBatch) -> Tensor:
        """Loss over every next frame; batches come as uint8 and are floats only on the device."""
        batch = self._shortened(batch)
        clips, context = to_unit(batch.clips), batch.context.shape[1]
        predictions = predict_every_frame(self.net, clips, context, self._taught(clips))
        loss: Tensor = self.loss(predictions, clips[:, 1:])
        with torch.no_grad():
            mse = frame_mse(predictions[:, context - 1 :], clips[:, context:]).mean()
        self.log_dict({"train/loss": loss, "train/teacher": self._probability})
        self.log("train/mse", mse, prog_bar=True)
        return loss

    def validation_step(self, batch: ClipBatch) -> None:
        """Mean squared error of the horizon, protocol openstl."""
        target = to_unit(batch.target)
        mse = frame_mse(self.net(batch.context, target.shape[1]), target).mean()
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
        saved = checkpoint["schedule"]
        if saved != self._schedule:
            raise ConfigError(
                f"The checkpoint follows the schedule {saved} and this run asks for {self._schedule}; "
                "resume with the first, or start a new run from its weights with --weights."
            )

    @property
    def _schedule(self) -> dict[str, Any]:
        return {"budget": self.budget, "warmup": self.warmup, "seed": self.seed,
                "teacher_forcing": asdict(self.teacher_forcing), "curriculum": asdict(self.curriculum)}  # fmt: skip

    @property
    def _probability(self) -> float:
        return self.teacher_forcing.probability(self.global_step, self.budget)

    def _shortened(self, batch: ClipBatch) -> ClipBatch:
        """The beginning of each clip, as long as the curriculum has come."""
        share, clips = self.curriculum.share(self.global_step, self.budget), batch.clips
        length = max(2, round(share * clips.shape[1]))
        context = round(share * batch.context.shape[1])
        return ClipBatch.cut(clips[:, :length], min(max(context, 1), length - 1))

    def _taught(self, clips: Tensor) -> FrameMask:
        random = np.random.default_rng([self.seed, self.global_step, self.global_rank])
        return torch.from_numpy(random.random(clips.shape[:2]) < self._probability).to(clips.device)
