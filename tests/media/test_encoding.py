import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from torch import Tensor

from framepred.errors import ClipError, ConfigError, MediaError
from framepred.media.encoding import VideoWriter
from framepred.media.frame_times import frame_times
from framepred.media.reading import read_clips, read_video
from framepred.media.video_header import read_header
from framepred.media.writing import write_video
from full_disk import full_disk


def write(path: Path, clip: Iterable[Tensor], fps: float = 10, growing: bool = False) -> None:
    with VideoWriter(path, fps, growing) as writer:
        for frame in clip:
            writer.write(frame)


def psnr(one: Tensor, other: Tensor) -> float:
    return float(10 * torch.log10(255**2 / (one.double() - other.double()).square().mean()))


def test_mp4_is_nearly_lossless(tmp_path: Path, gray: Tensor, rgb: Tensor) -> None:
    write(tmp_path / "gray.mp4", gray)
    write(tmp_path / "rgb.mp4", rgb.float().mean(dim=1, keepdim=True).to(torch.uint8).repeat(1, 3, 1, 1))
    assert psnr(read_video(tmp_path / "gray.mp4"), gray) > 40
    assert read_video(tmp_path / "rgb.mp4").shape[1] == 1


OTHER_PROCESS = """
import os, signal
import framepred
from framepred.media.encoding import VideoWriter
from framepred.media.frame_times import frame_times
clip = framepred.read_video("clip.npy")
framepred.write_video("there.mp4", clip)
with VideoWriter("growing.mp4", 20, growing=True) as writer:
    for frame in clip: writer.write(frame)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def written_elsewhere(gray_clip: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where another process wrote ``clip.npy`` as ``there.mp4``, and died while it wrote ``growing.mp4``."""
    folder = tmp_path_factory.mktemp("elsewhere")
    np.save(folder / "clip.npy", gray_clip.numpy())
    environment = {**os.environ, "MALLOC_PERTURB_": "200"}  # the value of memory that is not set yet
    ended = subprocess.run([sys.executable, "-c", OTHER_PROCESS], check=False, cwd=folder, env=environment)
    assert ended.returncode == -signal.SIGKILL
    return folder


def test_equal_clips_give_equal_files(tmp_path: Path, gray: Tensor, written_elsewhere: Path) -> None:
    write(tmp_path / "here.mp4", gray)
    assert (tmp_path / "here.mp4").read_bytes() == (written_elsewhere / "there.mp4").read_bytes()


def test_mp4_keeps_colours(tmp_path: Path) -> None:
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 120, 40], [255, 255, 255]], dtype=torch.uint8)
    clip = colours.view(-1, 3, 1, 1).expand(-1, -1, 16, 16)
    write(tmp_path / "a.mp4", clip)
    assert (read_video(tmp_path / "a.mp4").int() - clip).abs().max() <= 3


def test_mp4_plays_in_a_browser(tmp_path: Path, gray: Tensor) -> None:
    write(tmp_path / "A.MP4", gray, fps=30000 / 1001)
    with av.open(str(tmp_path / "A.MP4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.average_rate.numerator, stream.average_rate.denominator) == (30000, 1001)
        assert stream.frames == len(gray)
    content = (tmp_path / "A.MP4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # faststart


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]))
@settings(max_examples=15)
def test_odd_sizes_are_padded_by_an_edge(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, channels: int
) -> None:
    path = tmp_path_factory.mktemp("odd") / "a.mp4"
    clip = torch.arange(width).mul(5).add(20).expand(2, channels, height, width).to(torch.uint8)
    write(path, clip)
    again = read_video(path).float()
    assert again.shape == (2, 1, height + height % 2, width + width % 2)
    assert (again[:, 0, :height, :width] - clip[:, 0]).abs().mean() < 4
    if width % 2:
        assert (again[..., -1] - again[..., -2]).abs().mean() < 5


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_gray_gif_is_exact(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, time: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("gif") / "a.gif"
    clip = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (time, 1, height, width), dtype=np.uint8))
    clip = clip[[0, *range(time), time - 1]]  # equal neighbours stay frames of their own
    write(path, clip)
    assert torch.equal(read_video(path), clip)


def test_gif_with_few_colours_is_exact(tmp_path: Path) -> None:
    clip = torch.zeros(5, 3, 20, 20, dtype=torch.uint8)
    for step in range(5):
        clip[step, :, step : step + 8, 2 * step : 2 * step + 8] = torch.tensor([[[255]], [[30]], [[step]]])
    write(tmp_path / "a.gif", clip)
    assert torch.equal(read_video(tmp_path / "a.gif"), clip)


def test_gif_palettes_may_change_from_frame_to_frame(tmp_path: Path, gray: Tensor) -> None:
    clip = gray.repeat(1, 3, 1, 1)
    clip[4, 0] = 255  # as many colours at the same places as before and after
    write(tmp_path / "a.gif", clip)
    assert torch.equal(read_video(tmp_path / "a.gif"), clip)


def test_gif_with_many_colours_is_close(tmp_path: Path, rgb: Tensor) -> None:
    write(tmp_path / "a.gif", rgb)
    assert psnr(read_video(tmp_path / "a.gif"), rgb) > 25


@pytest.mark.parametrize("fps", [7, 10, 24, 29.97, 30, 50])
def test_gif_durations_add_up(tmp_path: Path, gray: Tensor, fps: float) -> None:
    write(tmp_path / "a.gif", gray, fps)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["loop"] == 0
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    assert len(durations) == len(gray)
    assert max(durations) - min(durations) <= 10
    assert sum(durations) == pytest.approx(1000 * len(gray) / fps, abs=10)


@pytest.mark.parametrize("times", [[0, 0.1, 0.2, 0.3], [0, 0.5, 0.6, 2], [0]], ids=str)
@pytest.mark.parametrize("last", [3, 0.04, None])
@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_the_last_frame_is_shown_as_long_as_stated(
    tmp_path: Path, gray: Tensor, name: str, last: float | None, times: list[float]
) -> None:
    clip = gray[: len(times)]
    write_video(tmp_path / name, clip, 10, times=times, last_duration=last)
    found = frame_times(tmp_path / name)
    assert found is not None
    assert found.seconds == pytest.approx(times, abs=1e-4)
    assert found.last_duration == pytest.approx(last or 0.1, abs=1e-4)
    assert len(read_video(tmp_path / name)) == len(clip)


def test_a_gif_shows_no_frame_so_shortly_that_browsers_show_it_for_long(tmp_path: Path, gray: Tensor) -> None:
    times = [*(number / 100 for number in range(4)), 0.09, 0.5, 0.505]
    write_video(tmp_path / "a.gif", gray[:7], 10, times=times, last_duration=0.01)
    found = frame_times(tmp_path / "a.gif")
    assert found is not None
    assert found.seconds == pytest.approx([0, 0.02, 0.04, 0.06, 0.09, 0.5, 0.52])
    assert found.last_duration == pytest.approx(0.02)


@pytest.mark.parametrize(("times", "fps", "last"), [([0, 1, 701], 1, 1), ([0, 1, 2], 1, 700), (None, 1 / 700, None)])
def test_a_pause_that_a_gif_cannot_state_is_named(
    tmp_path: Path, gray: Tensor, times: list[float] | None, fps: float, last: float | None
) -> None:
    with pytest.raises(ConfigError, match=r"at most 655 seconds, not 700; write \.mp4"):
        write_video(tmp_path / "a.gif", gray[:3], fps, times=times, last_duration=last)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("last", [0, -1, float("nan"), float("inf")])
def test_the_duration_of_the_last_frame_is_checked(tmp_path: Path, last: float) -> None:
    with pytest.raises(ConfigError, match="shown for a positive number of seconds"):
        VideoWriter(tmp_path / "a.mp4", last_duration=last)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_floats_and_16_bits_are_rounded(tmp_path: Path, gray: Tensor, name: str) -> None:
    write(tmp_path / name, gray)
    expected = read_video(tmp_path / name)
    for same in (gray.float() / 255, gray.double() / 255, (gray.int() * 257).to(torch.uint16)):
        write(tmp_path / name, same)
        assert torch.equal(read_video(tmp_path / name), expected)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
@pytest.mark.parametrize("written", [0, 1, 5])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, gray: Tensor, name: str, written: int) -> None:
    (tmp_path / name).write_text("old")

    def frames() -> Iterator[Tensor]:
        yield from gray[:written]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(tmp_path / name, frames())
    assert (tmp_path / name).read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_what_the_encoder_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"a\.mp4 cannot be encoded \(.+\); check the free space and the size"):
        write(tmp_path / "a.mp4", torch.zeros(1, 1, 2, 20000, dtype=torch.uint8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        ([], "there is no frame to write"),
        (
            [torch.zeros(2, 8, 8)],
            r"have 1 or 3 channels but the frames for .*a\.mp4 have 2; write an array, such as .*a\.npy",
        ),
        ([torch.zeros(1, 8, 8), torch.zeros(1, 8, 9)], r"must have one shape but \(1, 8, 9\) follows \(1, 8, 8\)"),
        ([torch.full((1, 8, 8), torch.nan)], "not finite"),
        ([torch.zeros(1, 8, 8, dtype=torch.int64)], "have no known range"),
    ],
)
def test_frames_are_checked(tmp_path: Path, frames: list[Tensor], sentence: str) -> None:
    with pytest.raises(ClipError, match=sentence):
        write(tmp_path / "a.mp4", frames)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_the_rate_is_checked(tmp_path: Path, fps: float) -> None:
    with pytest.raises(ConfigError, match="must be a positive number of frames a second"):
        VideoWriter(tmp_path / "a.mp4", fps)


def test_a_gif_shows_at_most_50_frames_a_second(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"at most 50 frames a second, not 60; write \.mp4 instead"):
        VideoWriter(tmp_path / "a.gif", 60)


def test_only_some_files_are_written_frame_by_frame(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"cannot be written frame by frame; choose \.mp4 or \.gif"):
        VideoWriter(tmp_path / "a.npy")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_frames_may_be_arrays(tmp_path: Path, dtype: type) -> None:
    levels = np.random.default_rng(0).random((3, 16, 16))
    white = 1 if dtype is np.float32 else np.iinfo(dtype).max
    frame = (levels * white).astype(dtype)
    for name, same in (("array.mp4", frame), ("tensor.mp4", torch.from_numpy(frame))):
        with VideoWriter(tmp_path / name) as writer:
            writer.write(same)
    assert (tmp_path / "array.mp4").read_bytes() == (tmp_path / "tensor.mp4").read_bytes()


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [(np.full((1, 4, 4), np.inf), "not finite"), (np.zeros((1, 4, 4), np.int64), "have no known range")],
)
def test_arrays_are_checked(tmp_path: Path, frame: np.ndarray, sentence: str) -> None:
    with pytest.raises(ClipError, match=sentence), VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(frame)


def test_a_growing_video_can_be_watched_after_a_kill(written_elsewhere: Path, gray: Tensor) -> None:
    found = read_clips(written_elsewhere / "growing.mp4")
    assert found.fps == pytest.approx(20)
    assert found.clips.shape[1] >= len(gray) - 1
    assert psnr(found.clips[0], gray[: found.clips.shape[1]]) > 40


def test_a_growing_video_is_empty_or_can_be_played(tmp_path: Path, gray: Tensor) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, 10, growing=True) as writer:
        for count, frame in enumerate(gray[:4]):
            writer.write(frame)
            readable = len(read_video(path)) if path.stat().st_size else 0
            assert readable >= count  # the last frame is written when the next one arrives


def test_a_growing_video_stays_when_something_fails(tmp_path: Path, gray: Tensor) -> None:
    def frames() -> Iterator[Tensor]:
        yield from gray
        raise ZeroDivisionError

    path = tmp_path / "new" / "a.mp4"
    with pytest.raises(ZeroDivisionError):
        write(path, frames(), growing=True)
    assert psnr(read_video(path), gray) > 40
    write(path, gray[:1], growing=True)
    assert len(read_video(path)) == 1


def test_the_frames_of_a_growing_video_may_come_when_they_come(tmp_path: Path, gray: Tensor) -> None:
    times = [0, 0.1, 0.15, 0.15, 0.9, 1.2345]
    with VideoWriter(tmp_path / "a.mp4", 10, growing=True) as writer:
        for frame, time in zip(gray, times, strict=False):
            writer.write(frame, time)
    with av.open(str(tmp_path / "a.mp4")) as container:
        found = [float(frame.time) for frame in container.decode(video=0)]
    assert found == pytest.approx(times, abs=0.0011)
    assert len(read_video(tmp_path / "a.mp4")) == len(times)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_frames_may_have_times_of_their_own(tmp_path: Path, gray: Tensor, name: str) -> None:
    times = [0, 0.1, 0.17, 0.5, 1.21]
    with VideoWriter(tmp_path / name, 10) as writer:
        for frame, time in zip(gray, times, strict=False):
            writer.write(frame, time)
    with av.open(str(tmp_path / name)) as container:
        assert [float(frame.time) for frame in container.decode(video=0)] == pytest.approx(times, abs=0.0011)


def test_either_all_frames_have_a_time_or_none(tmp_path: Path, gray: Tensor) -> None:
    def write_some_times() -> None:
        with VideoWriter(tmp_path / "b.mp4") as writer:
            writer.write(gray[0])
            writer.write(gray[1], 0.5)

    with pytest.raises(ConfigError, match="all frames of a video have a time or none"):
        write_some_times()
    assert list(tmp_path.iterdir()) == []


def test_a_growing_video_needs_room(tmp_path: Path, gray: Tensor) -> None:
    with pytest.raises(MediaError, match=r"a\.mp4 cannot be encoded \(File too large"), full_disk(2000):
        write(tmp_path / "a.mp4", gray, growing=True)


@pytest.mark.parametrize("given_up", [False, True], ids=["error", "error is caught"])
def test_a_growing_video_on_a_full_disk_ends_with_a_whole_frame(tmp_path: Path, gray: Tensor, given_up: bool) -> None:
    """Wherever the disk is full: within the header, a frame, or the last one, which is written at the end."""
    clip, path = gray[:6], tmp_path / "a.mp4"
    write(path, clip, growing=True)
    film, ends, position = path.read_bytes(), [], 0
    while position < len(film):  # boxes: a size of four bytes and a name
        name = film[position + 4 : position + 8]
        position += int.from_bytes(film[position : position + 4])
        ends += [position] * (name == b"mdat")
    assert len(ends) == len(clip)
    for limit in [end + beside for end in (*ends, 300) for beside in (-1, 0, 1)]:
        path.unlink(missing_ok=True)
        whole = sum(end <= limit for end in ends)
        with full_disk(limit), nullcontext() if whole == len(clip) else pytest.raises(MediaError, match="too large"):
            write_on(path, clip) if given_up else write(path, clip, growing=True)
        assert path.exists() == (whole > 0)
        assert not whole or path.read_bytes() == film[: ends[whole - 1]]


def write_on(path: Path, clip: Tensor) -> None:
    """Write a growing video and go on where a frame cannot be written; raises the first error."""
    errors = []
    with VideoWriter(path, 10, growing=True) as writer:
        for frame in clip:
            try:
                writer.write(frame)
            except MediaError as error:
                errors.append(error)
    if errors:
        raise errors[0]


def test_a_gif_cannot_grow(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.gif is a GIF, which cannot be watched while it grows; write \.mp4"):
        VideoWriter(tmp_path / "a.gif", growing=True)


@pytest.mark.parametrize("fps", [1, 1000])
def test_the_last_frame_of_a_growing_video_is_shown_as_long_as_the_one_before(
    tmp_path: Path, gray: Tensor, fps: float
) -> None:
    """Live sources do not keep the rate that they state."""
    with VideoWriter(tmp_path / "a.mp4", fps, growing=True) as writer:
        for number, frame in enumerate(gray):
            writer.write(frame, number / 25)
    assert read_header(tmp_path / "a.mp4").fps == 25
    with av.open(tmp_path / "a.mp4") as container:
        assert container.duration == pytest.approx(len(gray) / 25 * 1e6, abs=2000)
