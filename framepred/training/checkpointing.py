"""Checkpoints of a run: ``best.ckpt`` by validation, ``last.ckpt`` at every validation, at the end and on a stop."""

from pathlib import Path
from typing import Any, ClassVar

from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from typing_extensions import override

from framepred.models.checkpoints import load_verified, read_checkpoint, write_checkpoint
from framepred.training.stopping import TrainingStopped
from framepred.training.task import MONITOR, validates_a_training

CHECKPOINTS, BEST, LAST = "checkpoints", "best", "last"


def best_path(folder: Path) -> Path:
    """Return the path of a run's best checkpoint by validation."""
    return folder / CHECKPOINTS / f"{BEST}.ckpt"


def last_path(folder: Path) -> Path:
    """Return the path of a run's last checkpoint."""
    return folder / CHECKPOINTS / f"{LAST}.ckpt"


def best_score(path: Path) -> float | None:
    """Return the validation score that a run's best checkpoint holds; None if it holds none."""
    states = _with_own_names(read_checkpoint(path)).get("callbacks", {})
    score = states.get(BestCheckpoint.KEY, {}).get("best_model_score")
    return None if score is None else float(score)


class BestCheckpoint(ModelCheckpoint):
    """Saves ``best.ckpt`` when the validation score improves.

    Its name in checkpoints is its own, so that a user may add any ``ModelCheckpoint``.

    Args:
        folder: the run's folder.
    """

    KEY: ClassVar[str] = "BestCheckpoint"
    FORMER_KEY: ClassVar[str] = ModelCheckpoint(monitor=MONITOR).state_key
    """Name in checkpoints of earlier versions."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder / CHECKPOINTS,
            filename=BEST,
            monitor=MONITOR,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )

    @property
    @override
    def state_key(self) -> str:
        return self.KEY


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically with a content hash, and checks the hash when it reads them."""

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        write_checkpoint(checkpoint, Path(path))

    @override
    def load_checkpoint(self, path: str | Path, *_: Any, **__: Any) -> dict[str, Any]:
        return _with_own_names(load_verified(Path(path)))


def _with_own_names(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint, also of an earlier version, with the names of this one."""
    states = checkpoint.get("callbacks", {})
    if BestCheckpoint.KEY not in states and BestCheckpoint.FORMER_KEY in states:
        states[BestCheckpoint.KEY] = states.pop(BestCheckpoint.FORMER_KEY)
    return checkpoint


class LastCheckpoint(Checkpoint):
    """Saves ``last.ckpt`` after every validation of a training, at its end, and when it is asked to stop.

    If a validation falls within an accumulation, it saves after the optimizer step.

    ``ModelCheckpoint(save_last=True)`` would write it only when the best checkpoint improves. This callback comes after
    the one of the best checkpoint, so that it saves its score.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = last_path(folder)
        self._saved_step: int | None = None
        self._waits = False

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not validates_a_training(trainer):
            return
        self._waits = trainer.fit_loop._should_accumulate()
        if not self._waits:
            self._save(trainer)

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._waits and batch_idx % trainer.accumulate_grad_batches == 0:
            self._waits = False
            self._save(trainer)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save when training was stopped between two steps; after other errors the state may be incomplete."""
        if isinstance(exception, TrainingStopped):
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if trainer.fast_dev_run or trainer.global_step == self._saved_step:  # type: ignore[attr-defined]
            return
        trainer.save_checkpoint(self.path, weights_only=False)
        self._saved_step = trainer.global_step
