"""The summary of a run, with a clock that the test sets."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from framepred.training.run_summary import RunSummary

MODULE = Mock(spec=LightningModule, device=torch.device("cpu"))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trainer() -> Mock:
    return Mock(spec=Trainer, global_step=0, world_size=1, is_global_zero=True, fast_dev_run=False)


def train(summary: RunSummary, trainer: Mock, clock: Clock, *, steps: int, seconds: float) -> None:
    clock.now += seconds
    trainer.global_step += steps
    summary.on_train_batch_end(trainer)


def validate(summary: RunSummary, trainer: Mock, clock: Clock, *, seconds: float) -> None:
    summary.on_validation_start()
    clock.now += seconds
    summary.on_validation_end(trainer)


def test_training_and_validation_are_counted_apart(tmp_path: Path, trainer: Mock, clock: Clock) -> None:
    summary = RunSummary(tmp_path, clock)
    validate(summary, trainer, clock, seconds=1000)  # Lightning's sanity check, before training
    summary.on_train_start(trainer, MODULE)
    train(summary, trainer, clock, steps=10, seconds=60)
    validate(summary, trainer, clock, seconds=30)
    train(summary, trainer, clock, steps=10, seconds=60)
    summary.on_train_end(trainer)
    written = json.loads((tmp_path / "run.json").read_text())
    expected = {"steps": 20, "minutes": 2.5, "validation_minutes": 0.5, "seconds_per_step": 6.0, "sessions": 1}
    assert written.items() >= expected.items()
    assert "CPU" in written["machine"]


def test_sessions_add_up_without_the_steps_that_a_kill_lost(tmp_path: Path, trainer: Mock, clock: Clock) -> None:
    killed = RunSummary(tmp_path, clock)
    killed.on_train_start(trainer, MODULE)
    train(killed, trainer, clock, steps=10, seconds=60)
    checkpoint = killed.state_dict()
    train(killed, trainer, clock, steps=5, seconds=30)

    resumed = RunSummary(tmp_path, clock)
    resumed.load_state_dict(checkpoint)
    trainer.global_step = 10
    clock.now += 5000
    resumed.on_train_start(trainer, MODULE)
    train(resumed, trainer, clock, steps=10, seconds=120)
    resumed.on_train_end(trainer)
    written = json.loads((tmp_path / "run.json").read_text())
    assert written.items() >= {"steps": 20, "minutes": 3.0, "seconds_per_step": 9.0, "sessions": 2}.items()


def test_steps_before_the_summary_are_not_counted(tmp_path: Path, trainer: Mock, clock: Clock) -> None:
    trainer.global_step = 1000  # resumed from a checkpoint without a summary
    summary = RunSummary(tmp_path, clock)
    summary.on_train_start(trainer, MODULE)
    train(summary, trainer, clock, steps=2, seconds=1)
    summary.on_train_end(trainer)
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 2


def test_fast_dev_run_writes_no_summary(tmp_path: Path, trainer: Mock, clock: Clock) -> None:
    trainer.fast_dev_run = True
    summary = RunSummary(tmp_path, clock)
    summary.on_train_start(trainer, MODULE)
    summary.on_train_end(trainer)
    assert list(tmp_path.iterdir()) == []
