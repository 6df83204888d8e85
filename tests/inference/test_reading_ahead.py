"""Video files that are decoded in a thread of their own."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch

import framepred
from framepred.errors import MediaError
from framepred.inference.reading_ahead import PAST, PAST_SIDE, end_size, read_ahead
from framepred.inference.sources import SourceForm, read_end
from framepred.media.writing import write_video


def video(path: Path, channels: int) -> Path:
    textures = torch.nn.functional.avg_pool2d(torch.rand(30, channels, 48, 64), 5, stride=1, padding=2)
    write_video(path, (255 * textures).to(torch.uint8), fps=25)
    return path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("holdout", [True, False])
def test_the_end_is_the_same_as_without(tmp_path: Path, channels: int, holdout: bool) -> None:
    path = video(tmp_path / "film.mp4", channels)
    size = end_size(4, 6, 32, holdout=holdout, adapts=False)
    ahead = read_ahead(path, size)
    assert ahead is not None
    found, expected = (read_end(source, size, SourceForm()) for source in (ahead, path))
    for field in fields(expected):
        now, then = getattr(found, field.name), getattr(expected, field.name)
        assert torch.equal(now, then) if isinstance(then, torch.Tensor) else now == then


def test_the_past_that_a_prediction_needs_is_read() -> None:
    assert end_size(10, 5, 256, holdout=False, adapts=False) == (5, PAST, PAST_SIDE)
    assert end_size(10, 5, 1000, holdout=True, adapts=False) == (15, PAST + 10, 1000)
    assert end_size(10, 100, 256, holdout=False, adapts=False) == (100, 100, PAST_SIDE)
    adapting = end_size(10, 5, 256, holdout=False, adapts=True)
    assert adapting.recent > PAST
    assert adapting.max_side == 256


def test_a_prediction_of_it_is_the_same(tmp_path: Path) -> None:
    path = video(tmp_path / "film.mp4", 1)
    options = {"frames": 2, "weights": "baseline:optical-flow", "context": 3}
    for size in (end_size(2, 3, 256, holdout=False, adapts=False), end_size(9, 3, 64, holdout=True, adapts=False)):
        ahead = read_ahead(path, size)
        assert ahead is not None
        assert torch.equal(framepred.predict(ahead, **options).frames, framepred.predict(path, **options).frames)


def test_only_video_files_are_read_ahead(tmp_path: Path) -> None:
    (tmp_path / "film.gif").touch()
    size = end_size(2, 3, 256, holdout=False, adapts=False)
    assert [read_ahead(tmp_path / name, size) for name in ("film.gif", "missing.mp4", ".")] == [None] * 3


def test_damage_is_an_error_where_the_frames_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"no video")
    ahead = read_ahead(tmp_path / "film.mp4", end_size(2, 3, 256, holdout=False, adapts=False))
    assert ahead is not None
    with pytest.raises(MediaError, match="holds no video"):
        framepred.predict(ahead, frames=2)
