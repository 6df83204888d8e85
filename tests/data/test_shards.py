"""Clips in shards: exact, shuffled with few shards at a time, and resumed within an epoch after a kill."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from framepred.data import BlockShuffledClips, ClipShards, ClipShardsData, MovingMNIST, write_shards
from framepred.errors import ConfigError, DataError
from framepred.models.checkpoints import read_checkpoint
from killing import Training


@pytest.fixture(scope="module", autouse=True)
def _litdata() -> None:
    pytest.importorskip("litdata")  # not at collection: the import takes half a second


CLIPS, LENGTH, STEPS = 40, 6, 60


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "train"
    write_shards(source(), folder, shard_bytes=60_000)
    assert len(list(folder.glob("*.bin"))) > 3
    return folder


def source() -> MovingMNIST:
    return MovingMNIST("train", clips=CLIPS, length=LENGTH, frame_size=(32, 32), digits_per_clip=1, digits="mnist-5k")


def test_clips_come_back_in_any_order(shards: Path) -> None:
    found = ClipShards(shards, LENGTH)
    assert len(found) == CLIPS
    for index in (CLIPS - 1, 0, 17, 3):
        assert torch.equal(found[index], source()[index])
    assert ClipShards(shards, 4)[2].shape == (4, 1, 32, 32)


def test_workers_read_the_same_clips(shards: Path) -> None:
    loader = DataLoader(ClipShards(shards, LENGTH), batch_size=8, num_workers=2)
    assert torch.equal(torch.cat(list(loader)), torch.stack([*source()]))


@pytest.mark.parametrize("world", [2, 50])
def test_every_process_has_all_clips(shards: Path, world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data module divides them by index; LitData would give each process its share of them."""
    monkeypatch.setenv("WORLD_SIZE", str(world))  # as torchrun and Lightning set it
    for rank in (0, world - 1):
        monkeypatch.setenv("GLOBAL_RANK", str(rank))
        data = ClipShardsData(str(shards), str(shards), context=3, horizon=3, batch_size=1, val_clips=10)
        assert (data.count("train"), data.count("val")) == (CLIPS, 10)
        epoch = {clip.numpy().tobytes() for clip in data.dataset("train").__getitems__(range(CLIPS))}
        assert epoch == {clip.numpy().tobytes() for clip in source()}
        assert torch.equal(data.dataset("val")[9], source()[36])  # evenly spread


def test_the_course_knows_the_shards_by_their_index(shards: Path, tmp_path: Path) -> None:
    """A run resumes on moved shards, and not on others, also of the same sizes."""

    def course(train: Path, val: Path | None = shards) -> dict[str, Any]:
        return ClipShardsData(str(train), val and str(val), context=3, horizon=3).course()

    moved, others = shutil.copytree(shards, tmp_path / "moved"), tmp_path / "others"
    write_shards(source(), others, shard_bytes=60_000)
    assert course(moved) == course(shards, moved) == course(shards)
    for changed in (course(others), course(shards, others), course(shards, None)):
        assert changed != course(shards)


def test_an_epoch_holds_every_clip_once_and_keeps_blocks_together() -> None:
    class Numbers(BlockShuffledClips):
        def __init__(self) -> None:
            super().__init__(self, seed=3, block=8)

        def __len__(self) -> int:
            return 1000

    stream = Numbers()
    order = [stream.order(epoch).tolist() for epoch in range(2)]
    assert sorted(order[0]) == sorted(order[1]) == list(range(1000))
    assert order[0] != order[1]
    assert all(len({number // 8 for number in order[0][start : start + 64]}) <= 9 for start in range(0, 960, 64))


def test_missing_or_short_shards_are_refused(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no shards"):
        ClipShards(tmp_path)
    with pytest.raises(DataError, match="20 frames"):
        ClipShards(shards, 20)[0]
    with pytest.raises(ConfigError, match="not empty"):
        write_shards(source(), shards)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore")
def test_a_killed_run_resumes_within_the_epoch(shards: Path, tmp_path: Path) -> None:
    def data() -> ClipShardsData:
        return ClipShardsData(str(shards), str(shards), context=3, horizon=3, batch_size=1, block=4, val_clips=2)

    training = Training(data, STEPS, every=5)  # 1.5 epochs
    training.complete(tmp_path / "whole")
    folder, kills = tmp_path / "killed", 0
    while kills < 50 and training.kill(folder, events=10 + 3 * kills, delay=0.01):
        kills += 1
    assert 3 <= kills < 50
    whole, killed = (
        read_checkpoint(run / "checkpoints/last.ckpt")["state_dict"] for run in (tmp_path / "whole", folder)
    )
    assert all(torch.equal(value, killed[name]) for name, value in whole.items())
