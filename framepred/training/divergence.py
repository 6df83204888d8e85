"""Callback that ends a training whose loss, weights or predictions are no longer finite, before they are saved."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.distributed.tensor import DTensor
from typing_extensions import override

from framepred.clips import ClipBatch
from framepred.errors import ConfigError
from framepred.forecaster import eval_mode
from framepred.training.task import Task, divides_parameters, validates_a_training

CHECK_INTERVAL = 50
"""Batches between two checks, which wait for the device."""
LONGEST_OVERFLOW = 20
"""Optimizer steps in a row whose loss may overflow: 16-mixed leaves out such steps, and halves its scale 16 times."""


class StopOnDivergence(Callback):
    """Ends a training that has diverged, so that no checkpoint holds its weights.

    It has diverged if a weight or a prediction is not finite, or if no loss was finite in the last
    ``LONGEST_OVERFLOW`` steps. Checked every ``CHECK_INTERVAL`` batches, at validations, before a checkpoint is
    written, and at the end; all processes of a distributed training stop together. Weights that are saved have
    predicted a clip of the last batch where no validation came after their last step.

    Raises:
        ConfigError: in training, if it has diverged.
    """

    def __init__(self) -> None:
        # On the device, so that no step waits for them.
        self._finite_step: Tensor | None = None  # last step with a finite loss; None before training
        self._finite_predictions = torch.tensor(True)
        self._predicted_step: int | None = None  # step whose weights are known to predict finite pixels
        self._last_clip: ClipBatch | None = None

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin at the step of the checkpoint."""
        self._finite_step = torch.tensor(trainer.global_step, device=pl_module.device)

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note whether the loss is finite."""
        if isinstance(outputs, Mapping) and self._finite_step is not None:
            finite = outputs["loss"].isfinite().all()
            self._finite_step = torch.where(finite, trainer.global_step, self._finite_step)
        self._last_clip = _first_clip(batch)
        if (batch_idx + 1) % CHECK_INTERVAL == 0:
            self._check(trainer, pl_module)

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check before anything is predicted."""
        self._finite_predictions = torch.tensor(True, device=pl_module.device)
        if validates_a_training(trainer):
            self._check(trainer, pl_module)

    @override
    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """Note whether the predictions are finite."""
        if isinstance(outputs, Tensor):
            self._finite_predictions = self._finite_predictions & outputs.isfinite().all()

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the predictions before the best checkpoint is chosen."""
        if validates_a_training(trainer):
            self._stop_if(trainer, not self._finite_predictions)
            self._predicted_step = trainer.global_step

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the last step."""
        self._check(trainer, pl_module)
        self._check_prediction(trainer, pl_module)
        self._last_clip = None

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the former checkpoint rather than replace it by a useless one."""
        self._check(trainer, pl_module)
        self._check_prediction(trainer, pl_module)

    def _check(self, trainer: Trainer, module: LightningModule) -> None:
        if self._finite_step is not None:
            overflows = trainer.global_step - int(self._finite_step) >= LONGEST_OVERFLOW
            self._stop_if(trainer, overflows or not _has_finite_weights(module))

    @torch.no_grad()
    def _check_prediction(self, trainer: Trainer, module: LightningModule) -> None:
        """Predict a clip with weights that predicted none since their last step, where each process has all of them."""
        if self._last_clip is None or self._predicted_step == trainer.global_step or not isinstance(module, Task):
            return
        if divides_parameters(trainer):
            return
        with eval_mode(module), trainer.precision_plugin.val_step_context():
            prediction = module.predict_target(module.validation_batch(self._last_clip))
        self._stop_if(trainer, not prediction.isfinite().all())
        self._predicted_step = trainer.global_step

    def _stop_if(self, trainer: Trainer, diverged: bool) -> None:
        """Stop if any process has found that the training diverged."""
        if self._finite_step is None or not trainer.strategy.reduce_boolean_decision(diverged, all=False):
            return
        raise ConfigError(
            f"The training diverged after step {int(self._finite_step):,} of {trainer.max_steps:,}: its loss, "
            "weights or predictions are not finite; lower the learning rate or clip gradients "
            "(trainer.gradient_clip_val)."
        )


def _first_clip(batch: Any) -> ClipBatch | None:
    """A copy of the first clip of a batch; None for batches that are no clips, such as simulated paths."""
    if not isinstance(batch, ClipBatch) or not len(batch.target):
        return None
    return ClipBatch(batch.context[:1].clone(), batch.target[:1].clone(), batch.filler)


def _has_finite_weights(module: LightningModule) -> bool:
    """Whether all weights of this process are finite; it waits once for the device."""
    weights = (one.to_local() if isinstance(one, DTensor) else one for one in module.parameters())
    return bool(torch.stack([one.detach().isfinite().all() for one in weights]).all())
