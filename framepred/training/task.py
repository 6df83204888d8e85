"""Base class of the training tasks: network, optimizer, schedules, validation and checkpoint contents."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from framepred.baselines.lost_frames import fill_context, forecast_measured
from framepred.clips import ClipBatch, Future, to_unit
from framepred.data.datamodules.base import ClipData, batches_trained
from framepred.errors import ConfigError
from framepred.evaluation.protocols import find_protocol
from framepred.models.devices import prefers_channels_last, use_channels_last
from framepred.models.pretrained import Network, describe, set_value_range
from framepred.training.course import Settings, class_setting, differing, loss_settings, optimizer_settings, settings
from framepred.training.schedules import BudgetLR, Curriculum, LRSchedulerFactory, WarmupCosine
from framepred.training.validation import Validation, ValidationScore

OptimizerFactory: TypeAlias = Callable[[Iterable[Tensor]], torch.optim.Optimizer]

MONITOR = "val/mse"
"""Name of the validation score in logs: mean squared error per frame, as the protocol of the task defines it."""


class Task(LightningModule, ABC):
    """Trains a network on clips and validates it by the metrics of a protocol.

    Each validation logs ``val/`` and the name of a metric, such as ``val/mse`` and ``val/ssim``.

    Schedules are functions of the step and of ``budget``. Random numbers of a step depend on (seed, step) alone, and
    those that a network draws from PyTorch, as for dropout, on (seed, batch, rank), so a resumed run repeats an
    uninterrupted one. Without such a network, ``w`` processes with batches of ``b`` clips compute the gradients of one
    process with batches of ``w · b`` clips.

    Args:
        net: the network to train.
        budget: optimizer steps of the whole training, at least 1.
        loss: takes raw predictions and targets, both ``(b, t, c, h, w)``, and returns a scalar. Missing pixels do not
            count; see :func:`framepred.training.losses.measured_loss`.
        optimizer: makes the optimizer from the parameters.
        lr_scheduler: makes the learning-rate scheduler from the optimizer; it steps after each optimizer step, a
            ``ReduceLROnPlateau`` after each validation, by ``MONITOR``. A
            :class:`framepred.training.schedules.BudgetLR` also gets the budget.
        curriculum: schedule of the clip length.
        seed: seed of the random numbers of training, at least 0.
        protocol: name of the protocol of validation: openstl, predrnn or wang2004.

    Attributes:
        val_score: the result of the last validation.

    Raises:
        ConfigError: if ``budget`` is less than 1, ``seed`` is negative, or there is no such protocol; when resuming,
            if the checkpoint follows other schedules, another protocol or other settings; see ``course``.
    """

    training_metrics: ClassVar[tuple[str, ...]] = ("train/loss", "train/mse")
    """Names that training steps log."""

    def __init__(
        self,
        net: Network,
        budget: int,
        loss: nn.Module,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        lr_scheduler: LRSchedulerFactory = WarmupCosine,
        curriculum: Curriculum = Curriculum(),  # noqa: B008 (frozen)
        seed: int = 0,
        protocol: str = "openstl",
    ) -> None:
        super().__init__()
        if budget < 1:
            raise ConfigError(f"The budget is a number of optimizer steps of at least 1, not {budget}; set max_steps.")
        if seed < 0:
            raise ConfigError(f"The seed must be 0 or more, not {seed}.")
        self.net = net
        self.budget = budget
        self.loss = loss
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.curriculum = curriculum
        self.seed = seed
        self.protocol = find_protocol(protocol)
        self.previous_budget: int | None = None
        self.val_score: ValidationScore | None = None
        self._validation: Validation | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names that the task logs; callbacks may monitor them."""
        return (*(f"val/{name}" for name in self.protocol.measures), *self.training_metrics)

    @property
    @abstractmethod
    def predictor(self) -> nn.Module:
        """Module ``(context, horizon) -> frames`` that predicts the target of a validation batch."""

    def configure_model(self) -> None:
        """Choose the memory format of the network, before its parameters are distributed over processes."""
        if prefers_channels_last(self.trainer.strategy.root_device):
            use_channels_last(self.net)

    def on_fit_start(self) -> None:
        """Note in the network which values of the data are 0 and 1, so that predictions use the same."""
        data = getattr(self.trainer, "datamodule", None)
        set_value_range(self.net, getattr(data, "scaled_range", None))

    def on_train_batch_start(self, *_: Any) -> None:
        """Seed the random numbers that the network draws from PyTorch in this batch on this process."""
        entropy = [self.seed, batches_trained(self.trainer), 2, self.global_rank]  # 0 and 1 are those of a step
        torch.manual_seed(int(np.random.default_rng(entropy).integers(2**63)))

    def validation_batch(self, batch: ClipBatch) -> ClipBatch:
        """Return the context and target that validation uses; by default those of the data."""
        return batch

    def on_validation_epoch_start(self) -> None:
        """Begin a validation."""
        self._validation = self.val_score = None

    def validation_step(self, batch: ClipBatch) -> Future | None:
        """Score the validation clips of a batch and return the predictions; a process without clips gets no clips."""
        clips = self.validation_batch(batch)
        target = clips.target
        if self._validation is None:
            data = self.trainer.datamodule if self._trainer else None  # type: ignore[attr-defined]
            bank = data.bank("val") if isinstance(data, ClipData) else None
            self._validation = Validation(self.protocol, target, bank.name if bank else None)
        if not len(target):
            return None
        prediction = self.predict_target(clips)
        self._validation.add(prediction, to_unit(target).float())
        return prediction

    def predict_target(self, batch: ClipBatch) -> Future:
        """Predict the target of a validation batch as ``evaluate`` does, ``(b, t, c, h, w)`` in float32."""
        context, filler = self.to_float(batch.context), batch.filler
        if filler is not None and self._trainer and divides_parameters(self.trainer):
            # All processes must run the network equally often.
            context, filler = torch.stack([fill_context(clip, filler) for clip in context]), None
        return forecast_measured(self.predictor, context, batch.target.shape[1], filler).float()

    def on_validation_epoch_end(self) -> None:
        """Log the metrics over the clips of all processes."""
        self.val_score = self._validation.score() if self._validation else None
        if self.val_score is None:
            return
        for name, metric in self.val_score.metrics.items():
            self.log(f"val/{name}", metric.value, prog_bar=name == "mse", sync_dist=True)
        scheduler = self.lr_schedulers() if self._trainer and validates_a_training(self.trainer) else None
        if isinstance(scheduler, ReduceLROnPlateau):  # before the checkpoint of this validation is written
            scheduler.step(self.val_score.metrics["mse"].value)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Make the optimizer and its learning-rate scheduler.

        Raises:
            ConfigError: if PyTorch refuses their arguments.
        """
        try:
            optimizer = self.optimizer(self.net.parameters())
            scheduler = self.lr_scheduler(optimizer)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"The optimizer or its scheduler cannot be made: {error}") from error
        if isinstance(scheduler, BudgetLR):
            scheduler.budget = self.budget
        stepped = {"scheduler": scheduler, "interval": "step", "reduce_on_plateau": False}
        return {"optimizer": optimizer, "lr_scheduler": stepped}  # type: ignore[return-value]

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step a scheduler after an optimizer step; ``ReduceLROnPlateau`` steps after validations instead."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the description of the network, the schedules of the run and its settings."""
        checkpoint["net"] = describe(self.net)
        checkpoint["schedule"] = self.schedule()
        checkpoint["course"] = self.course()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to resume under other schedules or settings than those of the checkpoint.

        The budget may change, and so may what has no part in ``schedule`` and ``course``.
        """
        _uncount_unstarted_batch(checkpoint)
        saved = {"protocol": "openstl", **checkpoint.get("schedule", {})}  # framepred 0.1.0 knew openstl only
        wanted = self.schedule()
        previous = saved.pop("budget", None)
        changed = {name for name in saved.keys() | wanted.keys() - {"budget"} if saved.get(name) != wanted.get(name)}
        saved |= checkpoint.get("course", {})  # earlier versions saved none
        wanted |= self.course()
        changed |= differing(saved, wanted) - {"budget"}
        if changed:
            raise ConfigError(
                f"The checkpoint follows the schedule {_choose(saved, changed)} and this run asks for "
                f"{_choose(wanted, changed)}; resume with the first, or start a new run in another folder from its "
                "weights, with --weights instead of --ckpt_path."
            )
        self.previous_budget = previous if previous != self.budget else None

    def schedule(self) -> dict[str, Any]:
        """Return the schedules, which must stay the same when a run is resumed; only the budget may change."""
        return {
            "budget": self.budget,
            "seed": self.seed,
            "curriculum": asdict(self.curriculum),
            "protocol": self.protocol.name,
        }

    def course(self) -> Settings:
        """Return what else decides the course of a run: network, optimizer, scheduler, loss, data, validation clips."""
        made: Any = self.configure_optimizers()
        trainer: Any = self._trainer
        data = getattr(trainer, "datamodule", None)
        course = {
            **settings("net", self.net, getattr(self.net, "arguments", {})),
            **optimizer_settings(made["optimizer"], made["lr_scheduler"]["scheduler"]),
            **loss_settings(self.loss),
            **class_setting("curriculum", self.curriculum),
            **(settings("data", data, data.course() if isinstance(data, ClipData) else {}) if data else {}),
        }
        if trainer and trainer.state.fn is TrainerFn.FITTING:  # a validation by hand may use a part of the clips
            course["trainer.limit_val_batches"] = str(trainer.limit_val_batches)  # 1 is one batch, 1.0 is all of them
        return course

    def to_float(self, clips: Tensor) -> Tensor:
        """Return frames as floats in [0, 1], in the precision of the network."""
        return to_unit(clips).to(self.dtype if isinstance(self.dtype, torch.dtype) else torch.float32)

    def shorten(self, batch: ClipBatch) -> ClipBatch:
        """Cut each clip to its first frames, as the curriculum asks at this step."""
        share, clips = self.curriculum.share(self.global_step, self.budget), batch.clips
        length = max(2, round(share * clips.shape[1]))
        context = round(share * batch.context.shape[1])
        return ClipBatch.cut(clips[:, :length], min(max(context, 1), length - 1), batch.filler)

    @property
    def random(self) -> np.random.Generator:
        """Random numbers of this step: the same in every process and after a resume."""
        return np.random.default_rng([self.seed, self.global_step, 0])

    def log_training(self, loss: Tensor, mse: Float[Tensor, ""]) -> None:
        """Log the loss and the mean squared error of a training step."""
        self.log("train/loss", loss)
        self.log("train/mse", mse, prog_bar=True)


def _uncount_unstarted_batch(checkpoint: dict[str, Any]) -> None:
    """Make a checkpoint that was saved at the start of a batch equal to one that was saved after the batch before.

    Lightning counts a batch before it calls ``on_train_batch_start``, and chooses the batches to validate after by that
    count.
    """
    progress = checkpoint.get("loops", {}).get("fit_loop", {}).get("epoch_loop.batch_progress")
    if progress and progress["total"]["ready"] > progress["total"]["started"]:
        for count in (progress["total"], progress["current"]):
            count["ready"] = count["started"]
        progress["is_last_batch"] = False


def _choose(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: values.get(name) for name in sorted(names)}


def validates_a_training(trainer: Trainer) -> bool:
    """Whether a validation is part of a training, unlike ``trainer.validate`` and the sanity check."""
    return trainer.state.fn is TrainerFn.FITTING and not trainer.sanity_checking


def divides_parameters(trainer: Trainer) -> bool:
    """Whether each process holds a part of the parameters, so that no process can run the network alone."""
    return isinstance(trainer.strategy, (FSDPStrategy, ModelParallelStrategy, DeepSpeedStrategy))
