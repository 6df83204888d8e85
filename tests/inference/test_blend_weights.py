"""Weights that are measured on the past, for frames larger than those that the blend predicts."""

from random import Random

import pytest
import torch
from torch import Tensor

import framepred
from framepred.baselines import LastFrame, OpticalFlow, load_baseline
from framepred.clips import to_unit
from framepred.inference.blend import Blend
from framepred.inference.blend_weights import fit_blend, fit_weights
from framepred.inference.detail import at_full_size

FRAMES, HORIZON, WIDTH = 46, 6, 300


def film(offsets: list[int]) -> Tensor:
    """Frames of 300x48 pixels, larger than those that a network gets, which show parts of a texture."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 48, WIDTH + 120, generator=generator), 5, 1, 2)[0]
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    parts = [picture[..., 60 + offset : 60 + offset + WIDTH] for offset in offsets]
    return (255 * torch.stack(parts)).to(torch.uint8)


def steady() -> list[int]:
    return list(range(FRAMES))


def shaking() -> list[int]:
    random = Random(1)
    return [random.randint(-2, 2) for _ in range(FRAMES)]


@pytest.mark.parametrize("offsets", [steady(), shaking()], ids=["steady", "shaking"])
def test_large_frames_are_predicted_about_as_well_as_by_the_better_baseline(offsets: list[int]) -> None:
    frames = film(offsets)
    past, truth = frames[:-HORIZON], to_unit(frames[-HORIZON:])
    predicted = to_unit(framepred.predict(past, frames=HORIZON, layout="tchw", cuts=False).frames)
    futures = [load_baseline(name).eval()(past[None], HORIZON)[0] for name in ("optical-flow", "last-frame")]
    error, *baselines = (float((future - truth).square().mean()) for future in (predicted, *futures))
    assert error < 1.03 * min(baselines)


def test_measured_windows_are_predicted_with_no_more_error_than_by_any_member() -> None:
    """The only window is the last one, with one lead time; shorter ones there are none."""
    for stop in range(20, FRAMES):
        frames = to_unit(film(shaking())[stop - 11 : stop])
        members = [OpticalFlow(carried=True), LastFrame()]
        weights = fit_weights(members, [frames], 10, 1, cuts=False, max_side=256)
        nets = [at_full_size(Blend(members, each), 256) for each in (weights, *torch.eye(2)[:, None])]
        errors = [float((net.eval()(frames[None, :10], 1)[0] - frames[10:]).square().mean()) for net in nets]
        assert errors[0] <= 1.01 * min(errors[1:])


def test_the_newest_frames_decide_at_short_lead_times() -> None:
    """What stood still begins to move four frames before the prediction, so that no longer window has seen it."""
    frames = to_unit(film([0] * 24 + list(range(1, 5))))
    members = [OpticalFlow(carried=True), LastFrame()]
    moving = fit_weights(members, [frames], 10, 10, cuts=False)[:, 1:, 0].mean(dim=1)
    still = fit_weights(members, [frames[:-4]], 10, 10, cuts=False)[:, 1:, 0].mean(dim=1)
    assert moving[0] > 0.5 > still.max()


@pytest.mark.parametrize("max_side", [None, 256])
def test_a_still_part_is_left_to_the_last_frame(max_side: int | None) -> None:
    frames = to_unit(film(steady()))
    frames[..., : WIDTH // 2] = frames[0, ..., : WIDTH // 2]
    members = [OpticalFlow(carried=True), LastFrame()]
    blend = fit_blend(members, [frames], cuts=False, max_side=max_side).eval()
    future = at_full_size(blend, 256).eval()(frames[None, -10:], 2)[0]
    assert torch.equal(future[..., : WIDTH // 2 - 40], frames[-2:, ..., : WIDTH // 2 - 40])
