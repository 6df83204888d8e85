import pytest
import torch
from torch import Tensor

from framepred.baselines import Blank, LastFrame, OpticalFlow
from framepred.clips import Clip
from framepred.inference.blend import Blend, default_members
from framepred.inference.blend_weights import fit_blend
from framepred.inference.regions import REGIONS
from framepred.inference.stacking import ErrorProducts
from framepred.models import EncoderForecaster


@pytest.fixture
def clip() -> Clip:
    return torch.rand(2, 5, 3, 20, 24)


def test_one_member_with_the_whole_weight_is_that_member(clip: Clip, small_net: EncoderForecaster) -> None:
    members = [small_net.eval(), LastFrame(), OpticalFlow()]
    for number, member in enumerate(members):
        blend = Blend(members, torch.eye(3)[[number]]).eval()
        torch.testing.assert_close(blend(clip, 4), member(clip, 4))


def test_weights_change_with_the_lead_time_and_the_last_ones_hold_on(clip: Clip) -> None:
    blend = Blend([LastFrame(), Blank()], torch.tensor([[1.0, 0.0], [0.25, 0.75]])).eval()
    means = blend(clip, 4).mean(dim=(0, 2, 3, 4)) / clip[:, -1].mean()
    torch.testing.assert_close(means, torch.tensor([1.0, 0.25, 0.25, 0.25]))


def test_streaming_equals_batch(clip: Clip, small_net: EncoderForecaster) -> None:
    blend = Blend([small_net, OpticalFlow()], torch.tensor([[0.5, 0.5]])).eval()
    state = None
    for frame in clip.unbind(dim=1):
        state = blend.observe(frame, state)
    assert state is not None
    first = blend.forecast(state, 3)
    torch.testing.assert_close(blend.forecast(state, 3), first)
    torch.testing.assert_close(blend(clip, 3), first)


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_a_whole_clip_is_observed_as_frame_by_frame(small_net: EncoderForecaster, count: int) -> None:
    clip = torch.rand(2, count, 1, 20, 24)
    members = default_members(small_net)
    blend = Blend(members, torch.full((1, REGIONS, len(members)), 1 / len(members))).eval()
    state = None
    for frame in clip.unbind(dim=1):
        state = blend.observe(frame, state)
    assert state is not None
    torch.testing.assert_close(blend.observe_clip(clip), state)


def test_a_state_holds_what_is_documented(clip: Clip) -> None:
    blend = Blend([OpticalFlow(), LastFrame()], torch.tensor([[0.5, 0.5]])).eval()
    frame, lead, shares, sizes, *states = blend.observe(clip[:, 1], blend.observe(clip[:, 0]))
    torch.testing.assert_close(frame, clip[:, 1])
    torch.testing.assert_close(shares.sum(dim=1), torch.ones_like(shares[:, 0]))
    assert (lead.item(), sizes.tolist(), len(states)) == (0, [5, 1], 6)


def best(predictions: list[Tensor], truth: Tensor) -> Tensor:
    """The best weights for frames ``(k, c, h, w)`` that several forecasters predicted, ``(k, m)``."""
    products = ErrorProducts(len(truth), len(predictions))
    for lead, frame in enumerate(truth):
        products.add(lead, torch.stack([prediction[lead] for prediction in predictions]), frame)
    return products.best_weights()[:, 0]


def test_an_exact_member_gets_the_whole_weight() -> None:
    truth, wrong = torch.rand(5, 3, 8, 8), torch.rand(5, 3, 8, 8)
    torch.testing.assert_close(best([wrong, truth, wrong], truth), torch.tensor([[0.0, 1.0, 0.0]] * 5))


def test_errors_that_cancel_get_equal_weights_and_a_third_of_the_error_three_times_the_weight() -> None:
    truth, error = torch.rand(5, 3, 8, 8), torch.rand(5, 3, 8, 8)
    halves, quarters = (best([truth + error, truth - scale * error], truth) for scale in (1, 1 / 3))
    torch.testing.assert_close(halves, torch.tensor([[0.5, 0.5]] * 5), atol=0.01, rtol=0)
    torch.testing.assert_close(quarters, torch.tensor([[0.25, 0.75]] * 5), atol=0.01, rtol=0)


def test_among_equals_the_last_member_is_preferred() -> None:
    truth = torch.rand(3, 1, 8, 8)
    equal = best([truth + 0.1, truth + 0.1, truth + 0.1], truth)
    torch.testing.assert_close(equal, torch.tensor([[0.0, 0.0, 1.0]] * 3))


def test_weights_have_less_error_than_any_on_a_grid() -> None:
    truth, errors = torch.zeros(1, 1, 16, 16), torch.randn(3, 1, 16, 16) + 0.5 * torch.randn(1, 1, 16, 16)
    weights = best([error[None] for error in errors], truth)[0]
    steps = torch.arange(11) / 10
    grid = [(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1]
    least = min(float(sum(w * e for w, e in zip(each, errors, strict=True)).square().mean()) for each in grid)
    found = float(sum(w * e for w, e in zip(weights, errors, strict=True)).square().mean())
    assert float(weights.min()) >= 0
    assert found <= 1.01 * least


def test_a_member_that_predicts_nan_leaves_the_weight_to_the_preferred_one() -> None:
    truth = torch.rand(2, 1, 8, 8)
    assert best([truth * torch.nan, truth + 0.1, truth + 0.2], truth).tolist() == [[0, 0, 1]] * 2


def test_regions_get_weights_of_their_own() -> None:
    left = torch.zeros(2, 8, 8)
    left[0, :, :4] = left[1, :, 4:] = 1
    truth = torch.rand(1, 8, 8)
    predictions = torch.stack([truth + left[1], truth + left[0]])  # each is exact in one half
    products = ErrorProducts(1, 2, regions=2)
    products.add(0, predictions, truth, left)
    torch.testing.assert_close(products.best_weights()[0], torch.eye(2), atol=0.03, rtol=0)


def test_a_still_window_counts_like_one_that_moves() -> None:
    products = ErrorProducts(1, 2)
    for scale, better in ((0.01, 0), (1.0, 1)):
        noise = scale * torch.randn(2, 1, 16, 16)
        noise[better] *= 0.3
        products.add(0, noise, torch.zeros(1, 16, 16))
    weight = float(products.best_weights()[0, 0, 0])
    assert 0.3 < weight < 0.7


def drifting(count: int, channels: int = 1) -> Tensor:
    """A texture that drifts by a pixel per frame."""
    picture = torch.nn.functional.avg_pool2d(torch.rand(1, channels, 32, 40 + count), 5, stride=1, padding=2)[0]
    clip = torch.stack([picture[..., time : time + 40] for time in range(count)])
    return (255 * clip).to(torch.uint8)[None]


@torch.no_grad()
def test_what_served_best_in_the_past_gets_the_weight(small_net: EncoderForecaster) -> None:
    blend = fit_blend(default_members(small_net), drifting(30), context=4, horizon=4)
    clip, last = drifting(5), LastFrame()
    error, still = ((net(clip[:, :4], 1)[:, 0] - clip[:, 4] / 255).square().mean() for net in (blend, last))
    assert float(error) < 0.2 * float(still)
    assert blend.weights.shape[:2] == (4, REGIONS)
    torch.testing.assert_close(blend.weights.sum(dim=-1), torch.ones(4, REGIONS))


@pytest.mark.parametrize("count", [4, 9, 30])
def test_a_still_clip_is_predicted_exactly(small_net: EncoderForecaster, count: int) -> None:
    still = torch.randint(0, 256, (2, 1, 3, 20, 30), dtype=torch.uint8).expand(-1, count, -1, -1, -1)
    blend = fit_blend(default_members(small_net), still, context=10, horizon=10)
    torch.testing.assert_close(blend(still, 12), (still[:, :1] / 255).expand(-1, 12, -1, -1, -1), rtol=0, atol=0)


def test_too_short_a_past_gets_weights_of_films_in_general(small_net: EncoderForecaster) -> None:
    blend = fit_blend(default_members(small_net), drifting(2), context=10, horizon=10)
    assert blend.weights.shape[1:] == (REGIONS, len(blend.members))
    torch.testing.assert_close(blend.weights.sum(dim=-1), torch.ones(blend.weights.shape[:2]))
    other = fit_blend([small_net, LastFrame()], drifting(2), context=10, horizon=10)
    torch.testing.assert_close(other.weights, torch.full((1, 1, 2), 0.5))


def halves(count: int) -> Tensor:
    """A texture of which the left half stands still and the right half drifts by two pixels per frame."""
    texture = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 48, 64 + 2 * count), 5, stride=1, padding=2)[0]
    texture = (texture - texture.min()) / (texture.max() - texture.min())
    frames = [
        torch.cat([texture[..., :32], texture[..., 32 + 2 * time : 64 + 2 * time]], dim=-1) for time in range(count)
    ]
    return (255 * torch.stack(frames)).to(torch.uint8)[None]


@torch.no_grad()
def test_half_still_half_moving_is_predicted_better_than_by_any_member(small_net: EncoderForecaster) -> None:
    clip = halves(40)
    past, context, truth = clip[:, :35], clip[:, 30:35], clip[:, 35:] / 255
    members = default_members(small_net.eval())
    blend = fit_blend(members, past, context=5, horizon=5)
    error, *others = (float((net(context, 5) - truth).square().mean()) for net in (blend, *members))
    assert error < min(others)
    still = blend(context, 5)[..., :8]  # farther from what moves than the windows of flow and regions
    assert torch.equal(still, (context[:, -1:, ..., :8] / 255).expand_as(still))


def test_only_the_last_scene_counts(small_net: EncoderForecaster) -> None:
    still = torch.randint(0, 256, (1, 1, 1, 32, 40), dtype=torch.uint8).expand(-1, 20, -1, -1, -1)
    clip = torch.cat([drifting(20), still], dim=1)
    blend = fit_blend(default_members(small_net), clip, context=4, horizon=3)
    assert [type(member) for member in blend.members] == [LastFrame]
    mixed = fit_blend(default_members(small_net), clip[:, :30], context=4, horizon=3, cuts=False)
    assert [type(member) for member in mixed.members] != [LastFrame]


def test_several_clips_are_measured_together(small_net: EncoderForecaster) -> None:
    clips = torch.cat([drifting(20) for _ in range(6)])
    blend = fit_blend(default_members(small_net), clips, context=4, horizon=3)
    assert any(isinstance(member, OpticalFlow) for member in blend.members)
