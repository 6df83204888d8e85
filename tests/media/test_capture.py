import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from framepred.errors import MediaError
from framepred.media.capture import live_frames
from framepred.media.decoding import file_frames
from framepred.media.encoding import VideoWriter


def write_mp4(path: Path, clip: Tensor, fps: float = 10) -> None:
    with VideoWriter(path, fps) as writer:
        for frame in clip:
            writer.write(frame)


def write_with(path: Path, codec: str, pixels: str, times: list[int]) -> None:
    """Frames of rising brightness at times in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt, stream.codec_context.time_base = pixels, Fraction(1, 1000)
        for step, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 10 * step + 20, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_rgb_comes_in_order_and_in_rgb(tmp_path: Path) -> None:
    clip = torch.zeros(6, 3, 32, 32, dtype=torch.uint8)
    clip[:, 0] = torch.arange(6, dtype=torch.uint8).view(-1, 1, 1) * 40
    write_mp4(tmp_path / "a.mp4", clip)
    frames = torch.stack(list(file_frames(tmp_path / "a.mp4").frames)).int()
    assert frames.shape == clip.shape
    assert (frames - clip).abs().max() <= 4


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mov", "mpeg4", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.mp4", "libx264", "yuv444p"),
    ],
)
def test_containers(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    write_with(tmp_path / name, codec, pixels, list(range(0, 400, 40)))
    stream = file_frames(tmp_path / name)
    levels = [float(frame.float().mean()) for frame in stream.frames]
    assert levels == pytest.approx(range(20, 120, 10), abs=4)
    assert stream.fps == pytest.approx(25)
    assert stream.steady


def test_avi(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=12)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p"
        for step in range(5):
            pixels = np.full((32, 32, 3), 10 * step, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    frames = file_frames(path)
    assert [round(float(frame.float().mean()), -1) for frame in frames.frames] == [0, 10, 20, 30, 40]
    assert frames.fps == 12


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_an_unsteady_rate_is_told_with_its_mean(tmp_path: Path, name: str) -> None:
    write_with(tmp_path / name, "libx264", "yuv420p", [0, 40, 80, 200, 240, 500])
    stream = file_frames(tmp_path / name)
    assert not stream.steady
    assert stream.fps == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("fps", [30000 / 1001, 0.5, 12.5, 120])
def test_rates_survive(tmp_path: Path, gray: Tensor, fps: float) -> None:
    write_mp4(tmp_path / "a.mp4", gray[:4], fps)
    assert file_frames(tmp_path / "a.mp4").fps == pytest.approx(fps, rel=1e-4)


def test_rotation_metadata_is_honoured(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    clip = torch.zeros(3, 3, 32, 48, dtype=torch.uint8)
    clip[..., :24] = 255  # left becomes top
    write_mp4(path, clip)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 32 << 16, 0, 1 << 30)
    path.write_bytes(content)
    frame = next(iter(file_frames(path).frames))
    assert frame.shape == (3, 48, 32)
    assert frame[:, :20].min() > 240
    assert frame[:, 28:].max() < 15


def test_text_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("I am a text.")
    with pytest.raises(MediaError, match=r"a\.mp4 holds no video that can be decoded; copy it again or convert it"):
        file_frames(path)


def test_sound_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(MediaError, match="holds no pictures, only other streams"):
        file_frames(path)


@pytest.mark.parametrize("kept", [0.3, 0.6])
def test_a_truncated_video_is_named(tmp_path: Path, rgb: Tensor, kept: float) -> None:
    path = tmp_path / "a.mp4"
    write_mp4(path, rgb)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(MediaError, match=r"a\.mp4 (breaks off after|holds no video)"):
        list(file_frames(path).frames)


def test_a_damaged_video_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    noise = np.random.default_rng(0).integers(0, 256, (20, 1, 64, 64), dtype=np.uint8)
    write_mp4(path, torch.from_numpy(noise))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"a\.mp4 breaks off after \d\.\d\d of 2\.00 seconds: the rest is damaged"):
        list(file_frames(path).frames)


@pytest.mark.parametrize(("source", "name"), [("97", "Camera 97"), ("file:///no/such/clip.mp4", "file:///no/such")])
def test_a_camera_that_is_not_there(source: str, name: str) -> None:
    with pytest.raises(MediaError, match=f"^{name}.* cannot be opened; check"):
        live_frames(source)


def test_a_url_is_read_like_a_file(tmp_path: Path, gray: Tensor) -> None:
    write_mp4(tmp_path / "a.mp4", gray, fps=20)
    stream = live_frames((tmp_path / "a.mp4").as_uri())
    assert stream.fps == 20
    assert len(list(stream.frames)) == len(gray)
