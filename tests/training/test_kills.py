"""Twenty SIGKILLs at random moments of a training: steps, validation and checkpoint writing."""

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from framepred.data import MovingMNISTData
from framepred.models.checkpoints import read_checkpoint
from killing import Training

STEPS, KILLS = 60, 20
MOST_EVENTS = 40  # of a training after which it is killed: a validation every three steps gives four events a step
LONGEST_DELAY = 0.02  # seconds after an event, which a step, a validation batch or a checkpoint takes


def digits() -> MovingMNISTData:
    return MovingMNISTData(3, 3, 2, 8, 4, frame_size=(32, 32), digits_per_clip=1, digits="mnist-5k")


TRAINING = Training(digits, STEPS, every=3)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore")
def test_twenty_kills_change_no_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TRAINING.complete(tmp_path / "whole")
    expected = read_checkpoint(tmp_path / "whole/checkpoints/last.ckpt")
    rng, rows, run = random.Random(0), [], 0
    while len(rows) < KILLS:
        folder = tmp_path / f"killed-{run}"
        moment = TRAINING.kill(folder, rng.randint(1, MOST_EVENTS), rng.uniform(0, LONGEST_DELAY))
        if moment is None:  # the run is finished: the next kills hit another one
            run += 1
            continue
        last = folder / "checkpoints/last.ckpt"
        rows.append((len(rows) + 1, run, moment, read_checkpoint(last)["global_step"] if last.exists() else 0))
    TRAINING.complete(tmp_path / f"killed-{run}")
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
