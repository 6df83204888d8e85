"""Stopping a training by a signal: between two optimizer steps, with a checkpoint that can be resumed exactly."""

import signal
from contextlib import ExitStack
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from framepred.stop_signals import handle_stop_signals


class TrainingStopped(Exception):  # noqa: N818 (not an error)
    """Training ended between two steps because a signal asked for it.

    Attributes:
        number: the signal, such as ``signal.SIGINT``.
        step: optimizer steps done.
        budget: optimizer steps of the whole training.
    """

    def __init__(self, number: int, step: int, budget: int) -> None:
        super().__init__(f"Training stopped by {signal.Signals(number).name} after step {step:,} of {budget:,}.")
        self.number = number
        self.step = step
        self.budget = budget


class StopOnSignal(Callback):
    """Ends training before the next step after a request to stop; a second one interrupts at once.

    All processes of a distributed training stop at the same step, also when only one of them gets the signal.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._handling = ExitStack()

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install the signal handlers; signals that are ignored, as under nohup, stay ignored."""
        self._handling.enter_context(handle_stop_signals(self._receive))

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Stop if a signal came and no gradients are accumulated."""
        if batch_idx % trainer.accumulate_grad_batches:
            return
        if trainer.received_sigterm and self.number is None:  # before this callback handled signals
            self.number = signal.SIGTERM
        stop = self.number is not None
        if trainer.world_size > 1:
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
        if stop:
            raise TrainingStopped(self.number or signal.SIGTERM, trainer.global_step, trainer.max_steps)

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restore the former signal handlers."""
        self._handling.close()

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restore the former signal handlers."""
        self._handling.close()

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number

    def __getstate__(self) -> dict[str, Any]:
        return {"number": None, "_handling": ExitStack()}
