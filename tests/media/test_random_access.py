"""Frames by number have the pixels that reading in order gives, whatever the codec hides."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from framepred.errors import ClipError, MediaError
from framepred.media.decoding import file_frames
from framepred.media.random_access import FrameReader, InOrderReader, VideoReader, map_video, open_reader
from framepred.media.reading import open_frames, read_video
from framepred.media.video_file import VideoFile
from framepred.media.video_header import keeps_rate, read_header
from framepred.media.writing import write_video
from video_zoo import write_codec

STEADY = [40 * number for number in range(40)]
UNSTEADY = np.cumsum(np.random.default_rng(0).integers(15, 90, 40)).tolist()
X264 = {"bf": "3", "g": "12", "x264-params": "b-adapt=0:scenecut=0:mbtree=0"}


def write_with(
    path: Path, codec: str = "libx264", times: list[int] = STEADY, pixels: str = "yuv420p", **options: str
) -> Path:
    """Noise that moves, at times in milliseconds: no two frames are alike."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64 + len(times), 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        if path.suffix != ".avi":
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(noise[:, number : number + 64]), format="rgb24")
            if path.suffix != ".avi":
                frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn(path: Path, quarter: int) -> None:
    """Set the rotation flag of an mp4."""
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarter]
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    unit = 1 << 16
    content[matrix : matrix + 36] = struct.pack(
        ">9i", cos * unit, sin * unit, 0, -sin * unit, cos * unit, 0, 0, 0, 1 << 30
    )
    path.write_bytes(content)


def has_b_frames(path: Path) -> bool:
    with av.open(str(path)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    return times != sorted(times)


def assert_same_pixels(reader: FrameReader, truth: list[Tensor]) -> None:
    """Every frame, near and far, forwards and backwards, one by one and in windows."""
    assert reader.frames == len(truth)
    order = np.random.default_rng(1).permutation(len(truth)).tolist()
    for number in [*order, *range(len(truth)), *reversed(range(len(truth)))]:
        (frame,) = reader.read(range(number, number + 1))
        assert torch.equal(frame, truth[number]), number
    for frames in (range(3, 20, 4), range(0, len(truth)), range(len(truth) - 5, len(truth))):
        assert torch.equal(torch.stack(list(reader.read(frames))), torch.stack([truth[number] for number in frames]))


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("b-frames.mp4", "libx264", "yuv420p", X264),
        ("open-gop.mkv", "libx264", "yuv420p", {**X264, "x264-params": "open-gop=1:b-adapt=0:mbtree=0"}),
        ("b-frames.mov", "mpeg4", "yuv420p", {"bf": "2", "g": "10"}),
        ("ten-bits.mp4", "libx264", "yuv422p10le", X264),
        ("vp9.webm", "libvpx-vp9", "yuv420p", {"g": "9"}),
        ("hidden-frames.webm", "libvpx", "yuv420p", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "10"}),
        ("mjpeg.avi", "mjpeg", "yuvj420p", {}),
    ],
)
def test_random_access_gives_the_pixels_of_reading_in_order(
    tmp_path: Path, name: str, codec: str, pixels: str, options: dict[str, str]
) -> None:
    path = write_with(tmp_path / name, codec, pixels=pixels, **options)
    truth = list(file_frames(path).frames)
    assert len(truth) == 40
    assert has_b_frames(path) == (options.get("bf") is not None)
    reader = open_reader(path)
    assert isinstance(reader, VideoReader)
    assert_same_pixels(reader, truth)


@pytest.mark.parametrize("name", ["unsteady.mp4", "unsteady.mkv"])
def test_a_variable_frame_rate(tmp_path: Path, name: str) -> None:
    path = write_with(tmp_path / name, times=UNSTEADY, **X264)
    assert not file_frames(path).steady
    assert_same_pixels(open_reader(path), list(file_frames(path).frames))


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_a_rotation_flag(tmp_path: Path, quarter: int) -> None:
    path = write_with(tmp_path / "turned.mp4", **X264)
    turn(path, quarter)
    truth = list(file_frames(path).frames)
    assert truth[0].shape == ((3, 64, 48) if quarter % 2 else (3, 48, 64))
    assert_same_pixels(open_reader(path), truth)


def test_a_video_without_usable_time_stamps_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = write_with(tmp_path / "h264-b-frames.avi", bf="2", g="12")  # AVI cannot say when B-frames are shown
    assert not map_video(path)[1].any()
    reader = open_reader(path)
    assert isinstance(reader, InOrderReader)
    assert len(list(reader.read(range(30, 40)))) == 10


def test_decoding_only_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key frame in twelve: from there to the window's end, and nothing again for the window that follows."""
    path = write_with(tmp_path / "a.mp4", **X264)
    reader, times = open_reader(path), map_video(path)[0]
    entered, seek = [], VideoFile.seek
    monkeypatch.setattr(VideoFile, "seek", lambda self, pts: entered.append(pts) or seek(self, pts))
    list(reader.read(range(26, 28)))
    list(reader.read(range(28, 31)))
    assert entered == [times[24]]


def test_a_map_that_was_kept_is_enough(tmp_path: Path) -> None:
    path = write_with(tmp_path / "a.mp4", **X264)
    found = map_video(path)
    assert found.shape == (2, 40)
    assert found[1].nonzero()[0].tolist() == [0, 12, 24, 36]
    assert np.array_equal(found, map_video(path, thorough=True))
    (frame,) = open_reader(path, video_map=found).read(range(39, 40))
    assert torch.equal(frame, list(file_frames(path).frames)[39])


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


def remuxed(path: Path, movflags: str = "faststart", begin: int = 0, last: int = 1) -> Path:
    """A copy whose header comes first, so that it can still be opened when its end is lost.

    Args:
        path: the file.
        movflags: of the container.
        begin: seconds by which all frames are moved.
        last: factor of the duration of the last frame.
    """
    copy = path.with_name("f.mp4")
    with av.open(str(path)) as source, av.open(str(copy), "w", options={"movflags": movflags}) as to:
        stream = to.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        packets[-1].duration *= last
        for packet in packets:
            shift = round(begin / packet.time_base)
            packet.stream, packet.pts, packet.dts = stream, packet.pts + shift, packet.dts + shift
            to.mux(packet)
    return copy


def test_text_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("I am a text.")
    with pytest.raises(MediaError, match=r"a\.mp4 holds no video that can be decoded"):
        open_reader(tmp_path / "a.mp4")


@pytest.mark.parametrize("header_first", [False, True])
def test_a_truncated_video(tmp_path: Path, header_first: bool) -> None:
    path = write_with(tmp_path / "a.mp4", **X264)
    path = remuxed(path) if header_first else path
    truncated(path)
    with pytest.raises(MediaError, match="(is damaged|breaks off) after" if header_first else "holds no video"):
        map_video(path)


FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof+delay_moov+dash"


@pytest.mark.parametrize(
    "form", [{"last": 50}, {"movflags": FRAGMENTS}, {"movflags": FRAGMENTS, "begin": 1000}, {"begin": 1000}], ids=str
)
def test_a_file_is_whole_if_its_last_frame_ends_where_it_states(tmp_path: Path, form: dict[str, Any]) -> None:
    """A last frame that stands still, and fragments that begin late, as in a recording of a live stream."""
    path = remuxed(write_with(tmp_path / "a.mp4", bf="0", g="12"), **form)
    assert map_video(path).shape == map_video(path, thorough=True).shape == (2, 40)
    assert len(read_video(path)) == 40
    assert len(list(open_frames(path, last=5).frames)) == 5
    truncated(path)
    for read in (map_video, read_video, lambda path: list(open_frames(path, last=5).frames)):
        with pytest.raises(MediaError, match=r"(is damaged|breaks off) after"):
            read(path)


@pytest.mark.parametrize("gop", ["open", "closed"])
def test_a_recording_that_begins_between_two_key_frames(tmp_path: Path, gop: str) -> None:
    """Frames before the first key frame, which cannot be decoded, count neither as missing nor for the rate."""
    x264 = f"open-gop={int(gop == 'open')}:keyint=20:bframes=3:b-adapt=0:scenecut=0"
    path = write_codec(tmp_path / "a.ts", frames=60, options={"x264-params": x264})
    content = path.read_bytes()
    path.write_bytes(content[len(content) // 188 // 6 * 188 :])
    truth = list(file_frames(path).frames)
    with av.open(str(path)) as container:
        assert len(truth) < sum(packet.size > 0 for packet in container.demux(video=0)) - 5
    header = read_header(path)
    assert header.steady
    assert header.fps == 25
    assert keeps_rate(path)
    assert_same_pixels(open_reader(path), truth)


def test_damage_in_the_midst_is_found_by_a_thorough_look_or_when_it_is_read(tmp_path: Path) -> None:
    path = remuxed(write_with(tmp_path / "a.mp4", **X264))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    reader = open_reader(path)
    with pytest.raises(MediaError, match=r"f\.mp4 is damaged: its frame \d+ of 40 cannot be decoded"):
        list(reader.read(range(40)))
    with pytest.raises(MediaError, match=r"f\.mp4 is damaged after \d+ decoded frames"):
        map_video(path, thorough=True)


def test_one_frame(tmp_path: Path) -> None:
    reader = open_reader(write_with(tmp_path / "a.mp4", times=[0]))
    assert (reader.clips, reader.frames) == (1, 1)
    assert len(list(reader.read(range(1)))) == 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures(tmp_path: Path, suffix: str, bits: int) -> None:
    frames = np.random.default_rng(0).integers(0, 2**bits, (12, 6, 7)).astype(f"u{bits // 8}")
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{number}{suffix}")
    found = torch.stack(list(open_reader(tmp_path).read(range(2, 12, 3))))
    assert np.array_equal(found[:, 0].numpy(), frames[2::3])


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".zarr", ".gif"])
def test_arrays_and_gifs(tmp_path: Path, rgb: Tensor, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save(path, rgb.numpy())
    reader = open_reader(path)
    assert (reader.clips, reader.frames) == (1, 12)
    assert torch.equal(torch.stack(list(reader.read(range(1, 12, 4)))), read_video(path)[1:12:4])


@pytest.mark.parametrize("suffix", [".npy", ".h5", ".zarr"])
@pytest.mark.parametrize("channels", [2, 4, 5])
def test_arrays_of_any_number_of_channels(tmp_path: Path, suffix: str, channels: int) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (3, 9, channels, 6, 7), dtype=np.uint8)
    save(tmp_path / f"a{suffix}", clips)
    reader = open_reader(tmp_path / f"a{suffix}", channels=(channels,))
    assert np.array_equal(torch.stack(list(reader.read(range(2, 5), clip=1))).numpy(), clips[1, 2:5])
    if channels != 4:
        with pytest.raises(ClipError, match="layout is not certain"):
            open_reader(tmp_path / f"a{suffix}")


def save(path: Path, array: np.ndarray) -> None:
    if path.suffix == ".h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["frames"], file["labels"] = array, [1, 2]
    elif path.suffix == ".zarr":
        pytest.importorskip("zarr").save_array(str(path), array)
    else:
        write_video(path, torch.from_numpy(array)) if path.suffix == ".gif" else (
            np.save(path, array) if path.suffix == ".npy" else np.savez(path, frames=array)
        )
