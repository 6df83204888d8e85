"""Whole runs on the CPU: what they leave behind, and that a killed one goes on as if nothing had happened."""

import json
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from framepred.clips import ClipBatch
from framepred.data import MovingMNISTData
from framepred.errors import ConfigError
from framepred.models import EncoderForecaster, load
from framepred.training import ForecastTask, fit, make_trainer

STEPS, KILLED_AT = 11, 7


class Kill(Callback):
    """Ends the process's training as a signal would: between two steps, after the checkpoint of step 6."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        if trainer.global_step == KILLED_AT:
            raise RuntimeError("killed")


class Worsening(ForecastTask):
    """Validates worse each time."""

    def validation_step(self, batch: ClipBatch) -> None:
        self.log("val/mse", float(self.global_step), batch_size=len(batch.target))


def train(
    folder: Path,
    *extra: Callback,
    ckpt_path: str | None = None,
    tbptt_steps: int | None = None,
    kind: type[ForecastTask] = ForecastTask,
) -> ForecastTask:
    torch.manual_seed(0)
    net = EncoderForecaster(hidden_channels=[4], kernel_size=3)
    task = kind(net, STEPS, torch.nn.MSELoss(), warmup=2, tbptt_steps=tbptt_steps)
    data = MovingMNISTData(
        3, 3, batch_size=2, clips_per_epoch=8, val_clips=4, frame_size=(32, 32), digits_per_clip=1, digits="mnist-5k"
    )
    trainer = make_trainer(folder, STEPS, 3, accelerator="cpu", enable_progress_bar=False, log_every_n_steps=1)
    trainer.callbacks += extra
    fit(trainer, task, data, ckpt_path=ckpt_path)
    return task


@pytest.mark.parametrize("tbptt_steps", [None, 2])
def test_a_killed_run_resumes_to_the_same_weights_bit_for_bit(tmp_path: Path, tbptt_steps: int | None) -> None:
    unbroken = train(tmp_path / "unbroken", tbptt_steps=tbptt_steps)
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path / "killed", Kill(), tbptt_steps=tbptt_steps)
    torch.manual_seed(99)
    resumed = train(tmp_path / "killed", ckpt_path="last", tbptt_steps=tbptt_steps)
    assert resumed.global_step == STEPS
    for name, tensor in unbroken.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    record = json.loads((tmp_path / "killed/run.json").read_text())
    assert (record["steps"], record["pieces"]) == (STEPS, 2)


def test_a_run_leaves_loadable_best_and_last_checkpoints(tmp_path: Path) -> None:
    train(tmp_path)
    assert {file.name for file in (tmp_path / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    last = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 9
    assert load(tmp_path / "checkpoints/best.ckpt")(torch.rand(1, 2, 1, 8, 8), 2).shape == (1, 2, 1, 8, 8)


def test_last_is_the_last_even_where_best_is_long_ago(tmp_path: Path) -> None:
    train(tmp_path, kind=Worsening)
    steps = {
        name: torch.load(tmp_path / f"checkpoints/{name}.ckpt", weights_only=True)["global_step"]
        for name in ("best", "last")
    }
    assert steps == {"best": 3, "last": 9}


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(ConfigError, match=r"holds a run already: resume it with --ckpt_path last"):
        train(tmp_path)


def test_nothing_to_resume_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no checkpoint"):
        train(tmp_path, ckpt_path="last")


def test_the_first_lines_say_what_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path)
    told = capsys.readouterr().err
    for expected in (
        "EncoderForecaster: ",
        " parameters, ",
        "GMACs a clip",
        "Moving digits",
        "11 steps",
        "best.ckpt",
        "took",
    ):
        assert expected in told


def test_the_last_line_says_what_the_run_took(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("took ")
    assert "11 steps" in last
