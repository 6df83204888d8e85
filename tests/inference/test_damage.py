"""What find_damaged finds, and what it leaves: clean material that resembles damage."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from framepred.inference.damage import find_damaged


def texture(seed: int, width: int = 64) -> Tensor:
    noise = torch.rand(1, 1, 6, width // 8, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(noise, (48, width), mode="bicubic").clamp(0, 1).mul(255).byte()[0]


def pan(count: int = 60) -> Tensor:
    wide = texture(0, 64 + 8 * (count // 8 + 1))
    return torch.stack([wide[..., time : time + 64] for time in range(count)])


def slides(*frames: int) -> Tensor:
    """Two slides in turn, each shown for so many frames."""
    pair = texture(1), texture(2)
    return torch.cat([pair[number % 2].repeat(count, 1, 1, 1) for number, count in enumerate(frames)])


def titles() -> Tensor:
    clip = torch.zeros(80, 1, 48, 64, dtype=torch.uint8)
    clip[10:35, :, 20:28, 15:49] = 250
    clip[45:70, :, 15:33, 25:39] = 200
    return clip


def typing() -> Tensor:
    clip = torch.zeros(70, 1, 48, 64, dtype=torch.uint8)
    for number in range(1, 10):
        clip[6 * number :, :, 5:10, 6 * number : 6 * number + 4] = 240
    return clip


def cursor() -> Tensor:
    clip = texture(3).repeat(70, 1, 1, 1)
    clip[torch.arange(70) // 12 % 2 == 1, :, 20:30, 30:34] = 255
    return clip


def strobe(low: int, high: int) -> Tensor:
    levels = torch.tensor([low, high] * 20, dtype=torch.uint8).view(-1, 1, 1, 1)
    return levels + (torch.arange(64, dtype=torch.uint8) // 2).expand(1, 48, 64)


CLEAN: dict[str, Callable[[], Tensor]] = {
    "pan": pan,
    "slides": lambda: slides(20, 20, 20, 20),
    "short slides": lambda: slides(15, 15, 15, 15, 15),
    "uneven slides": lambda: slides(3, 40, 12, 30, 7),
    "titles": titles,
    "typing": typing,
    "cursor": cursor,
    "strobe": lambda: strobe(40, 200),
    "black and white": lambda: strobe(0, 224),
    "still": lambda: texture(4).repeat(40, 1, 1, 1),
}


def found(clip: Tensor) -> list[int]:
    return [number for number, damaged in enumerate(find_damaged(clip)) if damaged]


@pytest.mark.parametrize("make", CLEAN.values(), ids=CLEAN.keys())
@pytest.mark.parametrize("reversed_in_time", [False, True])
def test_clean_material_stays(make: Callable[[], Tensor], reversed_in_time: bool) -> None:
    clip = make()
    assert found(clip.flip(0) if reversed_in_time else clip) == []


def test_faults_in_motion_are_found() -> None:
    clip = pan()
    clip[20] = clip[19]
    clip[35:37] = clip[34]
    clip[45:48] = 0
    clip[52] = 255
    assert found(clip) == [20, 35, 36, 45, 46, 47, 52]


@pytest.mark.parametrize("times", [2, 3])
def test_animation_on_twos_and_threes_counts_as_repeated(times: int) -> None:
    clip = pan(20).repeat_interleave(times, dim=0)
    marked = found(clip)
    assert marked == [number for number in range(times, len(clip) - times) if number % times]


def test_a_conversion_of_24_to_30_frames_is_found() -> None:
    distinct = pan(40)
    clip = distinct[[index + extra for index in range(0, 40, 4) for extra in (0, 1, 2, 3, 3)]]
    assert found(clip) == list(range(4, 49, 5))
