from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from framepred.data import VideoWindows
from framepred.errors import ClipError

FRAMES = np.random.default_rng(0).integers(0, 256, (11, 6, 8, 3), dtype=np.uint8)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A folder of eleven frames."""
    for number, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / f"{number:03}.png")
    return tmp_path


def test_windows_follow_one_another_without_overlap(video: Path) -> None:
    windows = list(VideoWindows(video, context=3, horizon=2, clips=100))
    assert [tuple(window.context.shape) for window in windows] == [(1, 3, 3, 6, 8)] * 2
    assert [tuple(window.target.shape) for window in windows] == [(1, 2, 3, 6, 8)] * 2
    frames = torch.cat([window.clips[0] for window in windows])
    np.testing.assert_array_equal(frames.movedim(1, -1).numpy(), FRAMES[:10])


def test_no_more_windows_than_asked_for(video: Path) -> None:
    assert len(list(VideoWindows(video, context=1, horizon=1, clips=2))) == 2


def test_windows_can_be_gone_through_again(video: Path) -> None:
    windows = VideoWindows(video, context=2, horizon=2, clips=1)
    assert torch.equal(next(iter(windows)).clips, next(iter(windows)).clips)


def test_a_video_shorter_than_one_window_is_refused(video: Path) -> None:
    with pytest.raises(ClipError, match=r"has 11 frames but one window needs 10 \+ 2"):
        list(VideoWindows(video, context=10, horizon=2, clips=1))
