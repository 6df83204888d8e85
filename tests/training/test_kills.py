"""Twenty SIGKILLs at random moments of a training: steps, validation and checkpoint writing."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from framepred.data import MovingMNISTData
from framepred.models import EncoderForecaster
from framepred.models.checkpoints import read_checkpoint
from framepred.training import ForecastTask, fit, make_trainer

STEPS, KILLS, LONGEST_SECONDS = 60, 20, 2.5


def train(folder: Path) -> None:
    """Train in this process, from the last checkpoint where there is one."""
    torch.manual_seed(0)
    task = ForecastTask(EncoderForecaster(hidden_channels=[4], kernel_size=3), STEPS, torch.nn.MSELoss())
    data = MovingMNISTData(3, 3, 2, 8, 4, frame_size=(32, 32), digits_per_clip=1, digits="mnist-5k")
    trainer = make_trainer(folder, STEPS, 3, accelerator="cpu", logger=False, enable_progress_bar=False)
    fit(trainer, task, data, ckpt_path="last" if (folder / "checkpoints/last.ckpt").exists() else None)


def train_in_fork(folder: Path) -> int:
    """Train in a forked process, which needs no imports; return its process id."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            train(folder)
        finally:
            os._exit(0)
    return child


def ended(child: int) -> bool:
    return os.waitpid(child, os.WNOHANG)[0] != 0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore")
def test_twenty_kills_change_no_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path / "whole")
    expected = read_checkpoint(tmp_path / "whole/checkpoints/last.ckpt")
    moments, rows, run = random.Random(0), [], 0
    folder = tmp_path / "killed-0"
    while len(rows) < KILLS:
        child, seconds = train_in_fork(folder), moments.uniform(0.05, LONGEST_SECONDS)
        time.sleep(seconds)
        if ended(child):  # the run is finished: the next kills hit another one
            run += 1
            folder = tmp_path / f"killed-{run}"
            continue
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        last = folder / "checkpoints/last.ckpt"
        rows.append((len(rows) + 1, run, seconds, read_checkpoint(last)["global_step"] if last.exists() else 0))
    train(folder)
    with capsys.disabled():
        print("\nkill  run  after s  resumes from step")
        for kill, number, seconds, step in rows:
            print(f"{kill:>4} {number:>4} {seconds:>8.2f} {step:>18}")
    for number in range(run + 1):
        files = list((tmp_path / f"killed-{number}").rglob("*"))
        assert not [file for file in files if file.name.startswith(".")], "unfinished files are left"
        found = read_checkpoint(tmp_path / f"killed-{number}/checkpoints/last.ckpt")
        assert found["global_step"] == STEPS
        for part in ("state_dict", "optimizer_states", "lr_schedulers"):
            assert equal(found[part], expected[part]), part


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
