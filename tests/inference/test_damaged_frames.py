"""Frames that the decoder of a video finds damaged are rebuilt by restore, and the others stay as they are."""

from pathlib import Path

import pytest

import framepred
from framepred.errors import MediaError
from video_zoo import write_codec

ZEROS = 100
"""Bytes that are overwritten in the middle of a film."""


def damaged_copy(film: Path, start: int, count: int = ZEROS) -> Path:
    content = bytearray(film.read_bytes())
    content[start : start + count] = bytes(count)
    copy = film.with_name(f"damaged-{film.name}")
    copy.write_bytes(content)
    return copy


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "group"),
    [
        ("a.avi", "mjpeg", "yuvj420p", 1),
        ("a.mov", "png", "rgb24", 1),
        ("a.mkv", "ffv1", "yuv420p", 1),
        ("a.mp4", "mpeg4", "yuv420p", 8),
    ],
)
def test_damaged_frames_are_found_and_rebuilt(tmp_path: Path, name: str, codec: str, pixels: str, group: int) -> None:
    film = write_codec(tmp_path / name, codec, pixels, options={"g": str(group)}, size=(96, 128), thread_count=1)
    copy = damaged_copy(film, film.stat().st_size // 2)
    with pytest.raises(MediaError, match="damaged"):
        framepred.read_video(copy)
    restoration = framepred.restore(copy, find=True, method="linear", cuts=False)
    healthy = framepred.read_video(film)
    assert 1 <= len(restoration.rebuilt) <= 2 * group  # the bytes may belong to two frames
    assert len(restoration.frames) == len(healthy)
    intact = [number for number in range(len(healthy)) if number not in restoration.rebuilt]
    assert restoration.frames[intact].equal(healthy[intact])


def test_damage_that_cannot_be_placed_is_refused(tmp_path: Path) -> None:
    film = write_codec(tmp_path / "a.mp4", "mpeg4", options={"g": "300"}, thread_count=1)
    copy = damaged_copy(film, film.stat().st_size // 2)
    with pytest.raises(MediaError, match="damaged"):
        framepred.restore(copy, find=True, method="linear")
