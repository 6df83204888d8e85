"""Repeated frames: found in the past, left out of motion, and expected in the future where they are regular."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor

import framepred
from framepred.clips import to_unit
from framepred.inference.repeats import RepeatDetector, find_cadence
from framepred.inference.stream import StreamForecaster
from framepred.models import EncoderForecaster

DRIFT = 2  # pixels per distinct frame


def film(order: Sequence[int]) -> Tensor:
    """A texture that drifts, ``(t, 1, 40, 48)`` uint8; ``order`` gives the position of each frame."""
    random = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 1, 40, 48 + DRIFT * (max(order) + 1), generator=random)
    texture = torch.nn.functional.avg_pool2d(noise, 5, stride=1, padding=2)[0]
    return (255 * torch.stack([texture[..., DRIFT * time : DRIFT * time + 48] for time in order])).to(torch.uint8)


def repeating(pattern: Sequence[int], frames: int) -> list[int]:
    """Each distinct frame shown as many times as the pattern says, over and over."""
    order = [number for number in range(frames) for _ in range(pattern[number % len(pattern)])]
    return order[:frames]


PATTERNS = {"on twos": [2], "24 to 30": [1, 1, 1, 2], "24 to 60": [3, 2], "15 to 24": [2, 1, 2, 2, 1]}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("phase", range(4))
def test_a_regular_pattern_goes_on(pattern: list[int], phase: int) -> None:
    order = repeating(pattern, 70)[phase:]
    cadence = find_cadence(film(order[:50]))
    assert cadence.distinct == [True, *(now != before for before, now in pairwise(order[:50]))]
    assert cadence.steps(10) == [number - order[49] for number in order[50:60]]
    assert cadence.kept == [now != after for now, after in pairwise(order[:50])] + [True]


def test_coding_noise_hides_no_repeat() -> None:
    order = repeating([1, 1, 2], 40)
    noisy = film(order).int() + torch.randint(-1, 2, (40, 1, 40, 48), generator=torch.Generator().manual_seed(1))
    assert find_cadence(noisy.clamp(0, 255).to(torch.uint8)).period == 4


@pytest.mark.parametrize(
    "order",
    [list(range(40)), [0] * 40, [*range(20), *[19] * 20], [*[0] * 20, *range(20)], [*range(30), 29]],
    ids=["steady", "still", "stops", "starts", "stops at the end"],
)
def test_what_stands_still_does_not_repeat(order: list[int]) -> None:
    cadence = find_cadence(film(order))
    assert all(cadence.distinct)
    assert cadence.steps(3) == [1, 2, 3]


def test_stray_repeats_are_left_out_but_not_expected() -> None:
    order = [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 13, 14, 15]
    cadence = find_cadence(film(order))
    assert [number for number, distinct in enumerate(cadence.distinct) if not distinct] == [4, 11, 16]
    assert cadence.steps(3) == [1, 2, 3]


@pytest.mark.parametrize("pattern", [[1, 1, 1, 2], [2]], ids=["24 to 30", "on twos"])
def test_a_prediction_repeats_as_its_past_does(small_net: EncoderForecaster, pattern: list[int]) -> None:
    order = repeating(pattern, 60)
    clip = film(order)
    found = framepred.predict(clip[:50], frames=10, weights=small_net, layout="tchw")
    truth, last = to_unit(clip[50:]), to_unit(clip[49])
    error, still = ((guess - truth)[..., :-24].square().mean() for guess in (to_unit(found.frames), last))
    assert float(error) < 0.3 * float(still)
    again = [now == before for before, now in pairwise(order[49:])]
    shown = torch.cat([clip[49:50], found.frames])
    assert [bool(torch.equal(*pair)) for pair in pairwise(shown)] == again
    assert any("repeat the frame before" in note for note in found.notes)


def test_each_clip_of_an_array_repeats_by_itself(small_net: EncoderForecaster) -> None:
    clips = torch.stack([film(repeating(pattern, 40)) for pattern in ([1], [2])])
    together = framepred.predict(clips, frames=4, weights=small_net, layout="ntchw").frames
    assert not torch.equal(together[0, 0], together[0, 1])
    assert torch.equal(together[1, 0], together[1, 1])


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_a_stream_finds_the_repeats_that_its_whole_past_has(pattern: list[int]) -> None:
    frames = film(repeating(pattern, 60))
    detector = RepeatDetector()
    found = [detector.is_repeat(frame) for frame in frames]
    known = [not distinct for distinct in find_cadence(frames).distinct]
    assert found[20:] == known[20:]
    assert detector.cadence.steps(10) == find_cadence(frames).steps(10)


@pytest.mark.parametrize("order", [[0] * 40, [*range(20), *[19] * 20]], ids=["still", "stops"])
def test_a_stop_in_a_stream_does_not_repeat(order: list[int]) -> None:
    detector = RepeatDetector()
    assert not any(detector.is_repeat(frame) for frame in film(order))


@pytest.mark.parametrize("pattern", [[2], [1, 1, 1, 2]])
def test_a_stream_with_repeats_is_forecast_like_one_without(pattern: list[int], small_net: EncoderForecaster) -> None:
    """Once the rhythm is known, the forecasts hold the frames that would follow without repeats, in this rhythm."""
    order = repeating(pattern, 40)
    forecaster, plain = StreamForecaster(small_net.eval(), 4), StreamForecaster(small_net.eval(), 4)
    for frame in film(range(order[-1] + 1)):
        expected = plain.step(frame).future
    for frame in film(order):
        step = forecaster.step(frame)
    ahead = [number - order[-1] for number in repeating(pattern, 44)[40:]]
    known = torch.cat([to_unit(film(order)[-1:]), expected])
    assert step.mse is not None
    assert float((step.future - known[ahead]).square().mean()) < 0.1 * float((known[0] - known[4]).square().mean())
