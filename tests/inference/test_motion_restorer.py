"""Frames of films rebuilt from both sides."""

import pytest
import torch
from torch import Tensor

import framepred
from framepred.baselines import LinearInterpolation, MotionCompensated
from framepred.clips import Clip, Future
from framepred.inference.motion_restorer import AutoRestorer, MotionRestorer, hideable
from framepred.inference.restore_trials import Trial, trials
from framepred.restorer import Missing, Restorer, Sides
from framepred.warping import shift


def drifting(count: int) -> Clip:
    """A texture that drifts by two pixels per frame."""
    picture = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 48, 64 + 2 * count), 5, stride=1, padding=2)
    return torch.stack([picture[..., 2 * time : 64 + 2 * time] for time in range(count)], dim=1)


def mask(count: int, *missing: int) -> Tensor:
    return torch.tensor([index in missing for index in range(count)])


@pytest.mark.parametrize("gap", [(10,), (10, 11, 12)])
def test_what_moves_steadily_is_rebuilt_better_than_by_interpolation(gap: tuple[int, ...]) -> None:
    clip, missing = drifting(22), mask(22, *gap)
    motion, linear = (
        (net.eval().restore(clip, missing)[:, missing, ..., 8:-8] - clip[:, missing, ..., 8:-8]).square().mean()
        for net in (MotionRestorer(), LinearInterpolation())
    )
    assert float(motion) < 0.6 * float(linear)


def test_what_accelerates_is_rebuilt_along_curves() -> None:
    """The position grows with the square of time, so halfway between two frames lies off their middle."""
    noise = torch.rand(1, 1, 64, 160, generator=torch.Generator().manual_seed(0))
    picture = torch.nn.functional.avg_pool2d(noise, 15, stride=1, padding=7)
    gap = range(9, 14)
    views = [shift(picture, torch.tensor([[0.1 * time**2, 0.0]]))[..., 60:] for time in range(23)]
    clip, missing = torch.stack(views, dim=1), mask(23, *gap)
    curved, straight = (
        (net.eval().restore(clip, missing) - clip)[:, missing, ..., 24:-24].square().mean()
        for net in (MotionRestorer(), MotionCompensated())
    )
    assert curved < straight / 2


def test_what_stands_still_stays_exact() -> None:
    still = (255 * torch.rand(1, 3, 40, 48)).to(torch.uint8).expand(9, -1, -1, -1)
    assert torch.equal(framepred.restore(still, missing=[4], method="motion").frames, still)


def test_with_one_side_the_nearest_frame_is_repeated() -> None:
    clip = drifting(6)
    restored = MotionRestorer().eval().restore(clip, mask(6, 0, 5))
    assert torch.equal(restored[:, 0], clip[:, 1])
    assert torch.equal(restored[:, 5], clip[:, 4])


def test_what_flow_does_not_explain_is_interpolated() -> None:
    noise = torch.rand(1, 20, 1, 40, 48)
    missing = mask(20, 10)
    motion, linear = (
        (net.eval().restore(noise, missing)[:, missing] - noise[:, missing]).square().mean()
        for net in (MotionRestorer(), LinearInterpolation())
    )
    assert float(motion) < 1.02 * float(linear)


def test_trials_hide_observed_frames_only() -> None:
    missing = [index in (8, 9, 10) for index in range(20)]
    for trial in trials(missing, 2, 2, Sides(7, 11)):
        assert not any(missing[index] for index in trial)
        assert (trial.hidden - trial.before, trial.after - trial.hidden) == (2, 2)
    assert trials([False, True, False], 1, 1, Sides(0, 2)) == []
    assert trials([False, True] * 2 + [False], 1, 1, Sides(0, 2)) == [Trial(0, 2, 4)]
    assert trials([False, False, False, True, False], 1, 1, Sides(2, 4)) == [Trial(0, 1, 2)]


def test_a_gap_is_never_blended_across_a_cut() -> None:
    first, second = (drifting(10)[0] / 4 for _ in range(2))
    clip = (255 * torch.cat([first, second + 0.7]).clamp(0, 1)).to(torch.uint8)
    restored = framepred.restore(clip, missing=[9, 10], method="motion").frames
    torch.testing.assert_close(restored[9], clip[8])
    torch.testing.assert_close(restored[10], clip[11])


class Perfect(Restorer):
    """Knows the true clip."""

    def __init__(self, truth: Clip) -> None:
        super().__init__()
        self.truth = truth

    def fill(self, clip: Clip, missing: Missing) -> Future:
        return self.truth[:, missing]


def test_a_network_is_chosen_for_small_gray_frames_where_it_rebuilds_observed_frames_better() -> None:
    clip, missing = torch.rand(1, 9, 1, 16, 16), mask(9, 4, 5)
    assert torch.equal(AutoRestorer(MotionRestorer(), lambda: Perfect(clip)).eval().restore(clip, missing), clip)
    worse = AutoRestorer(MotionRestorer(), lambda: Perfect(1 - clip)).eval().restore(clip, missing)
    torch.testing.assert_close(worse, MotionRestorer().eval().restore(clip, missing))


@pytest.mark.parametrize(
    ("missing", "hidden"),
    [
        ("....xx.......", "........xx..."),  # in the middle of the longest run
        ("...x.....x...", "......x......"),
        ("......xxx", "...xxx..."),  # next to a gap at the end
        ("....xxx", "..xx..."),  # half of the frames stay
        ("xx......", "..xx...."),
        ("x.xxx..", "......."),  # two frames show nothing between them
        (".x.x.x.", "......."),
        (".......", "......."),
    ],
)
def test_frames_are_hidden_as_those_of_the_longest_gap_are_missing(missing: str, hidden: str) -> None:
    marks = [torch.tensor([letter == "x" for letter in text]) for text in (missing, hidden)]
    assert hideable(marks[0]).tolist() == marks[1].tolist()


def test_large_or_coloured_frames_never_load_the_network() -> None:
    def refuse() -> Restorer:
        raise AssertionError("The network is loaded.")

    for shape in [(1, 6, 3, 16, 16), (1, 6, 1, 24, 140)]:
        AutoRestorer(MotionRestorer(), refuse).eval().restore(torch.rand(shape), mask(6, 3))
