"""One training run: its folder, and what every run is equipped with."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from framepred.errors import ConfigError
from framepred.training.callbacks import PredictionPanels, RunRecord, RunReport
from framepred.training.task import ForecastTask

CHECKPOINTS, BEST, LAST = "checkpoints", "best", "last"


def callbacks(folder: Path, progress: bool = True) -> list[Callback]:
    """What every run carries: best and last checkpoint by validation, panels, report, record, progress bar."""
    carried = [
        ModelCheckpoint(
            folder / CHECKPOINTS,
            filename=BEST,
            monitor="val/mse",
            enable_version_counter=False,
        ),
        # After best, whose score it keeps. Not save_last: with that, Lightning writes last only when best improves.
        ModelCheckpoint(folder / CHECKPOINTS, filename=LAST, enable_version_counter=False),
        LearningRateMonitor(),
        PredictionPanels(),
        RunReport(folder),
        RunRecord(folder),
    ]
    return [*carried, RichProgressBar(console_kwargs={"stderr": True})] if progress else carried


def logger(folder: Path) -> TensorBoardLogger:
    """TensorBoard files in the run's folder itself, so that a resumed run writes beside what it wrote before."""
    return TensorBoardLogger(folder, name="", version="")


def make_trainer(folder: str | Path, max_steps: int, val_check_interval: int = 500, **arguments: Any) -> Trainer:
    """A Lightning trainer for one run in ``folder``, equipped as ``framepred train`` equips it.

    Args:
        folder: where checkpoints, logs and panels are written.
        max_steps: the budget in optimizer steps; give the same to the task.
        val_check_interval: optimizer steps between validations.
        arguments: anything else that ``lightning.Trainer`` takes.
    """
    folder = Path(folder)
    defaults: dict[str, Any] = {
        "callbacks": callbacks(folder, arguments.get("enable_progress_bar", True)),
        "logger": logger(folder),
        "gradient_clip_val": 1.0,
        "use_distributed_sampler": False,
        "check_val_every_n_epoch": None,
    }
    return Trainer(
        default_root_dir=folder, max_steps=max_steps, val_check_interval=val_check_interval, **defaults | arguments
    )


def fit(trainer: Trainer, task: ForecastTask, data: LightningDataModule, ckpt_path: str | None = None) -> None:
    """Train, or go on training where a run stopped.

    Args:
        trainer: the trainer; its ``default_root_dir`` is the run's folder.
        task: what is trained.
        data: what it is trained on.
        ckpt_path: ``last`` to resume the run in that folder, or a checkpoint.

    Raises:
        ConfigError: if there is nothing to resume, or the folder holds a run that would be overwritten.
    """
    checkpoint = _resume_from(Path(trainer.default_root_dir), ckpt_path)
    trainer.fit(task, data, ckpt_path=checkpoint, weights_only=True)


def _resume_from(folder: Path, ckpt_path: str | None) -> Path | None:
    last = folder / CHECKPOINTS / f"{LAST}.ckpt"
    if ckpt_path is None:
        if last.exists():
            raise ConfigError(
                f"{folder} holds a run already: resume it with --ckpt_path last, "
                "or choose another folder with --trainer.default_root_dir."
            )
        return None
    checkpoint = last if ckpt_path == "last" else Path(ckpt_path)
    if not checkpoint.is_file():
        raise ConfigError(
            f"There is no checkpoint {checkpoint} to resume from; check the folder, or leave --ckpt_path out to begin."
        )
    return checkpoint
