"""Loaders pin the memory of batches that travel to a CUDA GPU, and of no others, and draw no global random numbers."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from framepred.clips import ClipBatch
from framepred.data import MovingMNISTData, NextWordData, VideoFolderData
from framepred.data.datamodules.base import ClipData
from framepred.data.datamodules.moving_mnist_paths import MovingMNISTPathData
from framepred.inference.evaluation_data import ClipChoice, open_data

LOADERS = ["train_dataloader", "val_dataloader", "test_dataloader", "predict_dataloader"]
DIGITS = {"digits": "mnist-5k", "context": 2, "horizon": 2, "batch_size": 2, "val_clips": 2, "test_clips": 2}


@pytest.fixture(params=["clips", "paths", "folder", "words"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> ClipData:
    if request.param == "clips":
        return MovingMNISTData(**DIGITS)
    if request.param == "paths":
        return MovingMNISTPathData([(64, 64)], **DIGITS)
    if request.param == "words":
        return NextWordData(context=2, horizon=2)
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.zeros((4, 6, 8), dtype=np.uint8))
    return VideoFolderData(str(tmp_path), context=2, horizon=2, test_fraction=0.34, val_fraction=0.34)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_data_module_pins_for_cuda_only(data: ClipData, device: str) -> None:
    data.trainer = SimpleNamespace(
        global_rank=0, world_size=1, strategy=SimpleNamespace(root_device=torch.device(device))
    )
    loaders = [getattr(data, name)() for name in LOADERS]
    assert [loader.pin_memory for loader in loaders] == [device == "cuda"] * len(LOADERS)


def test_no_loader_advances_the_global_random_numbers(data: ClipData) -> None:
    numbers = torch.get_rng_state()
    for name in LOADERS:
        next(iter(getattr(data, name)()))
    assert torch.equal(torch.get_rng_state(), numbers)


@pytest.mark.parametrize("values", [np.uint8, np.uint16, np.float32])
def test_the_memory_of_a_batch_is_that_of_its_clips_and_of_floats(
    tmp_path: Path, values: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.full((4, 6, 8), number, dtype=values))
    data = VideoFolderData(str(tmp_path), 2, 2, batch_size=5, test_fraction=0.34, val_fraction=0.34)
    needed: list[int] = []
    monkeypatch.setattr("framepred.data.datamodules.base.check_memory", lambda count, *_: needed.append(count))
    data.setup("fit")
    clip = data.dataset("train")[0]
    assert needed == [5 * (clip.nbytes + clip.float().nbytes)]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_evaluation_pins_for_cuda_only(device: str) -> None:
    clips = np.zeros((2, 4, 1, 6, 8), dtype=np.uint8)
    batches = open_data(clips, ClipChoice(context=2, horizon=2, device=torch.device(device))).batches
    assert batches.pin_memory is (device == "cuda")


def test_pinned_batches_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU, a copy stands for pinned memory."""
    pinned: list[int] = []

    def pin_memory(tensor: Tensor, *_: object) -> Tensor:
        pinned.append(tensor.numel())
        return tensor.clone()

    monkeypatch.setattr(torch.accelerator, "is_available", lambda *_: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *_: torch.device("cuda"))
    monkeypatch.setattr(Tensor, "pin_memory", pin_memory)
    clips = torch.arange(2 * 4 * 6 * 8).remainder(256).byte().view(2, 4, 1, 6, 8)
    choice = ClipChoice(context=3, horizon=1, device=torch.device("cuda"))
    (batch,) = open_data(clips, choice).batches
    assert pinned == [2 * 3 * 48, 2 * 48]
    assert torch.equal(batch.clips, clips)


@pytest.mark.filterwarnings("ignore:'pin_memory' argument")
def test_clips_painted_on_the_device_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = MovingMNISTData(**DIGITS)
    expected = next(iter(data.train_dataloader()))
    monkeypatch.setattr(MovingMNISTData, "_device", torch.device("cuda"))
    moved = next(iter(data.train_dataloader()))
    assert not isinstance(moved, ClipBatch)
    painted = data.on_after_batch_transfer(moved, 0)
    assert torch.equal(painted.context, expected.context)
    assert torch.equal(painted.target, expected.target)
    assert data.on_after_batch_transfer(expected, 0) is expected
