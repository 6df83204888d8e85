import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from framepred.errors import ClipError, ConfigError, MediaError
from framepred.media.frames import DEFAULT_FPS, FrameStream
from framepred.media.ranges import ValueRange
from framepred.media.reading import open_frames, read_clips, read_video
from framepred.media.resizing import to_gray
from framepred.media.writing import write_video


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.npy", "a.npz", "a"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_was_written_is_read(tmp_path: Path, gray: Tensor, rgb: Tensor, name: str, channels: int) -> None:
    clip = gray if channels == 1 else rgb
    write_video(tmp_path / name, clip, fps=25)
    again = read_video(tmp_path / name)
    assert again.dtype == torch.uint8
    assert again.shape == clip.shape
    if channels == 1 and name != "a.mp4":
        assert torch.equal(again, clip)


@pytest.mark.parametrize(("name", "fps"), [("a.mp4", 25), ("a.gif", 25), ("a.npy", DEFAULT_FPS), ("a", DEFAULT_FPS)])
def test_only_the_end_is_kept(tmp_path: Path, gray: Tensor, name: str, fps: float) -> None:
    write_video(tmp_path / name, gray, fps=25)
    video = read_clips(tmp_path / name, last=5)
    assert video.clips.shape == (1, 5, 1, 32, 40)
    assert torch.equal(video.clips[0], read_video(tmp_path / name)[-5:])
    assert video.fps == pytest.approx(fps)
    assert video.steady
    assert read_clips(tmp_path / name, last=99).clips.shape[1] == len(gray)


def test_one_coloured_frame_makes_a_video_rgb(tmp_path: Path, gray: Tensor) -> None:
    clip = gray.repeat(1, 3, 1, 1)
    clip[4, 0] = 255
    write_video(tmp_path / "a.gif", clip)
    assert torch.equal(read_video(tmp_path / "a.gif"), clip)
    assert read_clips(tmp_path / "a.gif", last=3).clips.shape[2] == 1


def test_slight_colour_is_colour(tmp_path: Path) -> None:
    sepia = torch.tensor([112, 102, 92], dtype=torch.uint8).view(1, 3, 1, 1).expand(4, 3, 32, 32)
    write_video(tmp_path / "a.mp4", sepia)
    assert read_video(tmp_path / "a.mp4").shape[1] == 3


def test_arrays_of_clips(tmp_path: Path) -> None:
    clips = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 6, 1, 8, 8), dtype=np.uint8))
    write_video(tmp_path / "a.npy", clips)
    assert torch.equal(read_clips(tmp_path / "a.npy").clips, clips)
    assert torch.equal(read_clips(tmp_path / "a.npy", last=2).clips, clips[:, -2:])
    with pytest.raises(ClipError, match="holds 3 clips but one is wanted here; use read_clips"):
        read_video(tmp_path / "a.npy")


def test_frames_one_by_one(tmp_path: Path, rgb: Tensor) -> None:
    for name in ("a.mp4", "a.gif", "a.npy", "a"):
        write_video(tmp_path / name, rgb, fps=20)
        frames = torch.stack(list(open_frames(tmp_path / name).frames))
        assert torch.equal(frames, read_video(tmp_path / name))


def test_a_url_is_opened(tmp_path: Path, rgb: Tensor) -> None:
    write_video(tmp_path / "a.mp4", rgb)
    assert len(list(open_frames((tmp_path / "a.mp4").as_uri()).frames)) == len(rgb)


def test_layout_is_for_arrays(tmp_path: Path, gray: Tensor) -> None:
    np.save(tmp_path / "a.npy", gray[:, 0].numpy().transpose(1, 2, 0))
    assert torch.equal(read_video(tmp_path / "a.npy", layout="hwt"), gray)
    write_video(tmp_path / "a.gif", gray)
    with pytest.raises(ConfigError, match=r"layout thw is for arrays but .*gif is none; leave it out"):
        read_video(tmp_path / "a.gif", layout="thw")


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.webp"])
@pytest.mark.parametrize(
    ("stated", "what"),
    [
        ({"value_range": ValueRange(0, 5)}, "range 0 to 5"),
        ({"layout": "thw"}, "layout thw"),
        ({"array_name": "a"}, "name a"),
    ],
)
def test_frames_of_bytes_have_no_layout_name_or_range(
    name: str, stated: dict[str, Any], what: str, tmp_path: Path, gray: Tensor
) -> None:
    if name == "a.webp":
        pictures = [Image.fromarray(frame[0].numpy()) for frame in gray]
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], lossless=True)
    else:
        write_video(tmp_path / name, gray)
    for source in (tmp_path / name, str(tmp_path / name)):
        with pytest.raises(ConfigError, match=rf"The {what} is for arrays.*{name} is none; leave it out"):
            read_video(source, **stated)
    assert len(read_video(tmp_path / name, value_range="auto")) == len(gray)


def test_a_folder_of_pictures_has_a_range(tmp_path: Path, gray: Tensor) -> None:
    write_video(tmp_path / "a", gray)
    assert torch.equal(read_video(tmp_path / "a", value_range=ValueRange(0, 255)), gray.double().div(255).float())


def test_gray_is_luma_everywhere(tmp_path: Path) -> None:
    """A video whose channels differ by no more than the codec's rounding becomes BT.601 luma."""
    tinted = torch.tensor([121, 120, 118], dtype=torch.uint8).view(1, 3, 1, 1).expand(3, 3, 8, 8)
    stream = FrameStream(iter(tinted), gray_within=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("framepred.media.reading.file_frames", lambda *_: stream)
        (tmp_path / "a.mp4").write_bytes(b"x")
        clip = read_video(tmp_path / "a.mp4")
    assert torch.equal(clip, torch.stack([to_gray(frame) for frame in tinted]))
    assert clip.unique().tolist() == [round(0.299 * 121 + 0.587 * 120 + 0.114 * 118)]


def test_at_least_one_frame_is_asked_for(tmp_path: Path, gray: Tensor) -> None:
    write_video(tmp_path / "a.npy", gray)
    with pytest.raises(ConfigError, match="must be at least 1, not 0"):
        read_clips(tmp_path / "a.npy", last=0)


@pytest.mark.parametrize("name", ["gone.mp4", "notes.txt", "empty.gif"])
def test_bad_inputs_get_a_sentence(tmp_path: Path, name: str) -> None:
    if name != "gone.mp4":
        (tmp_path / name).touch()
    with pytest.raises(MediaError, match=rf"{name} .+\.$"):
        read_video(tmp_path / name)


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    write_video(tmp_path / "a", torch.zeros(60, 1, 64, 64, dtype=torch.uint8))
    tracemalloc.start()
    kept = []
    for frame in open_frames(tmp_path / "a").frames:
        kept = [frame]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) == 1
    assert peak < 60 * 64 * 64
