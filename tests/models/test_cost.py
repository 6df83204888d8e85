"""What a clip costs: operations that PyTorch does not count."""

import pytest
import torch

from framepred.baselines import LastFrame
from framepred.clips import Frame, RawFrame, State
from framepred.models import BidirectionalForecaster, ForecastRestorer
from framepred.models.correlation import local_correlation_macs
from framepred.models.cost import macs_per_clip, uncounted_macs
from framepred.models.pretrained import PretrainedForecaster
from framepred.restorer import MiddleGap
from small_networks import layered, tracking


class Counted(LastFrame):
    """Counts its steps, and says that each costs one operation."""

    steps = 0

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Count the step."""
        self.steps += 1
        return super().observe(frame, state)

    def feedback(self, frame: Frame, state: State) -> State:
        """Count the step; the base class would observe."""
        self.steps += 1
        return super().observe(frame, state)

    def uncounted_macs(self, context: int, horizon: int, size: tuple[int, int, int]) -> int:
        """The number of steps of a forecast."""
        return context + horizon - 1


@pytest.mark.parametrize("make", [layered, tracking])
def test_each_channel_of_a_gray_network_costs_a_clip(make: type[PretrainedForecaster]) -> None:
    net = make().eval()
    gray, colour = (macs_per_clip(net, 3, 2, (channels, 20, 16)) for channels in (1, 3))
    assert colour == 3 * gray
    one_clip = uncounted_macs(make(channels=3), 3, 2, (3, 20, 16))
    assert one_clip < 3 * uncounted_macs(net, 3, 2, (1, 20, 16))


def test_a_bidirectional_network_correlates_observed_frames_and_warps_for_missing_ones() -> None:
    net = BidirectionalForecaster(hidden_channels=8, mixing_channels=8, reach=2, layers=3)
    pixels, positions = 24 * 16, 3 * 2
    observed = 2 * local_correlation_macs(2, 8) * positions
    missing = (5**2 + 4 * 2 * 3 * (1 + 2)) * pixels
    for channels in (1, 3):
        found = uncounted_macs(MiddleGap(net), 5, 4, (channels, 20, 16))
        assert found == channels * (5 * observed + 4 * missing)


@pytest.mark.parametrize(("context", "horizon"), [(2, 1), (5, 3), (10, 4)])
def test_every_step_is_counted(context: int, horizon: int) -> None:
    clip = torch.rand(1, context, 1, 8, 8)
    alone, both = Counted().eval(), Counted().eval()
    alone(clip, horizon)
    assert uncounted_macs(alone, context, horizon, (1, 8, 8)) == alone.steps
    gap = MiddleGap(ForecastRestorer(both)).eval()
    gap(clip, horizon)
    assert uncounted_macs(gap, context, horizon, (1, 8, 8)) == both.steps
