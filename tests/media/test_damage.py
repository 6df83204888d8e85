"""Damage in the middle of video files is noticed, whatever the codec and the container, unless nothing shows it."""

import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from framepred.errors import MediaError
from framepred.media.decoding import stream_frames
from framepred.media.random_access import map_video, open_reader
from framepred.media.reading import open_frames
from video_zoo import write_codec

FILES = {
    "mpeg4.avi": ("mpeg4", "yuv420p"),
    "mpeg4.mp4": ("mpeg4", "yuv420p"),
    "mpeg4.mkv": ("mpeg4", "yuv420p"),
    "mpeg2.ts": ("mpeg2video", "yuv420p"),
    "mpeg2.mpg": ("mpeg2video", "yuv420p"),
    "mpeg2.mxf": ("mpeg2video", "yuv420p"),
    "h264.mp4": ("libx264", "yuv420p"),
    "h264.mkv": ("libx264", "yuv420p"),
    "vp8.webm": ("libvpx", "yuv420p"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "ffv1.mkv": ("ffv1", "yuv420p"),
    "ffv1.avi": ("ffv1", "yuv420p"),
    "wmv2.wmv": ("wmv2", "yuv420p"),
    "msmpeg4.avi": ("msmpeg4", "yuv420p"),
    "flv1.flv": ("flv", "yuv420p"),
    "png.mov": ("png", "rgb24"),
    "jpeg2000.mov": ("jpeg2000", "yuv420p"),
    "zmbv.avi": ("zmbv", "bgr0"),
    "raw.avi": ("rawvideo", "bgr24"),
}
UNCHECKED = ("h264.mp4", "h264.mkv", "vp8.webm", "raw.avi")
"""Files in which other bytes within a frame are a valid frame: neither codec nor container has a checksum."""

SPOTS = (0.4, 0.6)
"""Shares of a file at which it is damaged."""

Damage = Callable[[bytearray, int], object]


def zeroed(content: bytearray, start: int) -> None:
    content[start : start + 400] = bytes(400)


def lost(content: bytearray, start: int) -> None:
    del content[start : start + 400]


def swapped(content: bytearray, start: int) -> None:
    content[start : start + 200] = content[start : start + 200][::-1]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("healthy")
    return {
        name: write_codec(folder / name, codec, pixels, frames=30, size=(96, 128), thread_count=1)
        for name, (codec, pixels) in FILES.items()
    }


@cache
def frames_of(healthy: Path) -> torch.Tensor:
    return torch.stack(list(open_frames(healthy).frames))


def passes_in_silence(healthy: Path, content: bytes) -> bool:
    """Whether a damaged copy is read without an error, and not as the healthy file."""
    copy = healthy.with_name(f"damaged{healthy.suffix}")
    copy.write_bytes(content)
    try:
        found = torch.stack(list(open_frames(copy).frames))
    except MediaError:
        return False
    return not torch.equal(found, frames_of(healthy))


@pytest.mark.parametrize("damage", [zeroed, lost, swapped])
@pytest.mark.parametrize("name", FILES)
def test_damage_in_the_middle_is_noticed(files: dict[str, Path], name: str, damage: Damage) -> None:
    if damage is not lost and name in UNCHECKED:
        pytest.skip("nothing in such a file shows this")
    for spot in SPOTS:
        content = bytearray(files[name].read_bytes())
        damage(content, int(spot * len(content)))
        assert not passes_in_silence(files[name], bytes(content)), spot


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith((".ts", ".mpg"))])
def test_a_file_that_states_its_length_is_refused_when_cut_off(files: dict[str, Path], name: str) -> None:
    content = files[name].read_bytes()
    for share in (0.6, 0.95):
        assert not passes_in_silence(files[name], content[: int(share * len(content))]), share


def test_an_avi_that_leaves_out_repeated_frames_is_whole(tmp_path: Path) -> None:
    """Capture programs write an empty chunk for a frame that repeats; the header counts it, the index does not."""
    film = write_codec(tmp_path / "camera.avi", "mjpeg", "yuvj420p", times=[0, 200, 240, 1000, 1880])
    assert len(list(open_frames(film).frames)) == map_video(film).shape[1] == 5
    content = film.read_bytes()
    for share in (0.5, 0.8, 0.95):
        assert not passes_in_silence(film, content[: int(share * len(content))]), share


class Pipe(io.BytesIO):
    """Bytes that arrive once, in order."""

    def seekable(self) -> bool:
        return False


def piped_frames(name: str, content: bytes) -> torch.Tensor:
    return torch.stack(list(stream_frames(name, Pipe(content)).frames))


@pytest.mark.parametrize("times", [[0, 200, 240, 1000, 1880], list(range(0, 1000, 40))], ids=["camera", "end"])
def test_an_avi_that_leaves_out_repeated_frames_is_whole_from_a_pipe(tmp_path: Path, times: list[int]) -> None:
    """Its index cannot be read before its frames."""
    film = write_codec(tmp_path / "camera.avi", "mpeg4", times=times, size=(240, 320))
    content = film.read_bytes()
    assert torch.equal(piped_frames(film.name, content), frames_of(film))
    chunks = [match.start() for match in re.finditer(b"00dc(?!\0{4})", content[: content.index(b"idx1")])]
    with pytest.raises(MediaError, match=r"breaks off after \d"):
        piped_frames(film.name, content[: chunks[len(times) // 2]])


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith((".mp4", ".mov"))])
def test_a_whole_file_is_whole_from_a_pipe(files: dict[str, Path], name: str) -> None:
    content = files[name].read_bytes()
    assert torch.equal(piped_frames(name, content), frames_of(files[name]))
    if not name.endswith((".ts", ".mpg")):
        with pytest.raises(MediaError):
            piped_frames(name, content[: int(0.6 * len(content))])


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith((".mp4", ".mov"))])
def test_an_index_at_the_end_is_said_to_keep_a_pipe_from_being_read(files: dict[str, Path], name: str) -> None:
    content = files[name].read_bytes()
    index = content.rindex(b"moov") - 4
    unused = b"\0\x20\0\0free".ljust(1 << 21, b"\0")  # so that the frames are no longer in FFmpeg's memory
    with pytest.raises(MediaError, match=r"has its index at its end, so its frames cannot be read as they arrive"):
        piped_frames(name, content[:index] + unused + content[index:])


@pytest.mark.parametrize("spot", [4, 8, 12])
def test_no_frame_of_an_avi_is_left_out_in_silence(tmp_path: Path, spot: int) -> None:
    """Zeros over the head of a chunk make FFmpeg go on at the next one."""
    film = write_codec(tmp_path / "a.avi", "mpeg4", thread_count=1)
    content = bytearray(film.read_bytes())
    zeroed(content, len(content) * spot // 15)
    assert not passes_in_silence(film, bytes(content))


@pytest.mark.parametrize("name", ["ffv1.mkv", "mpeg4.avi", "vp8.webm"])
def test_random_access_notices_it_too(files: dict[str, Path], name: str) -> None:
    content = bytearray(files[name].read_bytes())
    lost(content, len(content) // 2)
    copy = files[name].with_name(f"random{files[name].suffix}")
    copy.write_bytes(content)
    with pytest.raises(MediaError):
        map_video(copy, thorough=True)
    with pytest.raises(MediaError):
        list(open_reader(copy).read(range(30)))


def test_messages_of_ffmpeg_are_collected_and_not_printed(
    files: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(files["ffv1.mkv"].read_bytes())
    swapped(content, len(content) // 2)
    assert not passes_in_silence(files["ffv1.mkv"], bytes(content))
    assert capfd.readouterr().err == ""
