"""Clips in shards: exact, shuffled with few shards at a time, and resumed within an epoch after a kill."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from framepred.data import (
    BlockShuffledClips,
    ClipShards,
    ClipShardsData,
    MovingMNIST,
    ShuffledClips,
    VideoFolder,
    write_shards,
)
from framepred.errors import ConfigError, DataError
from framepred.inference.evaluation_data import ClipChoice, open_data
from framepred.media.ranges import ValueRange
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


def radar(folder: Path, value_range: str) -> VideoFolder:
    """Clips of arrays of -20 to 70, with a missing pixel."""
    folder.mkdir(exist_ok=True)
    values = np.random.default_rng(0).uniform(-20, 70, (LENGTH, 1, 16, 16)).astype(np.float32)
    values[4, 0, 2, 3] = np.nan
    np.save(folder / "radar.npy", values)
    return VideoFolder(folder, LENGTH, layout="tchw", value_range=value_range, keep_nan=True)


def test_the_range_of_values_and_missing_pixels_pass_through_shards(tmp_path: Path) -> None:
    """Networks that train on shards then read files on the scale of the files that the shards were written from."""
    clips = radar(tmp_path / "files", "-20,70,nan=-20")
    write_shards(clips, tmp_path / "shards")
    write_shards(ShuffledClips(clips), tmp_path / "shuffled")
    for name in ("shards", "shuffled"):
        data = ClipShardsData(str(tmp_path / name), context=3, horizon=3, batch_size=1)
        assert data.scaled_range == clips.value_range
        (batch,) = data.train_dataloader()
        assert batch.filler == 0
        torch.testing.assert_close(batch.clips[0], clips[0], rtol=0, atol=0, equal_nan=True)


def test_nan_that_nothing_is_read_for_is_refused_and_leaves_no_shards(tmp_path: Path) -> None:
    clips = radar(tmp_path / "files", "-20,70,nan=-20")
    clips.value_range = None  # as of a data set of one's own
    with pytest.raises(DataError, match=r"Clip 0 .* holds NaN, and nothing says what networks read for it"):
        write_shards(clips, tmp_path / "shards")
    assert not (tmp_path / "shards").exists()


def test_splits_on_different_scales_are_refused(shards: Path, tmp_path: Path) -> None:
    for name, value_range in (("train", "-20,70,nan=-20"), ("val", "-30,70,nan=-20")):
        write_shards(radar(tmp_path / "files", value_range), tmp_path / name)
    for val, found in ((tmp_path / "val", "-30 to 70 with NaN as -20"), (shards, "no range of values")):
        data = ClipShardsData(str(tmp_path / "train"), str(val), context=3, horizon=3)
        with pytest.raises(DataError, match=f"with -20 to 70 with NaN as -20 as 0 to 1, and those of .* with {found}"):
            data.setup("fit")


def test_shards_without_a_range_of_values_are_read(shards: Path) -> None:
    """As those of bytes, and those that earlier versions wrote."""
    assert "value_range" not in (shards / "index.json").read_text()
    assert ClipShardsData(str(shards), context=3, horizon=3).scaled_range is None


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


def test_weights_of_another_range_than_that_of_shards_are_told_of(tmp_path: Path) -> None:
    write_shards(radar(tmp_path / "files", "-20,70,nan=-20"), tmp_path / "val")
    arguments = {"train": str(tmp_path / "val"), "val": str(tmp_path / "val"), "context": 3, "horizon": 3}
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"data": {"class_path": "framepred.data.ClipShardsData", "init_args": arguments}}))
    for low, told in ((-20, False), (-30, True)):
        choice = ClipChoice(split="val", learned_range=ValueRange(low, 70, filler=-20))
        notes = open_data(config, choice).notes
        assert any("were written with -20 to 70 with NaN as -20" in note for note in notes) == told
