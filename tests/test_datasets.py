"""Every data set with a card is read as it is distributed: the right frames, in the right splits."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from dataset_folders import LAYOUTS, REPOSITORY, moving
from framepred.data import VideoFolderData
from framepred.media.opencv import cv2


@pytest.fixture
def data(request: pytest.FixtureRequest, ready_data_set: Callable[[str], Path]) -> VideoFolderData:
    """The data module of a data set's config, on a tiny stand-in."""
    config = yaml.safe_load((REPOSITORY / "configs" / f"{request.param}_convlstm.yaml").read_text())
    arguments: dict[str, Any] = config["data"]["init_args"] | {"root": str(ready_data_set(request.param))}
    if "size" in arguments:
        arguments["size"] = tuple(arguments["size"])
    return VideoFolderData(**arguments)


# Files of the splits, and the shape and type of a clip.
EXPECTED = {
    "kth": (2, 1, 2, (30, 1, 128, 128), "uint8"),
    "taxibj": (1, 1, 1, (8, 2, 32, 32), "float32"),
    "bair": (2, 1, 1, (16, 3, 64, 64), "uint8"),
    "kitti_caltech": (1, 1, 1, (11, 3, 128, 160), "uint8"),
    "human36m": (1, 1, 2, (8, 3, 256, 256), "uint8"),
    "sevir": (1, 1, 1, (25, 1, 384, 384), "uint8"),
    "weatherbench": (6, 1, 2, (24, 1, 32, 64), "float32"),
}


@pytest.mark.parametrize(("data", "expected"), EXPECTED.items(), indirect=["data"], ids=list(EXPECTED))
def test_clips_of_every_split(data: VideoFolderData, expected: tuple[Any, ...]) -> None:
    train, val, test, shape, dtype = expected
    assert [len(data.part(split).sources) for split in ("train", "val", "test")] == [train, val, test]
    for split in ("train", "val", "test"):
        clip = data.part(split)[0]
        assert tuple(clip.shape) == shape
        assert str(clip.dtype) == f"torch.{dtype}"


def frames(count: int, height: int, width: int, channels: int = 1, seed: int = 0) -> torch.Tensor:
    """What the stand-ins were made of, (t, c, h, w)."""
    return torch.from_numpy(moving(count, height, width, channels, seed)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("data", ["bair"], indirect=True)
def test_bair_gives_the_second_camera_of_each_trajectory(data: VideoFolderData) -> None:
    test = data.part("test")
    assert torch.equal(test[0], frames(16, 64, 64, 3, seed=0))
    assert torch.equal(test[1], frames(16, 64, 64, 3, seed=1))


@pytest.mark.parametrize("data", ["sevir"], indirect=True)
def test_sevir_gives_each_event_in_time(data: VideoFolderData) -> None:
    train = data.part("train")
    assert len(train) == 2 * 3
    assert torch.equal(train[4], frames(49, 384, 384, seed=1)[12 : 12 + 25])


@pytest.mark.parametrize("data", ["human36m"], indirect=True)
def test_human36m_is_ten_frames_a_second_of_persons_apart(data: VideoFolderData) -> None:
    assert data.part("test").span == 36
    assert [source.name for source in data.part("test").sources] == [
        f"{person}/Videos/Directions 1.54138969.mp4" for person in ("S9", "S11")
    ]


@pytest.mark.parametrize("data", ["weatherbench"], indirect=True)
def test_weatherbench_keeps_kelvins(data: VideoFolderData) -> None:
    kelvin = data.part("test")[0] * 160 + 180
    torch.testing.assert_close(kelvin, 220 + frames(24, 32, 64, seed=2017) * 0.3)


@pytest.mark.parametrize("data", ["kitti_caltech"], indirect=True)
def test_caltech_is_every_third_frame_with_the_middle_kept(data: VideoFolderData) -> None:
    clip = data.part("test")[0].float().mean(1)
    cut = frames(36, 48, 64, 3)[2::3, ..., 2:62].float()
    expected = torch.nn.functional.interpolate(cut, (128, 160), mode="bicubic").mean(1)
    errors = [(clip - expected[begin : begin + 11]).abs().mean() for begin in (0, 1)]
    assert errors[0] < errors[1] / 3


@pytest.mark.parametrize("data", ["taxibj"], indirect=True)
def test_taxibj_joins_what_is_seen_and_what_follows(
    data: VideoFolderData, ready_data_set: Callable[[str], Path]
) -> None:
    arrays = np.load(ready_data_set("taxibj").parent / "distributed" / "dataset.npz")
    clip = data.part("test")[3].numpy() * 2 - 1
    np.testing.assert_allclose(clip[:4], arrays["X_test"][3], atol=1e-6)
    np.testing.assert_allclose(clip[4:], arrays["Y_test"][3], atol=1e-6)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_data_set_has_a_card(name: str) -> None:
    card = (REPOSITORY / "datasets" / name / "README.md").read_text()
    for said in ("Licence", "Layout", f"framepred train --config {name}_convlstm", "Published"):
        assert said in card


def natural(script: str) -> dict[str, Any]:
    """The functions of a script of the natural video data."""
    return runpy.run_path(str(REPOSITORY / "datasets" / "natural_video" / script))


def test_natural_video_is_cut_from_the_first_two_thirds(tmp_path: Path) -> None:
    """Crops hold frames of the video, other kinds are as large; a second run writes the same clips."""
    for folder in ("videos", "rendered"):
        (tmp_path / folder).mkdir()
    texture = np.random.default_rng(0).integers(0, 256, (9, 16, 3), dtype=np.uint8).repeat(9, 0).repeat(9, 1)
    video = np.stack([np.roll(texture, time, 1) for time in range(120)])
    video[10] = video[9]
    np.save(tmp_path / "videos" / "a.npy", video)
    np.save(tmp_path / "rendered" / "b.npy", video[:40, ..., :1])
    cv2.imwrite(str(tmp_path / "videos" / "picture.png"), texture)
    recipe = natural("prepare.py")
    shares = recipe["Shares"](videos=0.4, rendered=0.3)
    written = []
    for folder in ("one", "two"):
        sources = tmp_path / "videos", tmp_path / folder, tmp_path / "rendered"
        train, val = recipe["prepare"](*sources, clips=6, val_clips=2, shares=shares)
        assert "1 shots of videos, 59 frames" in train  # the first half without the repeated frame
        assert "1 rendered shots" in train
        assert "40 frames" in val  # what follows, up to two thirds, and a context before it
        clips = VideoFolderData(str(tmp_path / folder), 20, 10, train="train/*", val="val/*", test_fraction=0)
        written.append([*clips.part("train"), *clips.part("val")])
    assert [clip.shape for clip in written[0]] == [(30, 1, 80, 80)] * 8
    assert all(map(torch.equal, *written))


def test_repeated_frames_are_found_in_films_that_move() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 20, 20, 3), dtype=np.uint8)
    frames[4] = frames[3]
    repeats = natural("prepare.py")["repeats"]
    assert repeats(frames).tolist() == [False] * 4 + [True, False]
    assert not repeats(frames[:1].repeat(5, 0)).any()  # a still film repeats nothing


def test_a_rendered_fluid_moves_all_the_time_at_its_speed() -> None:
    fluid = natural("render.py")["fluid"]
    frames = np.stack(list(fluid(20, np.random.default_rng(0))))
    changes = np.abs(np.diff(frames.astype(float), axis=0)).mean(axis=(1, 2, 3))
    assert (frames.shape, frames.dtype) == ((20, 160, 160, 1), np.uint8)
    assert changes.min() > 1
    assert changes.max() < 30
    assert frames.std(axis=(1, 2, 3)).min() > 20
    assert np.array_equal(frames, np.stack(list(fluid(20, np.random.default_rng(0)))))
