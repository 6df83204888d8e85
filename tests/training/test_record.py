"""What a run took, by a clock that stands where the test puts it."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from framepred.training.callbacks import RunRecord

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


def train(record: RunRecord, trainer: Mock, clock: Clock, *, steps: int, seconds: float) -> None:
    clock.now += seconds
    trainer.global_step += steps
    record.on_train_batch_end(trainer)


def validate(record: RunRecord, trainer: Mock, clock: Clock, *, seconds: float) -> None:
    record.on_validation_start()
    clock.now += seconds
    record.on_validation_end(trainer)


def test_training_and_validation_are_counted_apart(tmp_path: Path, trainer: Mock, clock: Clock) -> None:
    record = RunRecord(tmp_path, clock)
    validate(record, trainer, clock, seconds=1000)  # Lightning's sanity check, before training
    record.on_train_start(trainer, MODULE)
    train(record, trainer, clock, steps=10, seconds=60)
    validate(record, trainer, clock, seconds=30)
    train(record, trainer, clock, steps=10, seconds=60)
    record.on_train_end(trainer)
    written = json.loads((tmp_path / "run.json").read_text())
    expected = {"steps": 20, "minutes": 2.5, "validation_minutes": 0.5, "seconds_per_step": 6.0, "pieces": 1}
    assert written.items() >= expected.items()
    assert "CPU" in written["machine"]


def test_pieces_add_up_and_what_a_kill_lost_is_left_out(tmp_path: Path, trainer: Mock, clock: Clock) -> None:
    killed = RunRecord(tmp_path, clock)
    killed.on_train_start(trainer, MODULE)
    train(killed, trainer, clock, steps=10, seconds=60)
    checkpoint = killed.state_dict()
    train(killed, trainer, clock, steps=5, seconds=30)

    resumed = RunRecord(tmp_path, clock)
    resumed.load_state_dict(checkpoint)
    trainer.global_step = 10
    clock.now += 5000
    resumed.on_train_start(trainer, MODULE)
    train(resumed, trainer, clock, steps=10, seconds=120)
    resumed.on_train_end(trainer)
    written = json.loads((tmp_path / "run.json").read_text())
    assert written.items() >= {"steps": 20, "minutes": 3.0, "seconds_per_step": 9.0, "pieces": 2}.items()


def test_steps_before_the_record_began_are_not_in_its_sum(tmp_path: Path, trainer: Mock, clock: Clock) -> None:
    trainer.global_step = 1000  # a checkpoint that was made without a record
    record = RunRecord(tmp_path, clock)
    record.on_train_start(trainer, MODULE)
    train(record, trainer, clock, steps=2, seconds=1)
    record.on_train_end(trainer)
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 2


def test_a_trial_of_one_batch_leaves_no_record(tmp_path: Path, trainer: Mock, clock: Clock) -> None:
    trainer.fast_dev_run = True
    record = RunRecord(tmp_path, clock)
    record.on_train_start(trainer, MODULE)
    record.on_train_end(trainer)
    assert list(tmp_path.iterdir()) == []
