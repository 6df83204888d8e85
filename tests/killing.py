"""Small trainings in forked processes, which are killed at chosen moments: steps, validation and checkpoint writing."""

import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from lightning.pytorch import Callback

from framepred.models import EncoderForecaster
from framepred.training import ForecastTask, fit, make_trainer
from framepred.training.checkpointing import AtomicCheckpointIO

MOMENTS = {"s": "a step", "v": "validation", "c": "writing a checkpoint", "e": "after a checkpoint"}


class _Events(Callback):
    """Writes a letter to a pipe at each event: a step, a validation batch."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def on_train_batch_start(self, *_: object) -> None:
        os.write(self.pipe, b"s")

    def on_validation_batch_start(self, *_: object) -> None:
        os.write(self.pipe, b"v")


class _TellingIO(AtomicCheckpointIO):
    """Writes a letter to a pipe at the start and the end of a checkpoint."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def save_checkpoint(self, *arguments: Any, **options: Any) -> None:
        os.write(self.pipe, b"c")
        super().save_checkpoint(*arguments, **options)
        os.write(self.pipe, b"e")


@dataclass(frozen=True)
class Training:
    """A training of a small ConvLSTM on the CPU. Each run starts from the last checkpoint in its folder, if any.

    Attributes:
        data: makes the data.
        steps: number of steps.
        every: steps between validations, each of which writes a checkpoint.
    """

    data: Callable[[], LightningDataModule]
    steps: int
    every: int

    def complete(self, folder: Path) -> None:
        """Train to the end."""
        child, reading = self._start(folder)
        while os.read(reading, 1000):
            pass
        os.close(reading)
        assert _exit_code(child) == 0, _log(folder).read_text()

    def kill(self, folder: Path, events: int, delay: float) -> str | None:
        """Train, and kill the process ``delay`` seconds after a number of events; return the last event.

        None: the training came to its end before.
        """
        child, reading = self._start(folder)
        found = b""
        while len(found) < events and (more := os.read(reading, events - len(found))):
            found += more
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        code = _exit_code(child)
        assert code in (0, -signal.SIGKILL), _log(folder).read_text()
        found += os.read(reading, 1000)
        os.close(reading)
        return MOMENTS[chr(found[-1])] if code else None

    def _start(self, folder: Path) -> tuple[int, int]:
        """Fork a process, which needs no imports; return its number and the pipe that tells its events."""
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(writing)
            return child, reading
        code = 1
        os.dup2(os.open(_log(folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        try:
            self._run(folder, writing)
            code = 0
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)

    def _run(self, folder: Path, pipe: int) -> None:
        torch.set_num_threads(1)  # a fork cannot use the threads of its parent
        torch.manual_seed(0)
        task = ForecastTask(EncoderForecaster(hidden_channels=[4], kernel_size=3), self.steps, torch.nn.MSELoss())
        trainer = make_trainer(
            folder,
            self.steps,
            self.every,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            plugins=[_TellingIO(pipe)],
        )
        trainer.callbacks.append(_Events(pipe))  # type: ignore[attr-defined]
        resumes = (folder / "checkpoints/last.ckpt").exists()
        fit(trainer, task, self.data(), ckpt_path="last" if resumes else None)


def _log(folder: Path) -> Path:
    return folder.with_suffix(".log")


def _exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
