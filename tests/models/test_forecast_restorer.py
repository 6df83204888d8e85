"""Gaps that are forecast from both sides."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from framepred.baselines import LastFrame, LinearInterpolation
from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.data import MovingMNIST
from framepred.forecaster import Forecaster
from framepred.models import ForecastRestorer, load, load_restorer
from framepred.models.forecast_restorer import LEAST_ERROR


class Trend(Forecaster):
    """Continues the change between the last two frames."""

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """The frame and the one before."""
        return (frame, frame if state is None else state[0])

    def next_frame(self, state: State) -> Frame:
        """One change further."""
        return 2 * state[0] - state[1]


def clip_of(levels: Sequence[float]) -> Tensor:
    return torch.tensor(levels).view(1, -1, 1, 1, 1).expand(1, -1, 1, 8, 8).clone()


def marks(text: str) -> Tensor:
    return torch.tensor([letter == "x" for letter in text])


def levels_of(clip: Tensor) -> list[float]:
    return clip[0, :, 0, 0, 0].tolist()


def test_a_steady_change_is_restored_exactly_in_every_gap() -> None:
    clip = clip_of([0.02 * time for time in range(20)])
    missing = marks("xx...xxx...x...xx..x")
    hidden = torch.where(missing.view(1, -1, 1, 1, 1), 0.9, clip)
    torch.testing.assert_close(ForecastRestorer(Trend()).eval().restore(hidden, missing), clip)


def test_the_side_that_is_right_beyond_the_gap_counts() -> None:
    """Before the gap nothing changes; in it, and after it, the level rises: only the forecast from behind is right."""
    clip = clip_of([0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    missing = marks(".....xx...")
    restored = levels_of(ForecastRestorer(Trend()).eval().restore(clip, missing))
    # beyond the gap: forward .1 for .4 and .5; backward .1 and .0 for .1 and .1
    errors = {"forward": (0.3**2 + 0.4**2) / 2, "backward": 0.1**2 / 2}
    ratio = (errors["backward"] + LEAST_ERROR) / (errors["forward"] + LEAST_ERROR)
    for index, (near, far) in {5: (1, 2), 6: (2, 1)}.items():
        odds = ratio**2 * far / near
        assert restored[index] == pytest.approx((odds * 0.1 + [0.2, 0.3][index - 5]) / (1 + odds), abs=1e-5)
        assert abs(restored[index] - levels_of(clip)[index]) < 0.01


def test_clips_of_a_batch_have_weights_of_their_own() -> None:
    first, second = clip_of([0.1] * 5 + [0.2, 0.3, 0.4, 0.5]), clip_of([0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])
    missing, net = marks("....x...."), ForecastRestorer(Trend()).eval()
    together = net.restore(torch.cat([first, second]), missing)
    assert torch.equal(together, torch.cat([net.restore(first, missing), net.restore(second, missing)]))


def test_a_gap_at_an_end_is_forecast_from_one_side() -> None:
    clip = clip_of([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    net = ForecastRestorer(Trend()).eval()
    assert levels_of(net.restore(clip, marks("xx....")))[:2] == pytest.approx([0.1, 0.2], abs=1e-6)
    assert levels_of(net.restore(clip, marks("....xx")))[4:] == pytest.approx([0.5, 0.6], abs=1e-6)


def test_missing_frames_are_not_looked_at() -> None:
    clip, missing = torch.rand(1, 9, 1, 16, 16), marks("..xx..x..")
    net = ForecastRestorer(LastFrame()).eval()
    other = torch.where(missing.view(1, -1, 1, 1, 1), 1 - clip, clip)
    assert torch.equal(net.restore(clip, missing), net.restore(other, missing))


def test_weights_that_forecast_restore() -> None:
    net = load_restorer("moving-mnist")
    assert isinstance(net, ForecastRestorer)
    assert type(net.net) is type(load("moving-mnist"))
    assert net.channels == 1


def test_digits_are_restored_much_better_than_by_interpolation() -> None:
    clips = to_unit(MovingMNIST("val", clips=2, length=16, digits="mnist-5k").render(range(2)))
    missing = marks("......xxx.......")
    linear, both_sides = (
        (net.eval().restore(clips, missing) - clips).square().mean().item()
        for net in (LinearInterpolation(), load_restorer("moving-mnist"))
    )
    assert both_sides < 0.2 * linear
