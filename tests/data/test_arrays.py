from pathlib import Path

import numpy as np
import pytest
import torch

from framepred.data import ClipArray, ClipLoader, OrderedBatches
from framepred.errors import ClipError, MediaError

CLIPS = np.random.default_rng(0).integers(0, 256, (5, 4, 3, 6, 7), dtype=np.uint8)


@pytest.fixture(params=[".npy", ".npz"])
def saved(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / f"waves{request.param}"
    np.save(path, CLIPS) if request.param == ".npy" else np.savez(path, clips=CLIPS)
    return path


def test_clips_come_back_as_they_were_saved(saved: Path) -> None:
    clips = ClipArray(saved, 4)
    assert len(clips) == 5
    assert torch.equal(torch.stack(clips.__getitems__([4, 0, 4])), torch.from_numpy(CLIPS[[4, 0, 4]]))
    assert torch.equal(clips[2], torch.from_numpy(CLIPS[2]))
    assert len(list(clips)) == 5


def test_longer_clips_give_their_beginning(saved: Path) -> None:
    clips = ClipArray(saved, 3)
    assert len(clips) == 5
    assert torch.equal(clips[4], torch.from_numpy(CLIPS[4, :3]))


def test_clips_can_be_loaded_in_batches(saved: Path) -> None:
    loader = ClipLoader(ClipArray(saved, 4), OrderedBatches(5, 2), context=3)
    batches = list(loader)
    assert [tuple(batch.context.shape) for batch in batches] == [(2, 3, 3, 6, 7)] * 2 + [(1, 3, 3, 6, 7)]
    assert torch.equal(torch.cat([batch.clips for batch in batches]), torch.from_numpy(CLIPS))


def test_one_long_clip_is_cut_into_windows(tmp_path: Path) -> None:
    frames = CLIPS[:, :, 0].reshape(20, 6, 7)
    np.save(tmp_path / "a.npy", frames)
    clips = ClipArray(tmp_path / "a.npy", 6)
    assert len(clips) == 3
    np.testing.assert_array_equal(torch.stack(list(clips)).numpy().reshape(18, 6, 7), frames[:18])


def test_a_layout_can_be_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", CLIPS[:, :, 0])
    clips = ClipArray(tmp_path / "a.npy", 4, layout="nthw")
    assert torch.equal(clips[3], torch.from_numpy(CLIPS[3, :, :1]))


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("<u2", torch.uint16),
        (">u2", torch.uint16),
        ("<f4", torch.float32),
        (">f8", torch.float32),
        ("f2", torch.float32),
    ],
)
def test_types_are_kept_and_floats_become_float32(tmp_path: Path, stored: str, read: torch.dtype) -> None:
    values = (CLIPS // 255).astype(stored)
    np.save(tmp_path / "a.npy", values)
    clip = ClipArray(tmp_path / "a.npy", 4)[1]
    assert clip.dtype == read
    np.testing.assert_array_equal(clip.numpy(), values[1])


@pytest.mark.parametrize("index", [-6, 5])
def test_clips_beyond_the_ends_are_refused(saved: Path, index: int) -> None:
    with pytest.raises(IndexError, match=f"Clip {index} is out of range: there are 5"):
        ClipArray(saved, 4)[index]


def test_the_official_test_set_is_read_frames_first(tmp_path: Path) -> None:
    path = tmp_path / "mnist_test_seq.npy"
    file = np.lib.format.open_memmap(path, "w+", np.uint8, (20, 10_000, 64, 64))  # a hole on disk but for this:
    file[3, 1234, 5, 6] = 7
    file.flush()
    clips = ClipArray(path, 20)
    assert len(clips) == 10_000
    batch = torch.stack(clips.__getitems__([0, 1234]))
    assert batch.shape == (2, 20, 1, 64, 64)
    assert batch.nonzero().tolist() == [[1, 3, 0, 5, 6]]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5, -0.1])
def test_bad_floats_are_said_when_they_are_read(tmp_path: Path, value: float) -> None:
    values = CLIPS / 255
    values[3, 1, 2, 0, 0] = value
    np.save(tmp_path / "a.npy", values)
    clips = ClipArray(tmp_path / "a.npy", 4)
    assert torch.stack(clips.__getitems__([0, 4])).max() <= 1
    with pytest.raises(ClipError, match=r"a\.npy holds"):
        clips.__getitems__([0, 3])


def test_clips_that_are_too_short_are_refused(saved: Path) -> None:
    with pytest.raises(ClipError, match="has clips of 4 frames but 5 are needed"):
        ClipArray(saved, 5)


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY broken"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_damaged_files_are_named(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=f"a{suffix} is damaged or is not an array"):
        ClipArray(path, 4)


def test_truncated_files_are_named(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(MediaError, match="is damaged"):
        ClipArray(saved, 4)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(MediaError, match=r"a\.npy is damaged or is not an array of numbers"):
        ClipArray(tmp_path / "a.npy", 4)
