"""Two processes train as one with the doubled batch, validate every clip once, and resume on one process."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import Trainer

from framepred.clips import ClipBatch
from framepred.models import EncoderForecaster
from framepred.models.checkpoints import read_checkpoint
from framepred.training import ForecastTask, TeacherForcing

TWO = ("--trainer.devices=2", "--trainer.strategy=ddp")
SMOKE = (
    "--config", "smoke", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.logger=false",
    "--trainer.val_check_interval=2", "--trainer.max_steps=2", "--trainer.gradient_clip_val=null",
    "--model.optimizer.class_path=torch.optim.SGD", "--model.optimizer.init_args.lr=0.1",
)  # fmt: skip


def train(folder: Path, *arguments: str, code: int = 0, launcher: tuple[str, ...] = ()) -> str:
    """Run the command in a process of its own; return its standard error."""
    command = [sys.executable, *launcher, "-m", "framepred.cli", "train", *SMOKE, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, f"--trainer.default_root_dir={folder}"],
        capture_output=True, text=True, env=environment, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stderr


def val_mse(log: str) -> float:
    line = next(line for line in reversed(log.splitlines()) if "val/mse" in line and line.startswith("step"))
    return float(line.split("val/mse ")[1].split()[0].rstrip(","))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = read_checkpoint(folder / "checkpoints/last.ckpt")["state_dict"]
    return tensors


@pytest.mark.parametrize("fade", [0.0, 1.0])
def test_gradients_of_two_ranks_are_those_of_the_doubled_batch(fade: float) -> None:
    """Each rank draws its rows of the teacher's frames for the whole batch; DDP averages the gradients."""
    torch.manual_seed(0)
    net = EncoderForecaster(hidden_channels=[4], kernel_size=3)
    clips = torch.rand(4, 8, 1, 16, 16)
    forcing = TeacherForcing(start=0.5, fade=fade)

    def gradients(rank: int, world: int, part: torch.Tensor) -> torch.Tensor:
        task = ForecastTask(net, 10, torch.nn.MSELoss(), teacher_forcing=forcing)
        task.trainer = Mock(spec=Trainer, global_rank=rank, world_size=world, global_step=2)
        task.log = lambda *_, **__: None
        net.zero_grad()
        task.training_step(ClipBatch.cut(part, 3)).backward()
        return torch.cat([parameter.grad.flatten() for parameter in net.parameters()])

    two = (gradients(0, 2, clips[:2]) + gradients(1, 2, clips[2:])) / 2
    torch.testing.assert_close(two, gradients(0, 1, clips), rtol=0, atol=1e-5)


def test_networks_draw_other_random_numbers_on_each_rank_and_in_each_batch() -> None:
    """Also in the batches whose gradients one step accumulates; a resumed run draws the same ones again."""
    task = ForecastTask(EncoderForecaster(hidden_channels=[4], kernel_size=3), 10, torch.nn.MSELoss())

    def drawn(batches: int, rank: int) -> float:
        task.trainer = Mock(spec=Trainer, global_rank=rank, world_size=2, global_step=2, fit_loop=Mock())
        task.trainer.fit_loop.epoch_loop.batch_progress.total.processed = batches
        task.on_train_batch_start(None, 0)
        return float(torch.rand(()))

    places = [(batches, rank) for batches in (4, 5, 6) for rank in (0, 1)]
    numbers = [drawn(*place) for place in places]
    assert len(set(numbers)) == len(places)
    assert [drawn(*place) for place in places] == numbers


@pytest.mark.slow
def test_the_command_trains_on_two_processes_as_on_one(tmp_path: Path) -> None:
    clips = "--data.init_args.val_clips=5"
    logs = {
        "two": train(tmp_path / "two", *TWO, clips, "--data.init_args.batch_size=2"),
        "one": train(tmp_path / "one", clips, "--data.init_args.batch_size=4"),
    }
    torch.testing.assert_close(weights(tmp_path / "two"), weights(tmp_path / "one"), rtol=0, atol=1e-6)
    assert val_mse(logs["two"]) == pytest.approx(val_mse(logs["one"]), abs=0.01)
    assert logs["two"].count("Trains ") == 1


@pytest.mark.slow
@pytest.mark.parametrize("clips", [1, 13, 17])
def test_validation_is_weighted_right_at_any_count(tmp_path: Path, clips: int) -> None:
    count = f"--data.init_args.val_clips={clips}"
    two = train(tmp_path / "two", *TWO, count, "--data.init_args.batch_size=2")
    one = train(tmp_path / "one", count, "--data.init_args.batch_size=4")
    assert val_mse(two) == pytest.approx(val_mse(one), abs=0.01)


CONSTANT = (
    "--model.lr_scheduler.class_path=torch.optim.lr_scheduler.ConstantLR", "--model.lr_scheduler.init_args.factor=1",
    "--model.teacher_forcing.fade=0",
)  # fmt: skip
"""Schedules that do not depend on the budget."""
ONE_PROCESS, TWO_PROCESSES = ("--data.init_args.batch_size=4",), (*TWO, "--data.init_args.batch_size=2")


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(TWO_PROCESSES, ONE_PROCESS), (ONE_PROCESS, TWO_PROCESSES)])
def test_a_run_resumes_on_another_number_of_processes(
    tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    """No clip is trained twice or left out: the weights are those of an undisturbed run."""
    train(tmp_path / "whole", *CONSTANT, *ONE_PROCESS, "--trainer.max_steps=4")
    train(tmp_path / "moved", *CONSTANT, *first, "--trainer.max_steps=2")
    train(tmp_path / "moved", *CONSTANT, *second, "--trainer.max_steps=4", "--ckpt_path=last")
    torch.testing.assert_close(weights(tmp_path / "moved"), weights(tmp_path / "whole"), rtol=0, atol=1e-6)


WRONG = ("--model.optimizer.init_args.lr=-1",)
SENTENCE = "The optimizer or its scheduler cannot be made"


@pytest.mark.slow
def test_an_error_of_the_user_is_one_sentence(tmp_path: Path) -> None:
    log = train(tmp_path / "run", *TWO, *WRONG, code=2)
    assert log.count(SENTENCE) == 1
    assert "Traceback" not in log
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [WRONG, ("--config", "nosuch")], ids=["in training", "before torch is imported"])
def test_an_error_of_the_user_under_torchrun_is_one_sentence(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    """The processes of framepred print one sentence; torchrun adds a summary of its own, which holds the sentence.

    The traceback in that summary is that of torchrun itself, which raises an error for every exit code but 0.
    """
    logs = tmp_path / "logs"
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", "--log-dir", str(logs),
                "--redirects=3")  # fmt: skip
    summary = train(tmp_path / "run", *TWO, *wrong, code=1, launcher=launcher)  # torchrun exits with 1
    lines = [line for log in sorted(logs.rglob("std*.log")) for line in log.read_text().splitlines()]
    told = [line for line in lines if not line.startswith(("[rank", "W", "[W"))]  # PyTorch's own log
    assert len(told) == 1, told
    assert (SENTENCE if wrong is WRONG else "nosuch") in told[0]
    assert told[0] in summary
    assert "framepred/" not in summary.replace(told[0], "")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_spawned_processes_train(tmp_path: Path) -> None:
    train(tmp_path / "run", "--trainer.devices=2", "--trainer.strategy=ddp_spawn")
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 2
