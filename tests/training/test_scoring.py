"""The report of a run on data that are no ``ClipData``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from framepred.clips import ClipBatch
from framepred.evaluation import Card
from framepred.models import EncoderForecaster
from framepred.training import ForecastTask, fit, make_trainer


class Stream(IterableDataset[Tensor]):
    """Clips without a known number."""

    def __iter__(self) -> Iterator[Tensor]:
        yield from torch.rand(6, 4, 1, 16, 16)


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
