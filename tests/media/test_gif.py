from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from framepred.errors import MediaError
from framepred.media.pages import page_frames


def write_gif(path: Path, durations: list[int]) -> None:
    frames = [Image.new("RGB", (8, 6), (20 * step, 0, 0)) for step in range(len(durations))]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations)


@pytest.mark.parametrize(
    ("durations", "fps", "steady"),
    [([40] * 5, 25, True), ([30, 40, 30], 30, True), ([100, 300], 5, False), ([0, 0], 10, True), ([10, 10], 10, True)],
)
def test_durations_become_a_mean_rate(tmp_path: Path, durations: list[int], fps: float, steady: bool) -> None:
    write_gif(tmp_path / "a.gif", durations)
    stream = page_frames(tmp_path / "a.gif")
    assert stream.fps == pytest.approx(fps)
    assert stream.steady is steady
    frames = torch.stack(list(stream.frames))
    assert frames.shape == (len(durations), 3, 6, 8)
    assert frames[:, 0, 0, 0].tolist() == [20 * step for step in range(len(durations))]


def test_transparency_is_laid_on_black(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 6), (255, 255, 255, 0))
    image.paste((200, 100, 50, 255), (0, 0, 4, 6))
    image.save(tmp_path / "a.gif")
    (frame,) = page_frames(tmp_path / "a.gif").frames
    assert frame[:, 0, 0].tolist() == [200, 100, 50]
    assert (frame[:, :, 4:] == 0).all()


def test_truncated_gifs_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    noise = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    frames = [Image.fromarray(frame) for frame in noise]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    whole = path.read_bytes()
    for length in (4, 200, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:length])
        with pytest.raises(MediaError, match=r"a\.gif is damaged or is no \.gif picture"):
            list(page_frames(path).frames)
