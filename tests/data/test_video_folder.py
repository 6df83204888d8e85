"""Clips of a folder: windows of every kind of source, decoded as they are asked for, brought to one form."""

import gc
import pickle
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from framepred.data import BlockShuffledClips, MovingMNIST, ShuffledClips, VideoFolder
from framepred.data.video_folder import evenly_spread
from framepred.errors import ConfigError, DataError, MediaError
from framepred.media.decoding import file_frames
from framepred.media.random_access import VideoReader
from framepred.media.writing import write_video


def noise(*shape: int, seed: int = 0, dtype: str = "u1") -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def pictures(folder: Path, frames: np.ndarray, suffix: str = ".png") -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"frame{number:03}{suffix}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A video, a folder of pictures and two arrays, on three levels: 12, 9, 10 and 3 × 8 frames of 16×20."""
    root = tmp_path / "mine"
    pictures(root / "deep" / "deeper", noise(9, 16, 20))
    write_video(root / "a.mp4", torch.from_numpy(noise(12, 3, 16, 20)))
    np.save(root / "b.npy", noise(10, 16, 20))
    np.savez(root / "deep" / "c.npz", clips=noise(3, 8, 1, 16, 20))
    (root / "notes.txt").write_text("not a video")
    (root / ".hidden.mp4").write_text("not a video either")
    return root


def test_every_kind_is_found_however_deep(folder: Path) -> None:
    clips = VideoFolder(folder, 4)
    assert [source.name for source in clips.sources] == ["a.mp4", "b.npy", "deep/c.npz", "deep/deeper"]
    assert [(source.clips, source.frames) for source in clips.sources] == [(1, 12), (1, 10), (3, 8), (1, 9)]
    assert len(clips) == 3 + 2 + 3 * 2 + 2
    assert clips.left_out == ()
    assert clips.unused_frames == 0 + 2 + 0 + 1


def test_clips_are_the_frames_of_their_files(folder: Path) -> None:
    clips = VideoFolder(folder, 4)
    video = torch.stack(list(file_frames(folder / "a.mp4").frames))
    assert torch.equal(clips[2], video[8:])
    assert torch.equal(clips[4], torch.from_numpy(noise(10, 16, 20)[4:8, None]).expand(-1, 3, -1, -1))
    assert torch.equal(clips[8], torch.from_numpy(noise(3, 8, 1, 16, 20)[1, 4:]).expand(-1, 3, -1, -1))
    assert torch.equal(clips[12], torch.from_numpy(noise(9, 16, 20)[4:8, None]).expand(-1, 3, -1, -1))
    assert [clip.tolist() for clip in clips.__getitems__([4, 12])] == [clips[4].tolist(), clips[12].tolist()]


@pytest.mark.parametrize(
    ("stride", "frame_step", "starts"),
    [(None, 1, [0, 4, 8]), (1, 1, range(9)), (3, 2, [0, 3]), (5, 3, [0]), (None, 3, [0])],
)
def test_windows_begin_every_stride_and_take_every_nth_frame(
    tmp_path: Path, stride: int | None, frame_step: int, starts: list[int]
) -> None:
    frames = noise(12, 5, 6)
    np.save(tmp_path / "a.npy", frames)
    clips = VideoFolder(tmp_path, 4, stride=stride, frame_step=frame_step)
    assert len(clips) == len(starts)
    for clip, start in zip(clips, starts, strict=True):
        assert np.array_equal(clip[:, 0].numpy(), frames[start : start + 3 * frame_step + 1 : frame_step])
    spanned = {number for start in starts for number in range(start, start + 3 * frame_step + 1)}
    assert clips.unused_frames == 12 - len(spanned)


@pytest.mark.parametrize("number", [-14, 13])
def test_clips_beyond_the_ends_are_refused(folder: Path, number: int) -> None:
    with pytest.raises(IndexError, match=f"Clip {number} is out of range: there are 13 clips"):
        VideoFolder(folder, 4)[number]


def test_a_part_keeps_some_files(folder: Path) -> None:
    part = VideoFolder(folder, 4).only(["b.npy", "a.mp4"], stride=1)
    assert [source.name for source in part.sources] == ["a.mp4", "b.npy"]
    assert len(part) == 9 + 7


def test_a_folder_of_pictures_alone_is_a_source(tmp_path: Path) -> None:
    pictures(tmp_path / "mine", noise(6, 5, 6))
    assert [source.name for source in VideoFolder(tmp_path / "mine", 3).sources] == ["."]


def test_gray_of_colours_and_colours_of_gray(folder: Path) -> None:
    gray, colours = VideoFolder(folder, 4, channels=1), VideoFolder(folder, 4, channels=3)
    red, green, blue = colours[0].float().unbind(dim=1)
    expected = 0.299 * red + 0.587 * green + 0.114 * blue
    assert (gray[0][:, 0].float() - expected).abs().max() <= 0.501
    assert torch.equal(gray[4].expand(-1, 3, -1, -1), colours[4])


def test_sizes_can_be_cut_or_scaled(folder: Path) -> None:
    whole, cut = VideoFolder(folder, 4), VideoFolder(folder, 4, fit="crop", size=(8, 10))
    assert torch.equal(cut[1], whole[1][..., 4:12, 5:15])
    scaled = VideoFolder(folder, 4, fit="resize", size=(24, 7))
    assert scaled[0].shape == (4, 3, 24, 7)
    assert scaled[0].float().mean() == pytest.approx(float(whole[0].float().mean()), abs=3)


def test_the_widest_type_holds_all(tmp_path: Path) -> None:
    narrow = noise(4, 5, 6)
    np.save(tmp_path / "a.npy", narrow)
    pictures(tmp_path / "b", noise(4, 5, 6, dtype="u2"), ".tif")
    clips = VideoFolder(tmp_path, 4)
    assert clips[0].dtype == clips[1].dtype == torch.uint16
    assert np.array_equal(clips[0][:, 0].numpy(), narrow.astype("u2") * 257)
    np.save(tmp_path / "c.npy", np.full((4, 5, 6), 0.25))
    floats = VideoFolder(tmp_path, 4)
    assert floats[2].unique().tolist() == [0.25]
    torch.testing.assert_close(floats[0][:, 0], torch.from_numpy(narrow / 255).float())


@pytest.mark.parametrize("channels", [2, 4, 7])
@pytest.mark.parametrize("suffix", [".npy", ".h5", ".zarr"])
def test_any_number_of_channels(tmp_path: Path, suffix: str, channels: int) -> None:
    frames = noise(9, channels, 5, 6)
    save(tmp_path / f"a{suffix}", frames)
    assert np.array_equal(VideoFolder(tmp_path, 3, channels=channels)[1].numpy(), frames[3:6])
    last = VideoFolder(tmp_path, 3, channels=channels, layout="tchw")
    assert np.array_equal(last[2].numpy(), frames[6:])


def save(path: Path, array: np.ndarray) -> None:
    if path.suffix == ".h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["frames"] = array
    elif path.suffix == ".zarr":
        pytest.importorskip("zarr").save_array(str(path), array)
    else:
        np.save(path, array)


def test_sizes_that_differ_are_named(tmp_path: Path) -> None:
    for name, shape in {"a": (4, 5, 6), "b": (4, 5, 6), "c": (4, 7, 6)}.items():
        np.save(tmp_path / f"{name}.npy", noise(*shape))
    with pytest.raises(DataError, match=r"1 of the 3 files in .*, c\.npy \(7×6\), are not 5×6 like the others"):
        VideoFolder(tmp_path, 4)
    with pytest.raises(DataError, match=r"2 of the 3 files in .*, a\.npy \(5×6\), b\.npy \(5×6\), are smaller than"):
        VideoFolder(tmp_path, 4, fit="crop", size=(6, 6))
    assert len(VideoFolder(tmp_path, 4, fit="resize", size=(6, 6))) == 3


def test_channels_that_do_not_fit_are_named(folder: Path) -> None:
    np.save(folder / "two.npy", noise(4, 2, 16, 20))
    with pytest.raises(
        DataError, match=r"3 of the 4 files in .*, a\.mp4 \(3\), b\.npy \(1\), deep/deeper \(1\), cannot become frames"
    ):
        VideoFolder(folder, 4, channels=2, skip_broken=True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"length": 0}, "length must be at least 1"),
        ({"frame_step": 0}, "frame_step must be at least 1"),
        ({"stride": -1}, "stride must be at least 1"),
        ({"channels": -1}, "channels must be at least 1"),
        ({"size": (4, 4)}, "fit keep takes no size"),
        ({"fit": "crop"}, "fit crop needs size"),
        ({"fit": "resize", "size": (0, 4)}, "size must be at least 1 pixel"),
    ],
)
def test_arguments_outside_their_domain_are_named(folder: Path, arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        VideoFolder(folder, **{"length": 4, **arguments})


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder; set root"):
        VideoFolder(tmp_path / "gone")
    with pytest.raises(DataError, match=r"holds no videos; put \.mp4"):
        VideoFolder(tmp_path)


def test_a_file_that_changes_after_it_was_found(folder: Path) -> None:
    clips = VideoFolder(folder, 4)
    np.save(folder / "b.npy", noise(6, 16, 20))
    with pytest.raises(MediaError, match=r"b\.npy is damaged or has changed: its frame 6 "):
        clips[4]


def test_it_can_be_sent_to_a_worker(folder: Path) -> None:
    clips = VideoFolder(folder, 4)
    assert torch.equal(pickle.loads(pickle.dumps(clips))[2], clips[2])


def test_a_negative_seed_is_refused() -> None:
    for stream in (ShuffledClips, BlockShuffledClips):
        with pytest.raises(ConfigError, match="seed must be 0 or more, not -1"):
            stream(MovingMNIST(clips=2, digits="mnist-5k"), seed=-1)


def drawn(clips: ShuffledClips, numbers: range) -> list[bytes]:
    return [clip.numpy().tobytes() for clip in clips.__getitems__(numbers)]


def test_each_epoch_has_all_clips_in_an_order_of_its_own(folder: Path) -> None:
    clips = VideoFolder(folder, 4, stride=1)
    count = len(clips)
    stream = ShuffledClips(clips, seed=3)
    first, second = drawn(stream, range(count)), drawn(stream, range(count, 2 * count))
    assert set(first) == set(second) == set(drawn(ShuffledClips(clips, seed=4), range(count)))
    assert first != second
    assert first != drawn(ShuffledClips(clips, seed=4), range(count))
    assert drawn(ShuffledClips(clips, seed=3), range(count - 3, count + 3)) == [*first[-3:], *second[:3]]


def test_spread_evenly() -> None:
    assert list(evenly_spread(3, 5)) == [0, 1, 2]
    assert evenly_spread(10, 4) == [0, 2, 5, 7]


def test_few_files_stay_open_however_many_there_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is closed goes at once: decoders that wait for the garbage collector would fill memory with the folder."""
    for number in range(20):
        (folder / f"copy {number}.mp4").write_bytes((folder / "a.mp4").read_bytes())
    readers: weakref.WeakSet[VideoReader] = weakref.WeakSet()
    begin = VideoReader.__init__
    monkeypatch.setattr(VideoReader, "__init__", lambda self, *given: begin(self, *given) or readers.add(self))
    gc.disable()
    try:
        clips = VideoFolder(folder, 4)
        assert len(readers) == 0
        for number in np.random.default_rng(0).permutation(len(clips)).tolist():
            assert clips[number].shape == (4, 3, 16, 20)
            assert len(readers) <= 4
    finally:
        gc.enable()
