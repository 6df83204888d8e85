import math
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framepred.errors import ClipError, ConfigError, MediaError
from framepred.media.reading import read_clips, read_video
from framepred.media.writing import tile_clips, write_frames, write_video
from full_disk import full_disk


def noise(*shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    values = torch.rand(shape)
    if dtype.is_floating_point:
        return values.to(dtype)
    return (values * torch.iinfo(dtype).max).to(torch.int32).to(dtype)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "A.NPY", "A.NPZ"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
@pytest.mark.parametrize("shape", [(4, 3, 5, 7), (2, 4, 1, 5, 7)])
def test_arrays_are_exact(tmp_path: Path, name: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    frames = noise(*shape, dtype=dtype)
    write_video(tmp_path / name, frames)
    loaded = np.load(tmp_path / name)
    array = loaded if isinstance(loaded, np.ndarray) else loaded["frames"]
    assert array.shape == shape
    again = read_clips(tmp_path / name).clips
    assert again.dtype == dtype
    assert torch.equal(again, frames if frames.ndim == 5 else frames[None])
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("channels", [2, 4, 17])
def test_arrays_hold_any_number_of_channels_and_pictures_do_not(tmp_path: Path, name: str, channels: int) -> None:
    frames = torch.rand(3, channels, 5, 7)
    write_video(tmp_path / name, frames)
    loaded = np.load(tmp_path / name)
    np.testing.assert_array_equal(loaded if isinstance(loaded, np.ndarray) else loaded["frames"], frames)
    for picture in ("a.mp4", "a.gif", "a"):
        with pytest.raises(ClipError, match=rf"have 1 or 3 channels but the frames for .*a.* have {channels}"):
            write_video(tmp_path / picture, frames)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_values_are_converted_to_those_of_the_file(tmp_path: Path) -> None:
    frames = torch.rand(3, 1, 5, 7)

    def to_12_bits(frames: Tensor) -> Tensor:
        return (frames * 4095).round().to(torch.uint16)

    write_video(tmp_path / "a.npy", frames, to_file=lambda frames: frames * 92 - 32)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), (frames * 92 - 32).numpy())
    write_video(tmp_path / "a", frames, to_file=to_12_bits)
    assert torch.equal(read_video(tmp_path / "a"), to_12_bits(frames))


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a"])
def test_frames_are_written_as_they_are_produced(tmp_path: Path, gray: Tensor, name: str) -> None:
    write_frames(tmp_path / name, (frame for frame in gray))
    assert len(read_video(tmp_path / name)) == len(gray)
    for frames, sentence in (([], "no frame to write"), ([gray[0], gray[1, :, 1:]], "must have one shape")):
        with pytest.raises(ClipError, match=sentence):
            write_frames(tmp_path / name, iter(frames))
    assert len(read_video(tmp_path / name)) == len(gray)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_every_frame_has_a_time_or_none_has(tmp_path: Path, gray: Tensor, name: str) -> None:
    with pytest.raises(ClipError, match="times for 2 frames only; give one time per frame"):
        write_video(tmp_path / name, gray[:3], times=[0, 0.1])
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a"])
@pytest.mark.parametrize("axes", [1, 2])
def test_pictures_of_a_type_without_a_range_are_refused(tmp_path: Path, gray: Tensor, name: str, axes: int) -> None:
    frames = gray.to(torch.int32)
    with pytest.raises(ClipError, match="int32 have no known range"):
        write_video(tmp_path / name, frames if axes == 1 else frames[None])
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.npy", "a.npz", "a"])
def test_a_disk_that_fills_up_while_writing_leaves_what_was_there(tmp_path: Path, gray: Tensor, name: str) -> None:
    write_video(tmp_path / name, gray[:1])
    noisy = noise(40, 3, 64, 64)
    with full_disk(3000), pytest.raises(MediaError, match=r"File too large|requested"):
        write_video(tmp_path / name, noisy)
    assert len(read_video(tmp_path / name)) == 1
    assert [file.name for file in tmp_path.iterdir()] == [name]


@given(st.integers(1, 12), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9), st.booleans())
@settings(max_examples=15)
def test_folders_are_exact(
    tmp_path_factory: pytest.TempPathFactory, time: int, channels: int, height: int, width: int, wide: bool
) -> None:
    folder = tmp_path_factory.mktemp("png") / "frames"
    clip = noise(time, channels, height, width, dtype=torch.uint16 if wide else torch.uint8)
    write_video(folder, clip)
    assert sorted(file.name for file in folder.iterdir()) == [f"{number:04d}.png" for number in range(time)]
    again = read_video(folder)
    assert again.dtype == clip.dtype
    assert torch.equal(again, clip)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a"])
def test_floats_of_another_scale_are_refused(tmp_path: Path, name: str) -> None:
    write_video(tmp_path / name, torch.tensor([-0.2, 1.3]).view(2, 1, 1, 1).expand(2, 3, 16, 16))
    for wrong in (255 * torch.rand(2, 3, 16, 16) + 2, torch.full((2, 3, 16, 16), -2.0)):
        with pytest.raises(ClipError, match=r"Floats to write lie in \[0, 1\], and these lie in"):
            write_video(tmp_path / name, wrong)


def test_films_keep_their_brightness_when_they_are_read_and_written_again(tmp_path: Path) -> None:
    colours = torch.randint(40, 216, (4, 3, 6, 8), dtype=torch.uint8).float()
    given = torch.nn.functional.interpolate(colours, scale_factor=16, mode="bilinear").round().to(torch.uint8)
    clip = given
    for _ in range(4):
        write_video(tmp_path / "a.mp4", clip)
        clip = read_video(tmp_path / "a.mp4")
    drift = (clip.float() - given.float()).mean(dim=(0, 2, 3))
    assert drift.abs().max() < 1  # of 255; a conversion that darkens by a level loses four


@pytest.mark.parametrize("fps", [1e-4, 1 / 3600, 0.3, 30000 / 1001])
def test_slow_rates_are_kept(tmp_path: Path, fps: float) -> None:
    write_video(tmp_path / "a.mp4", noise(3, 3, 16, 16), fps=fps)
    assert read_clips(tmp_path / "a.mp4").fps == pytest.approx(fps, rel=1e-3)


def test_a_shorter_clip_replaces_a_longer_one(tmp_path: Path) -> None:
    for time in (5, 2):
        write_video(tmp_path / "frames", noise(time, 1, 4, 4))
    assert len(list((tmp_path / "frames").iterdir())) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["frames"]


@pytest.mark.parametrize("name", ["a.gif", "a"])
def test_several_clips_are_shown_as_a_grid(tmp_path: Path, name: str) -> None:
    clips = noise(5, 3, 1, 8, 10)
    write_video(tmp_path / name, clips)
    assert torch.equal(read_video(tmp_path / name), tile_clips(clips))


def contents(path: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(path.glob("*"))] if path.is_dir() else [path.read_bytes()]


@pytest.mark.parametrize("name", ["a.npy", "a.mp4", "a.gif", "folder"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_arrays_are_written_as_tensors_are(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    frames = noise(3, 1, 6, 8, dtype=dtype)
    array = frames.numpy()
    write_video(tmp_path / "tensor" / name, frames)
    reversed_twice = np.ascontiguousarray(array[::-1])[::-1]
    other_order = array.astype(array.dtype.newbyteorder("S"))
    for folder, same in (("plain", array), ("reversed", reversed_twice), ("order", other_order)):
        write_video(tmp_path / folder / name, same)
        assert contents(tmp_path / folder / name) == contents(tmp_path / "tensor" / name)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "folder"])
@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.full((2, 1, 4, 4), 255.0), "in \\[0, 1\\], and these lie in \\[255, 255\\]"),
        (np.full((2, 1, 4, 4), np.nan), "not finite"),
        (np.zeros((2, 1, 4, 4), np.int64), "have no known range"),
        (np.zeros((4, 4), np.uint8), "not \\(4, 4\\)"),
        (np.full((2, 1, 4, 4), "x"), "not an array of <U1"),
        ([[0.0]], "not a list"),
    ],
)
def test_arrays_are_checked_as_tensors_are(tmp_path: Path, name: str, array: np.ndarray, sentence: str) -> None:
    with pytest.raises(ClipError, match=sentence):
        write_video(tmp_path / name, array)
    assert not list(tmp_path.iterdir())


def test_masked_values_are_nan_in_arrays(tmp_path: Path) -> None:
    frames = np.ma.masked_array(np.zeros((1, 1, 1, 2), np.uint8), mask=[[[[False, True]]]])
    write_video(tmp_path / "a.npy", frames)
    assert np.array_equal(np.load(tmp_path / "a.npy"), [[[[0, np.nan]]]], equal_nan=True)


def test_floats_become_8_bits_in_pictures(tmp_path: Path) -> None:
    write_video(tmp_path / "a", torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5]).view(1, 1, 1, 5))
    assert read_video(tmp_path / "a").flatten().tolist() == [0, 0, 128, 255, 255]


def test_missing_folders_are_made(tmp_path: Path, gray: Tensor) -> None:
    write_video(tmp_path / "some" / "where" / "a.mp4", gray)
    assert read_video(tmp_path / "some" / "where" / "a.mp4").shape == gray.shape


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.npy", "a.npz", "a"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, gray: Tensor, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / name, gray)
    before = read_video(tmp_path / name)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(MediaError, match=r"cannot be written \(No space left on device\)"):
        write_video(tmp_path / name, gray.flip(0))
    assert torch.equal(read_video(tmp_path / name), before)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_folder_with_other_things_is_not_replaced(tmp_path: Path, gray: Tensor) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(MediaError, match=r"holds thesis\.tex, which writing frames would delete"):
        write_video(tmp_path, gray)
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((4, 4), r"shape \(t, c, h, w\) or \(n, t, c, h, w\), not \(4, 4\)"),
        ((0, 1, 4, 4), r"no frame to write in the shape \(0, 1, 4, 4\)"),
    ],
)
def test_shapes_are_checked(tmp_path: Path, shape: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(ClipError, match=sentence):
        write_video(tmp_path / "a.npy", torch.zeros(shape))


def test_rate_and_suffix_are_checked(tmp_path: Path, gray: Tensor) -> None:
    with pytest.raises(ConfigError, match="must be a positive number"):
        write_video(tmp_path / "a.npy", gray, fps=0)
    with pytest.raises(MediaError, match=r"\.webm is not known; choose \.mp4"):
        write_video(tmp_path / "a.webm", gray)


@pytest.mark.parametrize("start", [-5.0, 0.0, 1.7e9])
def test_a_file_begins_with_the_first_time(tmp_path: Path, start: float) -> None:
    frames = torch.randint(0, 256, (5, 1, 32, 32), dtype=torch.uint8)
    steps = [0.0, 0.25, 0.5, 1.5, 1.75]
    write_video(tmp_path / "a.mp4", frames, times=[start + step for step in steps])
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert [float(frame.time or 0) for frame in container.decode(video=0)] == pytest.approx(steps, abs=1e-3)


@pytest.mark.parametrize("wrong", [[0, 2, 1], [0, 0, 0], [0, math.nan, 2], [0, 1, math.inf]])
@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_times_that_do_not_increase_are_refused(tmp_path: Path, name: str, wrong: list[float]) -> None:
    frames = torch.zeros(3, 1, 16, 16, dtype=torch.uint8)
    with pytest.raises(ClipError, match="The times of frames increase, but that of frame"):
        write_video(tmp_path / name, frames, 10, times=wrong)
    assert not (tmp_path / name).exists()
