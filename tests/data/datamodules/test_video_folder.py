"""A folder in training: what is said first, the same clips for any worker count, resume at the very clip."""

import hashlib
import os
import shutil
import signal
import typing
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from framepred.clips import ClipBatch
from framepred.data import VideoFolderData
from framepred.errors import ConfigError, DataError
from framepred.media.writing import write_video
from framepred.training.course import differing

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create .* worker processes"),
]
FILES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine videos and three arrays of 11 frames, all different."""
    root = tmp_path_factory.mktemp("videos")
    for number in range(FILES):
        frames = np.random.default_rng(number).integers(0, 256, (11, 1, 16, 24), dtype=np.uint8)
        write_video(root / f"{number:02}{'.npy' if number % 4 == 0 else '.mp4'}", torch.from_numpy(frames))
    return root


def small(root: Path, **arguments: typing.Any) -> VideoFolderData:
    defaults = {"context": 3, "horizon": 2, "batch_size": 4, "stride": 2, "channels": 1}
    return VideoFolderData(str(root), **{**defaults, **arguments})


def hashes(batch: ClipBatch) -> list[str]:
    return [hashlib.sha256(clip.numpy().tobytes()).hexdigest() for clip in batch.clips]


def test_batches_are_cut_into_context_and_target(folder: Path) -> None:
    batch = next(iter(small(folder).train_dataloader()))
    assert isinstance(batch, ClipBatch)
    assert batch.context.shape == (4, 3, 1, 16, 24)
    assert batch.target.shape == (4, 2, 1, 16, 24)
    assert batch.context.dtype == torch.uint8


def test_the_course_knows_the_files_by_their_content(folder: Path, tmp_path: Path) -> None:
    """A run resumes on a moved folder or list, and not on other clips."""
    (tmp_path / "val.txt").write_text("01.mp4\n04.npy\n")
    chosen = {"val": str(tmp_path / "val.txt"), "batch_size": 4}
    course = small(folder, **chosen).course()
    moved = shutil.copytree(folder, tmp_path / "moved")
    shutil.copy(tmp_path / "val.txt", moved)
    assert small(moved, val="val.txt", batch_size=2, num_workers=1, skip_broken=True).course() == course
    for changed in (
        {"seed": 1},
        {"stride": 1},
        {"frame_step": 2},
        {"context": 2},
        {"test": "02.mp4"},
        {"val": "0[12]*"},
    ):
        assert small(folder, **chosen | changed).course() != course
    shutil.copy(folder / "05.mp4", moved / "01.mp4")
    assert small(moved, **chosen).course() != course


@pytest.mark.parametrize("change", ["removed", "replaced", "added", "cut"])
def test_the_course_knows_the_training_files(folder: Path, tmp_path: Path, change: str) -> None:
    chosen = {"val": "01.mp4", "test": "02.mp4"}
    course = small(folder, **chosen).course()
    other = shutil.copytree(folder, tmp_path / "other")
    assert small(other, **chosen).course() == course
    if change == "removed":
        (other / "03.mp4").unlink()
    elif change == "cut":
        np.save(other / "04.npy", np.load(other / "04.npy")[:-1])
    else:
        shutil.copy(other / "05.mp4", other / {"replaced": "03.mp4", "added": "99.mp4"}[change])
    assert differing(course, small(other, **chosen).course()) == {"train_files"}


def test_files_are_split_and_never_their_windows(folder: Path) -> None:
    data = small(folder)
    files = {split: {source.name for source in data.part(split).sources} for split in ("train", "val", "test")}
    assert len(set().union(*files.values())) == sum(map(len, files.values())) == FILES
    assert min(map(len, files.values())) >= 1
    clips = {
        "train": {clip for batch in data.train_dataloader() for clip in hashes(batch)},
        "val": {clip for batch in data.val_dataloader() for clip in hashes(batch)},
        "test": {clip for batch in data.test_dataloader() for clip in hashes(batch)},
    }
    assert len(set().union(*clips.values())) == sum(map(len, clips.values()))
    assert {len(clips[split]) / len(files[split]) for split in ("val", "test")} == {2}  # end to end
    assert len(clips["train"]) == 4 * len(files["train"])  # every second frame begins one


def test_splits_by_pattern_and_list(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("03.mp4\n")
    data = small(folder, test="0[12].mp4", val=str(tmp_path / "val.txt"))
    assert [source.name for source in data.part("test").sources] == ["01.mp4", "02.mp4"]
    assert [source.name for source in data.part("val").sources] == ["03.mp4"]
    assert len(data.part("train").sources) == FILES - 3


def test_fewer_clips_are_spread_over_the_files(folder: Path) -> None:
    data = small(folder, val="*.npy", val_clips=3, clips_per_epoch=8)
    assert len([clip for batch in data.val_dataloader() for clip in hashes(batch)]) == 3
    assert len(data.train_dataloader()) == 2
    assert "val 3 files, 3 of 6 clips" in data.describe()


def test_an_epoch_may_be_longer_than_the_clips(folder: Path) -> None:
    data = small(folder, clips_per_epoch=1000)
    assert f"{len(data.part('train')):,} clips, 1,000 drawn per epoch" in data.describe()


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(folder: Path, workers: int) -> None:
    alone, helped = small(folder), small(folder, num_workers=workers)
    next(iter(alone.val_dataloader()))  # files are open when workers are forked
    for mine, theirs in zip(alone.train_dataloader(), helped.train_dataloader(), strict=True):
        assert torch.equal(mine.clips, theirs.clips)
    for mine, theirs in zip(alone.val_dataloader(), helped.val_dataloader(), strict=True):
        assert torch.equal(mine.clips, theirs.clips)


def test_a_fork_reads_the_files_that_its_parent_has_open(folder: Path) -> None:
    data = small(folder)
    before = [hashes(batch) for batch in data.val_dataloader()]
    child = os.fork()
    if not child:
        signal.alarm(20)  # a child that waits for its parent's decoder threads would wait forever
        os._exit(0 if [hashes(batch) for batch in data.val_dataloader()] == before else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert [hashes(batch) for batch in data.val_dataloader()] == before


def test_the_seed_changes_the_order(folder: Path) -> None:
    one, other = (next(iter(small(folder, seed=seed).train_dataloader())).clips for seed in (0, 1))
    assert not torch.equal(one, other)


class PowerCutError(Exception):
    """What kills a run."""


class Witness(LightningModule):
    """Notes the clips of every batch; dies before batch ``dies_at``."""

    def __init__(self, dies_at: int | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.dies_at = dies_at
        self.seen: list[list[str]] = []

    def training_step(self, batch: ClipBatch, batch_idx: int) -> torch.Tensor:
        if len(self.seen) == self.dies_at:
            raise PowerCutError
        self.seen.append(hashes(batch))
        return self.weight * batch.context.float().mean()

    def validation_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """Validation in the middle of an epoch must not move the stream."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(root: Path, to: Path, witness: Witness, *, workers: int = 0, resume: bool = False) -> list[list[str]]:
    saving = ModelCheckpoint(to, filename="last", every_n_train_steps=1, enable_version_counter=False)
    Trainer(
        default_root_dir=to,
        accelerator="cpu",
        callbacks=[saving],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        max_epochs=2,
    ).fit(
        witness,
        small(root, num_workers=workers, clips_per_epoch=20),
        ckpt_path=to / "last.ckpt" if resume else None,
        weights_only=True,
    )
    return witness.seen


def test_a_killed_run_sees_what_it_would_have_seen(folder: Path, tmp_path: Path) -> None:
    """In the middle of the second epoch, with another number of workers; test_resume.py has the other cases."""
    whole = fit(folder, tmp_path / "whole", Witness())
    assert len(whole) == 10
    assert len({clip for batch in whole for clip in batch}) > 20  # epochs continue the stream
    dying = Witness(7)
    with pytest.raises(PowerCutError):
        fit(folder, tmp_path, dying, workers=1)
    assert dying.seen + fit(folder, tmp_path, Witness(), resume=True) == whole


def test_the_description_says_how_much_is_used_and_what_is_left_out(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("words")
    data = small(tmp_path, skip_broken=True, val="0[14].*", test="02.mp4")
    lines = [line.strip() for line in data.describe().splitlines()]
    assert lines[0] == f"12 files in {tmp_path}: train 9 files, 36 clips; val 2 files, 4 clips; test 1 files, 2 clips"
    assert lines[1] == "left out 3 of 132 frames, at ends of files: they fill no clip of 5"
    assert lines[2] == "left out 2 files that cannot be used:"
    assert lines[3] == f"{tmp_path}/empty.mp4 is an empty file of 0 bytes; copy or record it again."
    assert lines[4].startswith(f"{tmp_path}/text.mp4 holds no video")
    assert len(lines) == 5


def test_files_that_no_split_takes_are_said(folder: Path) -> None:
    data = small(folder, train="0[1-5].*", val="0[67].*", test="08.*")
    assert "left out 4 files that no list or pattern names" in data.describe()


def test_copies_among_the_splits_are_said(folder: Path, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.mp4").write_bytes((folder / "01.mp4").read_bytes())
    assert "warning  2 files of val and test are copies of training files" in small(tmp_path).describe()
    assert "warning" not in small(folder).describe()


def test_files_that_begin_and_end_alike_are_no_copies(tmp_path: Path) -> None:
    """Their first and last frames are black and longer than what identifies a file."""
    for number in range(4):
        film = np.random.default_rng(number).integers(0, 256, (12, 300, 300), dtype=np.uint8)
        film[[0, -1]] = 0
        np.save(tmp_path / f"{number}.npy", film)
    assert "copies" not in small(tmp_path).describe()
    shutil.copy(tmp_path / "0.npy", tmp_path / "4.npy")
    names = {"train": "[013].*", "val": "2.*", "test": "4.*"}
    assert "warning  1 files of val and test are copies of training files" in small(tmp_path, **names).describe()


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_files_are_divided_along_time(tmp_path: Path, count: int) -> None:
    """Each frame's pixels hold its number: no frame of one split is within a clip of another's."""
    for number in range(count):
        frames = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None], (100, 6, 8)) + np.uint8(100 * number)
        np.save(tmp_path / f"{number}.npy", frames)
    data = small(tmp_path, stride=1)
    seen = {
        split: {frame for clip in data.part(split) for frame in clip[:, 0, 0, 0].tolist()}  # type: ignore[attr-defined]
        for split in ("train", "val", "test")
    }
    assert all(seen.values())
    for one, other in combinations(seen.values(), 2):
        assert min(abs(a - b) for a in one for b in other if a // 100 == b // 100) > data.context + data.horizon
    if count == 1:
        ranges = "train frames 0 to 65, val frames 71 to 82, test frames 88 to 99"
        assert f"divided  0.npy, as files are few: {ranges}" in data.describe()
        assert "warning" not in data.describe()
        assert data.describe().splitlines()[0].startswith("1 files in")
    longer = small(tmp_path, stride=1, test_fraction=0)
    assert longer.count("test") == 0
    with pytest.raises(DataError, match="There are no test clips"):
        longer.test_dataloader()


def test_a_file_of_several_clips_is_divided_between_clips(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (20, 5, 1, 6, 8), dtype=np.uint8))
    data = small(tmp_path)
    assert [len(data.part(split)) for split in ("train", "val", "test")] == [16, 2, 2]
    assert "divided  a.npy, as files are few: train clips 0 to 15, val clips 16 to 17, test clips 18 to 19" in (
        data.describe()
    )


def test_a_video_too_short_to_be_divided_is_said(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((24, 6, 8), np.uint8))
    with pytest.raises(DataError, match=r"has 24 frames but .* takes 25; .* set val_fraction or test_fraction to 0"):
        small(tmp_path).setup("fit")
    small(tmp_path, test_fraction=0).setup("fit")


@pytest.mark.parametrize("arguments", [{"val_fraction": 0}, {"val_clips": 0}])
def test_training_without_validation(folder: Path, tmp_path: Path, arguments: dict[str, float]) -> None:
    witness = Witness()
    data = small(folder, clips_per_epoch=8, **arguments)
    data.describe()
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(
        accelerator="cpu", max_epochs=2, use_distributed_sampler=False, default_root_dir=tmp_path, **quiet
    )
    trainer.fit(witness, data)
    assert len(witness.seen) == 4


def test_broken_files_are_said_at_setup(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(DataError, match="is an empty file"):
        small(tmp_path).setup("fit")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"context": 0}, "context and horizon must be at least 1"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"stride": 0}, "stride must be at least 1"),
        ({"val_clips": -1}, "must be 0 or more"),
        ({"test_clips": 0}, "must be at least 1"),
        ({"clips_per_epoch": 0}, "must be at least 1"),
        ({"val_fraction": 1.0}, "must be 0 or more and below 1 together"),
    ],
)
def test_arguments_outside_their_domain_are_named(folder: Path, arguments: dict[str, int], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        small(folder, **arguments).train_dataloader()


def test_the_command_line_can_set_every_argument(folder: Path) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(VideoFolderData, "data")
    parsed = parser.parse_args(
        [f"--data.root={folder}", "--data.size=[48, 64]", "--data.fit=crop", "--data.val=*.mp4", "--data.frame_step=2"]
    )
    data = parser.instantiate(parsed).data
    assert (data.size, data.fit, data.patterns["val"], data.frame_step) == ((48, 64), "crop", "*.mp4", 2)
