import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from framepred.baselines import LastFrame
from framepred.errors import ClipError, ConfigError
from framepred.forecaster import Forecaster
from framepred.inference.stream import SETTLING, Follower, Step
from framepred.inference.surprise import FEWEST
from framepred.models import EncoderForecaster

YOUNG = SETTLING + FEWEST  # frames of a scene before surprise is known


def flicker(count: int, level: int = 60, shape: tuple[int, int, int] = (1, 4, 4)) -> Iterator[Tensor]:
    """Frames that change a little, never equally much."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        yield torch.randint(level - 5, level + 6, shape, generator=generator, dtype=torch.uint8)


def follow(net: Forecaster, frames: Iterator[Tensor], horizon: int = 3) -> list[Step]:
    follower = Follower(net, horizon)
    return [follower.see(frame) for frame in frames]


def test_it_forecasts_at_each_step_what_the_net_forecasts_of_the_whole(small_net: EncoderForecaster) -> None:
    clip = torch.rand(5, 1, 10, 13) / 5  # no cuts
    steps = follow(small_net, iter(clip))
    for seen, step in enumerate(steps, start=1):
        with torch.inference_mode():
            torch.testing.assert_close(step.future, small_net(clip[None, :seen], 3)[0])


def test_the_error_is_that_of_the_forecast_one_frame_before(small_net: EncoderForecaster) -> None:
    clip = torch.rand(5, 1, 10, 13) / 5
    steps = follow(small_net, iter(clip))
    assert steps[0].mse is None
    for frame, before, step in zip(clip[1:], steps, steps[1:], strict=False):
        assert step.mse == pytest.approx(float((before.future[0] - frame).square().mean()))


def test_what_does_not_belong_surprises() -> None:
    frames = list(flicker(60))
    frames[40][:, :2, :2] += 90
    steps = follow(LastFrame(), iter(frames))
    assert [step.surprise is None for step in steps] == [True] * YOUNG + [False] * (60 - YOUNG)
    scores = [step.surprise or 0 for step in steps]
    assert max(scores[:40]) < 5 < 50 < scores[40]
    assert not any(step.cut for step in steps)


def test_a_scene_cut_begins_anew_and_surprises_nobody() -> None:
    steps = follow(LastFrame(), iter([*flicker(40), *flicker(40, level=200)]))
    assert [place for place, step in enumerate(steps) if step.cut] == [40]
    assert steps[40].mse is None
    assert [step.surprise for step in steps[40 : 40 + YOUNG]] == [None] * YOUNG
    assert all(step.surprise is not None for step in steps[40 + YOUNG :])


def test_what_is_forgotten_leaves_no_trace(small_net: EncoderForecaster) -> None:
    first, then = list(flicker(30)), list(flicker(30, level=70))
    follower = Follower(small_net)
    for frame in first:
        follower.see(frame)
    follower.forget()
    again = [follower.see(frame) for frame in then]
    afresh = follow(small_net, iter(then), horizon=10)
    assert [step.surprise for step in again] == [step.surprise for step in afresh]
    assert torch.equal(again[-1].future, afresh[-1].future)


@pytest.mark.parametrize("shape", [(3, 480, 640), (1, 99, 1), (3, 7, 300)])
def test_large_frames_are_scaled(shape: tuple[int, int, int]) -> None:
    steps = follow(LastFrame(), flicker(3, shape=shape))
    assert max(steps[-1].future.shape[-2:]) == min(128, max(shape[1:]))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_all_types_of_frames_mean_the_same(dtype: torch.dtype) -> None:
    white = {torch.uint8: 255, torch.uint16: 65535, torch.float32: 1}[dtype]
    frames = [torch.full((1, 4, 4), white * level, dtype=torch.float64).to(dtype) for level in (0, 1 / 15)]
    step = follow(LastFrame(), iter(frames))[-1]
    assert step.mse == pytest.approx((1 / 15) ** 2, rel=0.02)


def test_arguments_are_checked(small_net: EncoderForecaster) -> None:
    with pytest.raises(ConfigError, match="at least 1, not 0 frames"):
        Follower(small_net, 0)
    with pytest.raises(ConfigError, match="and 0 pixels"):
        Follower(small_net, max_side=0)
    with pytest.raises(ClipError, match="2 channels"):
        Follower(EncoderForecaster(channels=3, hidden_channels=[2], kernel_size=3)).see(torch.zeros(2, 8, 8))


ENDLESS = """
import json, resource, sys, torch
from framepred.baselines import LastFrame
from framepred.inference.stream import Follower

follower = Follower(LastFrame(), horizon=1, window=16)
frames = [torch.randint(60, 70, (1, 4, 4), dtype=torch.uint8) for _ in range(97)]
held = []
for number in range(100_001):
    follower.see(frames[number % 97])
    if number in (10_000, 100_000):
        held.append((sys.getallocatedblocks(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
print(json.dumps(held))
"""


def test_memory_does_not_grow_over_100_000_frames() -> None:
    """In a process of its own, because the checks of shapes that tests run under take ten times as long."""
    told = subprocess.run([sys.executable, "-c", ENDLESS], check=True, capture_output=True).stdout
    blocks, kilobytes = (after - before for before, after in zip(*json.loads(told), strict=True))
    assert blocks < 1000
    assert kilobytes < 1000
