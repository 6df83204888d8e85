"""The report of a run: its clips, its digits, and the command that measures it again."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

import framepred
from framepred.clips import ClipBatch
from framepred.data import MovingMNISTData
from framepred.evaluation import Card
from framepred.evaluation.report import build_report
from framepred.inference.evaluation_data import ClipChoice, open_data
from framepred.models import BidirectionalForecaster, EncoderForecaster
from framepred.training import ForecastTask, RestoreTask, TrainingResult, fit, make_trainer


class Stream(IterableDataset[Tensor]):
    """Clips without a known number."""

    def __iter__(self) -> Iterator[Tensor]:
        yield from torch.rand(6, 4, 1, 16, 16)


class Mine(EncoderForecaster):
    """A network of one's own."""


class Streams(LightningDataModule):
    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(Stream(), batch_size=2, collate_fn=lambda clips: ClipBatch.cut(torch.stack(clips), 2))

    val_dataloader = train_dataloader


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize(("limit", "clips"), [(None, 6), (2, 4)])
def test_a_stream_of_validation_clips_is_reported(tmp_path: Path, limit: int | None, clips: int) -> None:
    task = ForecastTask(EncoderForecaster(hidden_channels=[4], kernel_size=3), 2, nn.MSELoss())
    trainer = make_trainer(
        tmp_path, 2, 2, accelerator="cpu", enable_progress_bar=False, logger=False, limit_val_batches=limit
    )
    result = fit(trainer, task, Streams())
    assert "Its report is" in result.summary
    assert Card.read(result.folder).data.clips == clips


def run(folder: Path, data: dict[str, Any] | None = None, **trainer: Any) -> TrainingResult:
    """One step of the config ``smoke``, as the command runs it."""
    trainer = {"default_root_dir": str(folder), "max_steps": 1, "val_check_interval": 1, "accelerator": "cpu"} | trainer
    return framepred.train("smoke", trainer=trainer, data={"init_args": data or {}})


@pytest.mark.filterwarnings("ignore")
def test_the_command_in_the_report_of_a_run_measures_the_same_clips(tmp_path: Path) -> None:
    best, card = run(tmp_path).best, Card.read(tmp_path)
    config = tmp_path / "config.yaml"
    (command,) = [line for line in build_report(card).commands if line.startswith("framepred")]
    assert command.split()[3:] == [f"--data={config}", "--split=val", "--protocol=openstl", "--clips=8"]
    assert command in (tmp_path / "report.html").read_text()
    again = framepred.evaluate(best, config, split="val", clips=8)
    assert replace(again.data, name=card.data.name) == card.data


@pytest.mark.filterwarnings("ignore")
def test_a_limited_validation_has_no_command(tmp_path: Path) -> None:
    """It takes the first clips; the command takes clips that are evenly spread."""
    run(tmp_path, {"batch_size": 2}, limit_val_batches=2)
    card = Card.read(tmp_path)
    assert card.data.clips == 4
    assert build_report(card).commands == []


def test_a_restorer_has_no_command(tmp_path: Path) -> None:
    """The command scores forecasts."""
    net = BidirectionalForecaster(layers=1, hidden_channels=4, mixing_channels=4, reach=1)
    data = MovingMNISTData(5, 2, batch_size=2, val_clips=2, frame_size=(28, 30), digits="mnist-5k")
    trainer = make_trainer(tmp_path, 1, 1, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
    (tmp_path / "config.yaml").write_text("")
    fit(trainer, RestoreTask(net, budget=1, loss=nn.MSELoss()), data)
    assert build_report(Card.read(tmp_path)).commands == []


@pytest.mark.filterwarnings("ignore")
def test_an_evaluation_of_the_data_of_a_run_says_which_digits_they_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MNIST is not on the machine, so other digits replace it; sums over their frames are readable at any size."""
    run(tmp_path, {"digits": "mnist", "frame_size": [96, 96]})
    assert re.search(r"^step +1 +val/mse", capsys.readouterr().err, re.MULTILINE)
    opened = open_data(tmp_path / "config.yaml", ClipChoice(clips=2))
    assert opened.record.digits == Card.read(tmp_path).data.digits == "mnist-5k"
    assert "digits" in opened.notes[0]


@pytest.mark.filterwarnings("ignore")
def test_a_network_of_ones_own_has_no_command(tmp_path: Path) -> None:
    """The command line does not import the module of its class."""
    data = MovingMNISTData(2, 2, batch_size=2, val_clips=2, frame_size=(28, 30), digits="mnist-5k")
    trainer = make_trainer(tmp_path, 1, 1, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
    (tmp_path / "config.yaml").write_text("")
    fit(trainer, ForecastTask(Mine(hidden_channels=[4], kernel_size=3), 1, nn.MSELoss()), data)
    assert build_report(Card.read(tmp_path)).commands == []
