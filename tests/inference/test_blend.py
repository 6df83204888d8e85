import pytest
import torch
from torch import Tensor

from framepred.baselines import Blank, LastFrame, OpticalFlow
from framepred.clips import Clip
from framepred.inference.blend import Blend, best_shares
from framepred.models import EncoderForecaster


@pytest.fixture
def clip() -> Clip:
    return torch.rand(2, 5, 3, 20, 24)


def test_one_member_with_the_whole_share_is_that_member(clip: Clip, small_net: EncoderForecaster) -> None:
    for number, member in enumerate((small_net.eval(), LastFrame(), OpticalFlow())):
        blend = Blend([small_net, LastFrame(), OpticalFlow()], torch.eye(3)[[number]]).eval()
        torch.testing.assert_close(blend(clip, 4), member(clip, 4))


def test_shares_change_with_the_lead_time_and_the_last_holds_on(clip: Clip) -> None:
    blend = Blend([LastFrame(), Blank()], torch.tensor([[1.0, 0.0], [0.25, 0.75]])).eval()
    means = blend(clip, 4).mean(dim=(0, 2, 3, 4)) / clip[:, -1].mean()
    torch.testing.assert_close(means, torch.tensor([1.0, 0.25, 0.25, 0.25]))


def test_a_state_forecasts_twice_alike_and_streaming_goes_on(clip: Clip, small_net: EncoderForecaster) -> None:
    blend = Blend([small_net, OpticalFlow()], torch.tensor([[0.5, 0.5]])).eval()
    state = None
    for frame in clip.unbind(dim=1):
        state = blend.observe(frame, state)
    assert state is not None
    first = blend.forecast(state, 3)
    torch.testing.assert_close(blend.forecast(state, 3), first)
    torch.testing.assert_close(blend(clip, 3), first)


def best(predictions: list[Tensor], target: Tensor) -> list[list[float]]:
    return best_shares(predictions, target).tolist()


def test_what_is_right_gets_the_whole_share(clip: Clip) -> None:
    target, wrong = clip, torch.rand_like(clip)
    assert best([wrong, target, wrong], target) == [[0, 1, 0]] * 5


def test_errors_that_cancel_share_alike_and_a_third_of_the_error_weighs_three_times(clip: Clip) -> None:
    error = torch.rand_like(clip)
    halves, quarters = (best([clip + error, clip - scale * error], clip) for scale in (1, 1 / 3))
    assert halves == [[0.5, 0.5]] * 5
    assert quarters == [[0.25, 0.75]] * 5


def test_a_still_clip_counts_like_one_that_moves() -> None:
    target = torch.zeros(2, 1, 1, 8, 8)
    noise = torch.randn(2, 2, 1, 1, 8, 8)
    scale = torch.tensor([0.1, 1.0])[:, None, None, None, None]
    still, moving = (torch.where(torch.arange(2)[:, None, None, None, None] == i, 0.1, 1.0) for i in (0, 1))
    good_on_still, good_on_moving = noise[0] * scale * still, noise[1] * scale * moving
    [[share, _]] = best([good_on_still, good_on_moving], target)
    assert 0.3 < share < 0.7
