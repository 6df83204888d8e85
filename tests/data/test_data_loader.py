"""Every data set works in a plain DataLoader, and ClipLoader turns errors of its workers into one sentence."""

import os
import pickle
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from framepred.data import (
    ClipArray,
    ClipDataset,
    ClipLoader,
    MovingMNIST,
    MovingMNISTData,
    NextWordData,
    OrderedBatches,
    ShuffledClips,
    VideoFolder,
    VideoFolderData,
)
from framepred.errors import ClipError, DataError, FramepredError, MediaError

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
COUNT = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five arrays of one clip each."""
    root = tmp_path_factory.mktemp("folder")
    for number in range(COUNT):
        np.save(root / f"{number}.npy", np.random.default_rng(number).integers(0, 256, (4, 6, 8), dtype=np.uint8))
    return root


@pytest.fixture(scope="module")
def array(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("array") / "clips.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (COUNT, 4, 1, 6, 8), dtype=np.uint8))
    return path


@pytest.fixture(params=["video folder", "shuffled", "array", "moving mnist", "words", "random words"])
def dataset(request: pytest.FixtureRequest, folder: Path, array: Path) -> ClipDataset:
    make: dict[str, Callable[[], ClipDataset]] = {
        "video folder": lambda: VideoFolder(folder, 4),
        "shuffled": lambda: ShuffledClips(VideoFolder(folder, 4)),
        "array": lambda: ClipArray(array, 4),
        "moving mnist": lambda: MovingMNIST("test", clips=COUNT, length=4, digits="mnist-5k"),
        "words": lambda: NextWordData(context=200, horizon=100).dataset("val"),
        "random words": lambda: NextWordData(clips_per_epoch=COUNT).dataset("train"),
    }
    return make[request.param]()


def test_it_is_indexed_as_a_list_is(dataset: ClipDataset) -> None:
    clips = list(dataset)
    count = len(clips)
    assert count == len(dataset) >= COUNT
    assert torch.equal(dataset[-1], clips[-1])
    assert torch.equal(dataset[torch.tensor(1)], clips[1])
    for index in (count, -count - 1):
        with pytest.raises(IndexError, match=f"there are {count} clips"):
            dataset[index]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plain_data_loader_collates_it(dataset: ClipDataset, workers: int) -> None:
    batches = list(DataLoader(dataset, batch_size=3, num_workers=workers))
    assert torch.equal(torch.cat(batches), torch.stack(list(dataset)))


def test_a_copy_in_another_process_gives_the_same_clips(dataset: ClipDataset) -> None:
    """Spawned workers get a pickled copy."""
    assert torch.equal(pickle.loads(pickle.dumps(dataset))[2], dataset[2])


def test_subsets_and_random_batches(dataset: ClipDataset) -> None:
    part = Subset(dataset, [3, 1])
    assert torch.equal(torch.cat(list(DataLoader(part, batch_size=2))), torch.stack([dataset[3], dataset[1]]))
    assert sum(map(len, DataLoader(dataset, batch_size=2, shuffle=True))) == len(dataset)


def test_data_modules_can_be_sent_to_another_process(folder: Path) -> None:
    """Lightning's ``ddp_spawn`` pickles them, also after they were set up."""
    for data in (
        MovingMNISTData(2, 2, digits="mnist-5k"),
        VideoFolderData(str(folder), 2, 2),
        NextWordData(),
    ):
        data.setup("fit")
        batch = next(iter(data.train_dataloader()))
        copy = pickle.loads(pickle.dumps(data))
        assert torch.equal(next(iter(copy.train_dataloader())).clips, batch.clips)


class Failing(Dataset[torch.Tensor]):
    """Raises, or ends its worker, at the first batch."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def __getitems__(self, indices: Sequence[int]) -> list[torch.Tensor]:
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            raise self.error
        return []


@pytest.mark.parametrize("error", [MediaError("a.mp4 is damaged."), ClipError("a.npy holds NaN."), DataError("No.")])
def test_an_error_in_a_worker_is_the_same_sentence(error: FramepredError) -> None:
    with pytest.raises(type(error)) as caught:
        list(ClipLoader(Failing(error), OrderedBatches(2, 1), context=1, workers=1))
    assert str(caught.value) == str(error)


def test_a_killed_worker_is_one_sentence() -> None:
    with pytest.raises(
        DataError, match=r"^A process that reads clips ended .*lower num_workers or batch_size\.$"
    ) as caught:
        list(ClipLoader(Failing(None), OrderedBatches(2, 1), context=1, workers=1))
    assert "\n" not in str(caught.value)


def test_a_bug_in_a_worker_keeps_its_traceback() -> None:
    with pytest.raises(KeyError, match="Traceback"):
        list(ClipLoader(Failing(KeyError("bug")), OrderedBatches(2, 1), context=1, workers=1))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_disappears_is_one_sentence(tmp_path: Path, workers: int) -> None:
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.zeros((4, 6, 8), np.uint8))
    clips = VideoFolder(tmp_path, 4)
    (tmp_path / "1.npy").unlink()
    with pytest.raises(MediaError, match=r"1\.npy") as caught:
        list(ClipLoader(clips, OrderedBatches(3, 1), context=2, workers=workers))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("rank", range(3))
def test_a_rank_without_clips_gets_a_batch_of_none(folder: Path, rank: int, workers: int) -> None:
    """Lightning skips validation on ranks without batches, and the others would wait for them."""
    loader = ClipLoader(VideoFolder(folder, 4), OrderedBatches(2, 4, rank=rank, world=3), context=3, workers=workers)
    (batch,) = loader
    assert batch.context.shape == (int(rank < 2), 3, 1, 6, 8)
    assert batch.target.shape == (int(rank < 2), 1, 1, 6, 8)
