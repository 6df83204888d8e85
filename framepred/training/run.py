"""One training run: its folder, its standard callbacks, its lock, and its result."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger

from framepred.errors import ConfigError, WeightsError
from framepred.evaluation.report import REPORT_NAME
from framepred.media.locking import locked_folder
from framepred.media.outputs import check_results_folder
from framepred.models.checkpoints import read_checkpoint
from framepred.training.callbacks import PredictionPanels, RunReport
from framepred.training.checkpointing import (
    AtomicCheckpointIO,
    BestCheckpoint,
    LastCheckpoint,
    best_path,
    best_score,
    last_path,
)
from framepred.training.divergence import StopOnDivergence
from framepred.training.failures import one_sentence_errors
from framepred.training.progress_bar import EpochBar
from framepred.training.run_summary import RunSummary
from framepred.training.scoring import write_best_report
from framepred.training.stopping import StopOnSignal
from framepred.training.task import Task

RESUME_LAST = "last"
"""Value of ``ckpt_path`` that resumes the run in the trainer's folder."""
LOCK = "train.lock"
MIN_CPU_PROCESSES = 8
"""Processes on the CPU that are allowed on a machine with fewer cores, as in tests."""
TRAINING_STATE = {"callbacks", "global_step", "loops", "lr_schedulers", "optimizer_states", "pytorch-lightning_version"}
"""Parts of a checkpoint without which a run cannot be resumed."""


@dataclass(frozen=True)
class TrainingResult:
    """What a training left.

    Attributes:
        folder: the run's folder.
        last: the last checkpoint; None if none was written.
        best: the checkpoint with the best validation score; None without validation.
        best_score: its mean squared error per frame.
        steps: optimizer steps of ``last``.
        already_finished: whether the run to resume was finished before, so that nothing was trained.
        protocol: name and version of the protocol of ``best_score``.
        report: one sentence: where the report of the best checkpoint is, or why there is none.
    """

    folder: Path
    last: Path | None
    best: Path | None
    best_score: float | None
    steps: int
    already_finished: bool = False
    protocol: str = ""
    report: str = ""

    @property
    def weights(self) -> Path | None:
        """The checkpoint to use: the best one, or the last one of a training without validation."""
        return self.best or self.last

    @property
    def summary(self) -> str:
        """One sentence on the result."""
        if self.last is None:
            return "Nothing was saved."
        done = f"The run in {self.folder} {'was' if self.already_finished else 'is'} finished: {self.steps:,} steps"
        if self.best is None:
            return f"{done}; no validation took place, so use {self.last}."
        score = "" if self.best_score is None else f", val/mse {self.best_score:.2f} (protocol {self.protocol})"
        return f"{done}; the best checkpoint is {self.best}{score}. {self.report}".rstrip()


def standard_callbacks(
    folder: Path, *, progress: bool = True, checkpoints: bool = True, logs: bool = True
) -> list[Callback]:
    """Return the callbacks of every run.

    Args:
        folder: the run's folder.
        progress: whether a progress bar is shown.
        checkpoints: whether checkpoints are saved.
        logs: whether there is a logger.
    """
    callbacks: list[Callback] = [
        StopOnSignal(), StopOnDivergence(), PredictionPanels(), RunReport(folder), RunSummary(folder),
    ]  # fmt: skip
    if checkpoints:
        callbacks += [BestCheckpoint(folder), LastCheckpoint(folder)]
    if logs:
        callbacks.append(LearningRateMonitor())
    if progress:
        callbacks.append(EpochBar())
    return callbacks


def default_logger(folder: Path) -> TensorBoardLogger:
    """Return a logger that writes into the run's folder itself, so that a resumed run adds to its logs."""
    return TensorBoardLogger(folder, name="", version="")


def make_trainer(folder: str | Path, max_steps: int, val_check_interval: int = 500, **arguments: Any) -> Trainer:
    """Return a Lightning trainer for one run, configured as ``framepred train`` does it.

    Args:
        folder: the run's folder, for checkpoints, logs and panels.
        max_steps: the budget in optimizer steps; the task needs the same number.
        val_check_interval: training batches between validations.
        arguments: any other arguments of ``lightning.Trainer``; they replace the defaults.
    """
    folder = Path(folder)
    checkpoints = arguments.get("enable_checkpointing") is not False
    defaults: dict[str, Any] = {
        "callbacks": standard_callbacks(
            folder,
            progress=arguments.get("enable_progress_bar", True),
            checkpoints=checkpoints,
            logs=arguments.get("logger") is not False,
        ),
        "plugins": [AtomicCheckpointIO()],
        "gradient_clip_val": 1.0,
        "use_distributed_sampler": False,
        "check_val_every_n_epoch": None,
    }
    if "logger" not in arguments:
        defaults["logger"] = default_logger(folder)
    return Trainer(
        default_root_dir=folder, max_steps=max_steps, val_check_interval=val_check_interval, **defaults | arguments
    )


def fit(trainer: Trainer, task: Task, data: LightningDataModule, ckpt_path: str | None = None) -> TrainingResult:
    """Train, or resume a training.

    Args:
        trainer: the trainer; its ``default_root_dir`` is the run's folder.
        task: what is trained.
        data: the training and validation clips.
        ckpt_path: ``last`` to resume the run in the folder, or a checkpoint; None to begin.

    Returns:
        The checkpoints and the best score. A run that is finished already is returned as it is.

    Raises:
        ConfigError: if there is nothing to resume, the folder holds another run, another process trains in it, the
            run to resume follows another course (see :meth:`Task.course`), or the training diverges.
        WeightsError: if the checkpoint is damaged or foreign.
        TrainingStopped: if a signal stopped the training; ``last.ckpt`` is saved.
    """
    folder = check_results_folder(trainer.default_root_dir)
    checkpoint = _resume_from(folder, ckpt_path)
    if checkpoint is not None and _steps(checkpoint) >= task.budget:
        return _finished(trainer, task, data, already=True)
    _check_intervals(trainer)
    _check_processes(trainer)
    _check_monitors(trainer, task)
    trial = bool(trainer.fast_dev_run)  # type: ignore[attr-defined]
    lock = locked_folder(folder, LOCK, "trains in") if trainer.is_global_zero and not trial else nullcontext()
    with _unused_folder_removed(trainer, folder), lock:
        with one_sentence_errors(folder):
            trainer.fit(task, data, ckpt_path=checkpoint, weights_only=True)
        return _finished(trainer, task, data)


def _finished(trainer: Trainer, task: Task, data: LightningDataModule, *, already: bool = False) -> TrainingResult:
    """The result of the run in the trainer's folder, with the report of its best checkpoint; one process writes it.

    A run that was finished before gets a report only if it has none.
    """
    folder = Path(trainer.default_root_dir)
    result = training_result(folder, str(task.protocol.id), already_finished=already)
    if result.best is None or not trainer.is_global_zero or (already and (folder / REPORT_NAME).exists()):
        return result
    if already:
        data.prepare_data()
        data.setup("fit")
    return replace(result, report=write_best_report(trainer, task, data, result.best))


def _check_intervals(trainer: Trainer) -> None:
    """Refuse intervals of no steps, by which Lightning divides after training has begun."""
    for name in ("accumulate_grad_batches", "val_check_interval", "check_val_every_n_epoch"):
        value = getattr(trainer, name)
        if isinstance(value, (int, float)) and value <= 0:
            raise ConfigError(f"{name} must be more than 0, not {value}.")


def _check_processes(trainer: Trainer) -> None:
    """Refuse more processes on one machine's CPU than it can run; each takes a core and the memory of PyTorch."""
    most = max(os.cpu_count() or 1, MIN_CPU_PROCESSES)
    if isinstance(trainer.accelerator, CPUAccelerator) and trainer.num_devices > most:
        raise ConfigError(
            f"The trainer asks for {trainer.num_devices} processes on the CPU but {most} are the most for the "
            f"{os.cpu_count()} cores of this machine; lower devices."
        )


def _check_monitors(trainer: Trainer, task: Task) -> None:
    """Refuse callbacks that monitor what is never logged; Lightning refuses them only after training has begun."""
    known = (*task.metrics, "epoch", "step")
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor not in known:
            raise ConfigError(
                f"{type(callback).__name__} monitors {monitor}, which is not logged; choose one of {', '.join(known)}."
            )


def training_result(folder: Path, protocol: str, *, already_finished: bool = False) -> TrainingResult:
    """Return the result of the run in a folder, as its checkpoints hold it, with the protocol of its scores."""
    last, best = (path if path.is_file() else None for path in (last_path(folder), best_path(folder)))
    steps = _steps(last) if last else 0
    return TrainingResult(folder, last, best, best_score(best) if best else None, steps, already_finished, protocol)


def _steps(checkpoint: Path) -> int:
    return int(read_checkpoint(checkpoint).get("global_step", 0))


def _resume_from(folder: Path, ckpt_path: str | None) -> Path | None:
    """Return the checkpoint to resume from; None to begin."""
    last = last_path(folder)
    if ckpt_path is None:
        if last.exists():
            raise ConfigError(f"{folder} holds a run already; resume it, or choose another folder for the new run.")
        return None
    if not ckpt_path:
        raise ConfigError(
            "The path of the checkpoint is empty; give a .ckpt, or 'last' to resume the run in its folder, or leave it "
            "out to begin a new run."
        )
    checkpoint = last if ckpt_path == RESUME_LAST else Path(ckpt_path)
    if not checkpoint.is_file():
        raise ConfigError(f"There is no checkpoint {checkpoint} to resume from; check the folder, or begin a new run.")
    if missing := sorted(TRAINING_STATE - read_checkpoint(checkpoint).keys()):
        raise WeightsError(f"{checkpoint} has no {missing[0]}, so no run can be resumed from it; begin a new run.")
    return checkpoint


@contextmanager
def _unused_folder_removed(trainer: Trainer, folder: Path) -> Iterator[None]:
    """Remove a run's new folder, and its new parents, if an error comes before the first step."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    step = trainer.global_step
    try:
        yield
    except BaseException:
        if new and trainer.is_global_zero and trainer.global_step == step and not last_path(folder).exists():
            for logger in trainer.loggers:
                logger.finalize("failed")  # closes its files before they are removed
            shutil.rmtree(folder, ignore_errors=True)
            for parent in new[1:]:
                if parent.is_dir() and not any(parent.iterdir()):
                    parent.rmdir()
        raise
