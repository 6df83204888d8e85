"""Pixels that nobody measured, which files hold as NaN, in blend weights, adapting, streams and watches."""

from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import framepred
from framepred.baselines import load_baseline
from framepred.clips import to_unit
from framepred.errors import ClipError
from framepred.inference.adapt import adapt
from framepred.inference.blend import default_members
from framepred.inference.blend_weights import fit_weights
from framepred.inference.online_blend import OnlineBlend
from framepred.inference.stream_log import StreamLog
from framepred.inference.watch import WatchStep
from framepred.media.ranges import ValueRange
from framepred.models import EncoderForecaster

SIDE, COVERED = 32, 20
"""Sides of the frames and of the part, at the left, that is measured."""


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


WHOLE = ValueRange(-32, 60, filler=-32)


def moving(frames: int = 16) -> NDArray[np.float32]:
    """A texture that moves by one pixel per frame, in dBZ, ``(t, h, w)``."""
    texture = noise(SIDE, SIDE + frames).numpy() * 92 - 32
    return np.stack([texture[:, number : number + SIDE] for number in range(frames)])


def errors_of(clip: NDArray[np.float32], weights: str, filler: float) -> list[float | None]:
    steps = framepred.stream(clip, weights=weights, frames=2, value_range=ValueRange(-32, 60, filler=filler))
    return [step.mse for step in steps]


def test_errors_of_a_stream_are_those_of_measured_pixels() -> None:
    clip = moving()
    lost = clip.copy()
    lost[:, :, COVERED:] = lost[4] = lost[8:10, :3] = np.nan
    outside, covered = (
        errors_of(lost, "baseline:last-frame", -32),
        errors_of(clip[:, :, :COVERED], "baseline:last-frame", 0),
    )
    assert outside == errors_of(lost, "baseline:last-frame", 60)
    assert [number for number, error in enumerate(outside) if error is None] == [0, 4]
    whole = [1, 2, 3, *range(11, len(clip))]
    assert [outside[number] for number in whole] == pytest.approx([covered[number] for number in whole])


def test_a_frame_without_measured_pixels_is_said_and_not_observed(tmp_path: Path) -> None:
    clip = moving()
    clip[6:8] = np.nan
    np.save(tmp_path / "radar.npy", clip)
    log, steps = StreamLog("radar.npy"), []
    events = []
    for step in framepred.stream(tmp_path / "radar.npy", weights="moving-mnist", frames=2, value_range=WHOLE):
        events += log.add(step)
        steps.append(step)
    assert [step.lost for step in steps] == [number in (6, 7) for number in range(len(clip))]
    assert [(event.kind, event.fields["frame"]) for event in events] == [("missing", 6)]
    assert log.end().fields["lost_frames"] == 2
    assert all(step.frame.isfinite().all() and not step.cut for step in steps)
    before, after = steps[5].future.mean(), steps[7].future.mean()
    assert after > before / 2  # no forecast of the filler, which is black


def test_weights_of_a_blend_come_from_measured_pixels() -> None:
    """The still filler would favour the last frame."""
    weights = []
    for filler in (None, 0.0):
        members = default_members(load_baseline("blank"))
        blend = OnlineBlend(members, horizon=2)
        for number, frame in enumerate(torch.from_numpy(moving(20) / 92 + 32 / 92)):
            missing = None
            if filler is not None:
                missing = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
                missing[..., COVERED:] = True
                frame = frame.masked_fill(missing[0], (0.3 * number) % 1)  # a filler that no forecaster predicts
            blend.step(frame[None, None], missing)
        weights.append(blend.weights.mean(dim=1))
    torch.testing.assert_close(*weights, atol=0.15, rtol=0)


FPS = 10


def scene(frames: int) -> NDArray[np.float32]:
    """A textured scene under noise, in dBZ, ``(t, h, w)``: nothing in it is unusual."""
    texture = noise(48, 64).numpy()
    return (texture + 0.05 * noise(frames, 48, 64).numpy()) * 80 - 32


def watched(clip: NDArray[np.float32], filler: float) -> tuple[list[WatchStep], list[str]]:
    notices: list[str] = []
    values = ValueRange(-32, 60, filler=filler)
    watching = framepred.watch(clip, normal=12.0, value_range=values, on_notice=notices.append, false_alarms=60)
    return list(watching.steps()), notices


@pytest.fixture(scope="module")
def footage() -> NDArray[np.float32]:
    """16 s of which a part is never measured, and after 13 s other parts for a while, or nothing at all."""
    clip = scene(16 * FPS)
    clip[:, :, 50:] = np.nan
    clip[13 * FPS : 14 * FPS, :20, :24] = np.nan
    clip[15 * FPS : 15 * FPS + 3] = np.nan
    return clip


def test_no_alarm_is_raised_by_missing_pixels(footage: NDArray[np.float32]) -> None:
    steps, notices = watched(footage, 60)
    assert not any(step.active for step in steps)
    assert [step.index for step in steps if step.missing is not None and step.missing.all()] == [150, 151, 152]
    assert notices[-1] == "No pixel of frame 150, 15.00 s, is measured; it is not scored."
    assert all(np.isfinite(step.frame).all() and np.isfinite(step.scored.deviations).all() for step in steps)


@pytest.mark.slow
def test_scores_do_not_depend_on_the_filler(footage: NDArray[np.float32]) -> None:
    scores = [[step.scored.score for step in watched(footage, filler)[0]] for filler in (-32, 60)]
    assert scores[0] == pytest.approx(scores[1])


def test_a_channel_that_is_never_measured_is_said_to_be() -> None:
    clip = np.stack([scene(13 * FPS)] * 3, axis=1)
    clip[12 * FPS + 5 :, 1] = np.nan
    steps, notices = watched(clip, 60)
    assert notices[-1] == f"No pixel of frame {steps[5].index}, 12.50 s, is measured in all channels; it is not scored."
    clip[:, 1] = np.nan
    with pytest.raises(ClipError, match=r"lasts 12\.0 s, but in only 0\.0 s a pixel is measured in all channels"):
        watched(clip, 60)


def test_what_is_measured_still_raises_an_alarm(footage: NDArray[np.float32]) -> None:
    footage = footage.copy()
    footage[14 * FPS : 15 * FPS, 20:40, 5:30] = 60
    steps, _ = watched(footage, 60)
    assert any(step.active for step in steps if 14 <= step.time < 15)
    assert not any(step.active for step in steps if step.time < 13.9)


def test_weights_of_the_past_come_from_measured_pixels() -> None:
    """Rare drops are best predicted by a blank frame; a bright filler is predicted by the last frame alone."""
    clip = 0.3 * (noise(30, 1, SIDE, SIDE) > 0.9).float()
    clip[..., COVERED:] = torch.nan
    members = [load_baseline("blank"), load_baseline("last-frame")]
    for filler in (0.0, 1.0):
        assert fit_weights(members, [clip], 4, 3, filler=filler)[:, :, 0].min() > 0.5
    assert fit_weights(members, [clip.nan_to_num(1.0)], 4, 3)[:, :, 0].max() < 0.1


def test_a_network_learns_from_measured_pixels(small_net: EncoderForecaster) -> None:
    clip = to_unit(torch.from_numpy((moving(24)[:, None] + 32) / 92))
    lost = clip.clone()
    lost[..., COVERED:] = lost[3:6] = lost[9, :, 5:9] = torch.nan
    adapted = adapt(small_net, lost, steps=3, context=4, horizon=3, filler=0.0)
    assert 0 < adapted.error_after < inf
    assert all(parameter.isfinite().all() for parameter in adapted.network.parameters())
