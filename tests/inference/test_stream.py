import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from framepred.baselines import LastFrame
from framepred.errors import ClipError, ConfigError
from framepred.forecaster import Forecaster
from framepred.inference.stream import StreamForecaster, StreamStep, stream
from framepred.models import EncoderForecaster


def flicker(count: int, level: int = 60, shape: tuple[int, int, int] = (1, 4, 4)) -> Iterator[Tensor]:
    """Frames that change a little, never equally much."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        yield torch.randint(level - 5, level + 6, shape, generator=generator, dtype=torch.uint8)


def steps_of(net: Forecaster, frames: Iterator[Tensor], horizon: int = 3) -> list[StreamStep]:
    forecaster = StreamForecaster(net, horizon, blend=False)
    return [forecaster.step(frame) for frame in frames]


def test_it_forecasts_at_each_step_what_the_net_forecasts_of_the_whole(small_net: EncoderForecaster) -> None:
    clip = torch.rand(5, 1, 10, 13) / 5  # no cuts
    steps = steps_of(small_net, iter(clip))
    for seen, step in enumerate(steps, start=1):
        with torch.inference_mode():
            torch.testing.assert_close(step.future, small_net.eval()(clip[None, :seen], 3)[0])


def test_the_error_is_that_of_the_forecast_one_frame_before(small_net: EncoderForecaster) -> None:
    clip = torch.rand(5, 1, 10, 13) / 5
    steps = steps_of(small_net, iter(clip))
    assert steps[0].mse is None
    for frame, before, step in zip(clip[1:], steps, steps[1:], strict=False):
        assert step.mse == pytest.approx(float((before.future[0] - frame).square().mean()))


def test_a_scene_cut_resets_the_state() -> None:
    steps = steps_of(LastFrame(), iter([*flicker(40, shape=(1, 8, 8)), *flicker(40, level=200, shape=(1, 8, 8))]))
    assert [step.index for step in steps if step.cut] == [40]
    assert steps[40].mse is None
    assert all(step.mse is not None for step in steps[41:])


def test_a_reset_leaves_no_trace(small_net: EncoderForecaster) -> None:
    first, then = list(flicker(30)), list(flicker(30, level=70))
    forecaster = StreamForecaster(small_net, blend=False)
    for frame in first:
        forecaster.step(frame)
    forecaster.reset()
    again = [forecaster.step(frame) for frame in then]
    afresh = steps_of(small_net, iter(then), horizon=10)
    assert [step.mse for step in again] == [step.mse for step in afresh]
    assert torch.equal(again[-1].future, afresh[-1].future)


@pytest.mark.parametrize("shape", [(3, 480, 640), (1, 99, 1), (3, 7, 300)])
def test_large_frames_are_scaled(shape: tuple[int, int, int]) -> None:
    steps = steps_of(LastFrame(), flicker(3, shape=shape))
    assert max(steps[-1].future.shape[-2:]) == min(128, max(shape[1:]))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_all_types_of_frames_mean_the_same(dtype: torch.dtype) -> None:
    white = {torch.uint8: 255, torch.uint16: 65535, torch.float32: 1}[dtype]
    frames = [torch.full((1, 4, 4), white * level, dtype=torch.float64).to(dtype) for level in (0, 1 / 15)]
    step = steps_of(LastFrame(), iter(frames))[-1]
    assert step.mse == pytest.approx((1 / 15) ** 2, rel=0.02)


def test_arguments_are_checked(small_net: EncoderForecaster) -> None:
    with pytest.raises(ConfigError, match="horizon must be at least 1, not 0"):
        StreamForecaster(small_net, 0)
    with pytest.raises(ConfigError, match="max_side must be at least 1, not 0"):
        StreamForecaster(small_net, max_side=0)
    net = EncoderForecaster(channels=3, hidden_channels=[2], kernel_size=3)
    with pytest.raises(ClipError, match="2 channels"):
        StreamForecaster(net, blend=False).step(torch.zeros(2, 8, 8))


ENDLESS = """
import json, resource, sys, torch
from framepred.baselines import LastFrame
from framepred.inference.stream import StreamForecaster

forecaster = StreamForecaster(LastFrame(), horizon=1)
frames = [torch.randint(60, 70, (1, 4, 4), dtype=torch.uint8) for _ in range(97)]
held = []
for number in range(5_001):
    forecaster.step(frames[number % 97])
    if number in (1_000, 5_000):
        held.append((sys.getallocatedblocks(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
print(json.dumps(held))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_frames() -> None:
    """In a process of its own, because the checks of shapes that tests run under take ten times as long."""
    told = subprocess.run([sys.executable, "-c", ENDLESS], check=True, capture_output=True).stdout
    blocks, kilobytes = (after - before for before, after in zip(*json.loads(told), strict=True))
    assert blocks < 1000
    assert kilobytes < 1000


def test_frames_in_memory_are_streamed(small_net: EncoderForecaster) -> None:
    clip = torch.stack(list(flicker(6, shape=(1, 10, 12))))
    playing = stream(clip, frames=2, weights=small_net)
    steps = list(playing)
    assert [(step.index, step.time) for step in steps] == [(number, number / playing.fps) for number in range(6)]
    assert all(torch.equal(step.frame, frame) for step, frame in zip(steps, clip, strict=True))
    assert {tuple(step.future.shape) for step in steps} == {(2, 1, 10, 12)}


def test_several_clips_are_no_stream() -> None:
    with pytest.raises(ClipError, match="holds 2 clips but a stream is one"):
        list(stream(torch.zeros(2, 5, 1, 8, 8), weights="baseline:last-frame"))


def test_arrays_with_the_channels_of_the_weights_are_streamed(tmp_path: Path) -> None:
    np.save(tmp_path / "grid.npy", np.zeros((5, 2, 8, 10), np.uint8))
    net = EncoderForecaster(channels=2, hidden_channels=[4], kernel_size=3)
    steps = list(stream(tmp_path / "grid.npy", frames=3, weights=net))
    assert {tuple(step.future.shape) for step in steps} == {(3, 2, 8, 10)}


def test_a_stream_is_blended_unless_told_otherwise(small_net: EncoderForecaster) -> None:
    still = torch.full((12, 1, 10, 12), 90, dtype=torch.uint8)
    errors = {blend: list(stream(still, frames=1, weights=small_net, blend=blend))[-1].mse for blend in (True, False)}
    assert errors[True] == 0
    assert (errors[False] or 0) > 0


def test_without_cuts_nothing_is_reset() -> None:
    clip = torch.cat([torch.full((8, 1, 8, 8), level, dtype=torch.uint8) for level in (20, 220)])
    for cuts in (True, False):
        steps = list(stream(clip, frames=1, weights="baseline:last-frame", cuts=cuts))
        assert [step.cut for step in steps] == [cuts and number == 8 for number in range(16)]
