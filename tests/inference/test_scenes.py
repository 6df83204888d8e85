"""Scene cuts stand out from the changes around them."""

import numpy as np
import pytest
import torch
from torch import Tensor

from framepred.inference.scenes import CutDetector, find_cuts, find_scenes
from framepred.media.opencv import cv2

SIZE = 48, 64


def texture(seed: int, width: int = SIZE[1]) -> np.ndarray:
    picture = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((SIZE[0], width)), (0, 0), 3)
    return 128 + 60 * (picture - picture.mean()) / picture.std()


def clip_of(frames: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(frames).clip(0, 255).astype(np.uint8))[:, None]


def pan(seed: int, count: int = 20, speed: int = 3) -> list[np.ndarray]:
    picture = texture(seed, SIZE[1] + speed * count)
    return [picture[:, speed * time : speed * time + SIZE[1]] for time in range(count)]


def causal_cuts(clip: Tensor) -> list[int]:
    detector = CutDetector()
    return [number for number, frame in enumerate(clip) if detector.is_cut(frame)]


@pytest.mark.parametrize("find", [find_cuts, causal_cuts])
@pytest.mark.parametrize(
    ("frames", "cuts"),
    [
        ([*[texture(0)] * 10, *[texture(1)] * 10], [10]),
        ([*pan(0), *pan(1), *pan(2)], [20, 40]),
        ([*[np.full(SIZE, 30.0)] * 10, *[np.full(SIZE, 200.0)] * 10], [10]),
        ([*[texture(0)] * 6, *[texture(1) / 2] * 5, *[texture(2)] * 6], [6, 11]),
    ],
    ids=["stills", "pans", "flat", "short shots"],
)
def test_cuts_are_found(find, frames: list[np.ndarray], cuts: list[int]) -> None:  # type: ignore[no-untyped-def]
    assert find(clip_of(frames)) == cuts


@pytest.mark.parametrize("find", [find_cuts, causal_cuts])
@pytest.mark.parametrize(
    "frames",
    [
        pan(0, speed=4),
        [*pan(0)[:1] * 12, *pan(0)],
        [texture(0) * gain for gain in [0.8, 1.25] * 10],
        [(1 - share) * texture(0) + share * texture(1) for share in np.linspace(0, 1, 20)],
        [share * texture(0) for share in [*np.linspace(1, 0, 12), *np.linspace(0, 1, 12)]],
        [(255.0 * ((np.arange(64) + 2 * time) // 8 % 2))[None].repeat(48, axis=0) for time in range(20)],
        list(np.random.default_rng(0).uniform(0, 255, (20, *SIZE))),
    ],
    ids=["pan", "pan that begins", "flicker", "dissolve", "fade", "moving stripes", "noise"],
)
def test_what_is_no_cut(find, frames: list[np.ndarray]) -> None:  # type: ignore[no-untyped-def]
    assert find(clip_of(frames)) == []


@pytest.mark.parametrize("length", [1, 2])
def test_an_interruption_is_no_cut_when_both_sides_are_known(length: int) -> None:
    frames = [texture(0)] * 24
    frames[10 : 10 + length] = [np.full(SIZE, 255.0)] * length
    assert find_cuts(clip_of(frames)) == []


def test_looking_ahead_ends_where_the_detector_needs_no_more() -> None:
    read = 0

    def endless():  # type: ignore[no-untyped-def]
        nonlocal read
        while True:
            read += 1
            yield torch.zeros(1, 8, 8, dtype=torch.uint8)

    from framepred.inference.scenes import NEIGHBOURS, iter_cuts

    found = iter_cuts(endless())
    for _ in range(30):
        next(found)
    assert read <= 30 + NEIGHBOURS


def test_types_of_frames_mean_the_same() -> None:
    clip = clip_of([*[texture(0)] * 8, *[texture(1)] * 8])
    deep = (clip.int() * 257).to(torch.uint16)
    assert find_cuts(clip) == find_cuts(clip / 255) == find_cuts(deep) == [8]


def test_scenes_lie_between_cuts() -> None:
    clip = clip_of([*[texture(0)] * 7, *[texture(1)] * 9])
    assert find_scenes(clip) == [range(7), range(7, 16)]
    assert find_scenes(clip[:1]) == [range(1)]


def test_a_reset_detector_compares_with_nothing_before() -> None:
    detector = CutDetector()
    for frame in clip_of([texture(0)] * 8):
        detector.is_cut(frame)
    detector.reset()
    assert not detector.is_cut(clip_of([texture(1)])[0])


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 5), (8, 10)])
def test_tiny_frames(size: tuple[int, int]) -> None:
    dark, bright = torch.zeros(6, 2, *size), torch.ones(6, 2, *size)
    assert find_cuts(torch.cat([dark, bright])) == [6]
