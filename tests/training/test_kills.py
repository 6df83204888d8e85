"""Twenty SIGKILLs at random moments of a training: steps, validation and checkpoint writing."""

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from framepred.data import MovingMNISTData
from framepred.models import EncoderForecaster
from framepred.models.checkpoints import read_checkpoint
from framepred.training import ForecastTask, fit, make_trainer
from framepred.training.checkpointing import AtomicCheckpointIO

STEPS, KILLS = 60, 20
MOST_EVENTS = 40  # of a training after which it is killed: a validation every three steps gives four events a step
LONGEST_DELAY = 0.02  # seconds after an event, which a step, a validation batch or a checkpoint takes


class Events(Callback):
    """Writes a letter to a pipe at each event: a step, a validation batch, the start and the end of a checkpoint."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def on_train_batch_start(self, *_: object) -> None:
        os.write(self.pipe, b"s")

    def on_validation_batch_start(self, *_: object) -> None:
        os.write(self.pipe, b"v")


class TellingIO(AtomicCheckpointIO):
    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def save_checkpoint(self, *arguments: Any, **options: Any) -> None:
        os.write(self.pipe, b"c")
        super().save_checkpoint(*arguments, **options)
        os.write(self.pipe, b"e")


MOMENTS = {"s": "a step", "v": "validation", "c": "writing a checkpoint", "e": "after a checkpoint"}


def train(folder: Path, pipe: int | None = None) -> None:
    """Train in this process, from the last checkpoint where there is one; tell events to a pipe."""
    torch.manual_seed(0)
    task = ForecastTask(EncoderForecaster(hidden_channels=[4], kernel_size=3), STEPS, torch.nn.MSELoss())
    data = MovingMNISTData(3, 3, 2, 8, 4, frame_size=(32, 32), digits_per_clip=1, digits="mnist-5k")
    told = {} if pipe is None else {"plugins": [TellingIO(pipe)]}
    trainer = make_trainer(folder, STEPS, 3, accelerator="cpu", logger=False, enable_progress_bar=False, **told)
    if pipe is not None:
        trainer.callbacks.append(Events(pipe))  # type: ignore[attr-defined]
    fit(trainer, task, data, ckpt_path="last" if (folder / "checkpoints/last.ckpt").exists() else None)


def killed(folder: Path, events: int, delay: float) -> str | None:
    """Train in a forked process, and kill it some time after a number of events; return the last one.

    None: the training came to its end before.
    """
    reading, writing = os.pipe()
    child = os.fork()  # it needs no imports
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            train(folder, writing)
        finally:
            os._exit(0)
    os.close(writing)
    found = b""
    while len(found) < events and (more := os.read(reading, events - len(found))):
        found += more
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    alive = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    found += os.read(reading, 1000)
    os.close(reading)
    return MOMENTS[chr(found[-1])] if alive else None


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore")
def test_twenty_kills_change_no_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path / "whole")
    expected = read_checkpoint(tmp_path / "whole/checkpoints/last.ckpt")
    rng, rows, run = random.Random(0), [], 0
    while len(rows) < KILLS:
        folder = tmp_path / f"killed-{run}"
        moment = killed(folder, rng.randint(1, MOST_EVENTS), rng.uniform(0, LONGEST_DELAY))
        if moment is None:  # the run is finished: the next kills hit another one
            run += 1
            continue
        last = folder / "checkpoints/last.ckpt"
        rows.append((len(rows) + 1, run, moment, read_checkpoint(last)["global_step"] if last.exists() else 0))
    train(tmp_path / f"killed-{run}")
    same = [finished_equally(tmp_path / f"killed-{number}", expected) for number in range(run + 1)]
    with capsys.disabled():
        print("\n\n| kill | run | moment | resumes from step | equal at the end |\n|---|---|---|---|---|")
        for kill, number, moment, step in rows:
            print(f"| {kill} | {number} | {moment} | {step} | {'yes' if same[number] else 'no'} |")
    assert all(same)
    assert {"a step", "validation"} < Counter(moment for *_, moment, _ in rows).keys()


def finished_equally(folder: Path, expected: dict[str, Any]) -> bool:
    """Whether a run came to its end with the values of an undisturbed run, and left no unfinished file."""
    found = read_checkpoint(folder / "checkpoints/last.ckpt")
    parts = ("global_step", "state_dict", "optimizer_states", "lr_schedulers")
    hidden = [file for file in folder.rglob("*") if file.name.startswith(".")]
    return not hidden and all(equal(found[part], expected[part]) for part in parts)


def equal(one: object, other: object) -> bool:
    """Compare nested values, tensors bit by bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return (
            isinstance(other, dict) and one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))  # type: ignore[arg-type]
    return one == other
