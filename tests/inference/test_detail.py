"""Predictions at full size from small ones."""

import pytest
import torch
from torch import Tensor

from framepred.baselines import Blank, LastFrame, OpticalFlow
from framepred.clips import Frame, State
from framepred.errors import ClipError
from framepred.inference.blend import Blend, default_members, evenly
from framepred.inference.blend_weights import fit_blend
from framepred.inference.detail import DetailForecaster, at_full_size, move_sharply
from framepred.inference.frame_prediction import BlendedPrediction, predict_frames
from framepred.inference.regions import REGIONS
from framepred.inference.scaling import shrink
from framepred.models import EncoderForecaster
from framepred.warping import warp


class White(Blank):
    """Predicts white frames."""

    def next_frame(self, state: State) -> Frame:
        return torch.ones_like(state[0])


def texture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width)


def test_a_still_clip_of_720p_equals_its_last_frame(small_net: EncoderForecaster) -> None:
    still = (255 * texture(720, 1280)).to(torch.uint8)[:, None].expand(-1, 6, -1, -1, -1)
    small = torch.nn.functional.interpolate(still[0].float(), (72, 128), mode="area")[None] / 255
    blend = fit_blend(default_members(small_net), small, context=3, horizon=2)
    future = at_full_size(blend, 128).eval()(still[:, :2], 2)
    assert torch.equal(future, (still[:, :2] / 255))


def test_what_moves_keeps_its_texture() -> None:
    """A shift by whole pixels: scaling down and up alone would lose the texture."""
    picture = texture(96, 220)
    picture = torch.nn.functional.avg_pool2d(picture, 3, stride=1, padding=1)
    clip = torch.stack([picture[..., 4 * time : 160 + 4 * time] for time in range(6)], dim=1)
    blend = Blend([OpticalFlow(), LastFrame()], torch.tensor([[1.0, 0.0]])).eval()
    inside = (..., slice(16, 80), slice(16, 128))
    future, truth = at_full_size(blend, 80).eval()(clip[:, :4], 2)[inside], clip[:, 4:][inside]
    blurred = torch.nn.functional.avg_pool2d(truth[0], 2).repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
    assert float((future - truth).square().mean()) < float((blurred - truth[0]).square().mean())


def test_a_shift_by_half_a_pixel_keeps_the_gradients_better_than_bilinear_sampling() -> None:
    picture = torch.nn.functional.avg_pool2d(texture(64, 64), 3, stride=1, padding=1)
    half = torch.full((1, 2, 64, 64), 0.5)
    sharp, bilinear, truth = (
        float(frame[..., 4:-4, 4:-4].diff(dim=-1).square().mean())
        for frame in (move_sharply(picture, half), warp(picture, half), picture)
    )
    assert bilinear < 0.85 * sharp
    assert sharp > 0.55 * truth  # half a pixel blurs most


def test_what_has_no_displacement_stays_exact() -> None:
    picture, displacement = texture(20, 30), torch.zeros(1, 2, 20, 30)
    displacement[..., 15:] = 1.0
    moved = move_sharply(picture, displacement)
    assert torch.equal(moved[..., :15], picture[..., :15])
    torch.testing.assert_close(moved[..., :-1, 15:-2], picture[..., 1:, 16:-1])


def test_small_frames_get_the_prediction_of_the_blend() -> None:
    clip = torch.rand(1, 4, 3, 20, 24)
    blend = Blend([OpticalFlow(), LastFrame()], torch.tensor([[0.5, 0.5]])).eval()
    assert torch.equal(at_full_size(blend, 24).eval()(clip, 3), blend(clip, 3))


def test_what_is_coarse_is_the_mean_of_the_members() -> None:
    """Half the weight is for what moves, half for what stays: the small picture of the prediction is their mean."""
    picture = torch.nn.functional.avg_pool2d(texture(96, 230), 15, stride=1, padding=7)
    clip = torch.stack([picture[..., 4 * time : 160 + 4 * time] for time in range(5)], dim=1)
    blend = Blend([OpticalFlow(), LastFrame()], torch.tensor([[0.5, 0.5]])).eval()
    future = at_full_size(blend, 80).eval()(clip[:, :4], 1)[:, 0]
    predicted, moved, last = (shrink(frame, 80)[..., 8:40, 8:60] for frame in (future, clip[:, 4], clip[:, 3]))
    assert float((predicted - (moved + last) / 2).square().mean()) < 0.15 * float((predicted - moved).square().mean())


def test_a_prediction_in_gray_changes_all_channels_alike() -> None:
    clip = torch.rand(1, 1, 3, 1, 1).expand(-1, 3, -1, 40, 48)
    blend = Blend([White(), LastFrame()], torch.tensor([[0.25, 0.75]])).eval()
    change = at_full_size(blend, 24).eval()(clip, 1)[:, 0] - clip[:, -1]
    torch.testing.assert_close(change, (0.25 * (1 - clip[:, -1].mean(dim=1, keepdim=True))).expand_as(change))


def test_flows_are_those_of_large_frames() -> None:
    """Where a member that moves the last frame has all the weight, the result is the frame moved in full size."""
    picture = torch.nn.functional.avg_pool2d(texture(96, 220), 3, stride=1, padding=1)
    clip = torch.stack([picture[..., 3 * time : 160 + 3 * time] for time in range(3)], dim=1)
    still, flow = (
        at_full_size(Blend([OpticalFlow(), LastFrame()], torch.tensor([weights])).eval(), 80).eval()(clip[:, :2], 1)
        for weights in ([0.0, 1.0], [1.0, 0.0])
    )
    assert torch.equal(still[:, 0], clip[:, 1])
    error = (flow[:, 0] - clip[:, 2])[..., 16:80, 16:128].square().mean()
    assert float(error) < 0.001 * float((still[:, 0] - clip[:, 2])[..., 16:80, 16:128].square().mean())


def test_the_network_corrects_what_is_moved_by_its_weight() -> None:
    clip = torch.full((1, 3, 3, 40, 48), 0.5)
    blend = Blend([White(), OpticalFlow(), LastFrame()], torch.tensor([[0.25, 0.25, 0.5]])).eval()
    future = at_full_size(blend, 24).eval()(clip, 2)
    torch.testing.assert_close(future, torch.full_like(future, 0.625))


def test_streaming_equals_batch() -> None:
    clip = torch.rand(1, 4, 3, 40, 48)
    net = at_full_size(Blend([OpticalFlow(), LastFrame()], torch.tensor([[0.5, 0.5]])), 24).eval()
    state = None
    for frame in clip.unbind(dim=1):
        state = net.observe(frame, state)
    assert state is not None
    torch.testing.assert_close(net.forecast(state, 3), net(clip, 3))


@pytest.mark.parametrize("count", [1, 2, 6])
def test_a_whole_clip_is_observed_as_frame_by_frame(small_net: EncoderForecaster, count: int) -> None:
    clip = (255 * torch.rand(1, count, 3, 40, 48)).to(torch.uint8)
    net = DetailForecaster(evenly(default_members(small_net)), 24).eval()
    state = None
    for frame in clip.unbind(dim=1):
        state = net.observe(frame, state)
    assert state is not None
    torch.testing.assert_close(net.observe_clip(clip), state)


@torch.inference_mode()
@pytest.mark.parametrize("horizon", [1, 13])
def test_frames_are_the_same_while_weights_are_being_measured(small_net: EncoderForecaster, horizon: int) -> None:
    clip = (255 * torch.rand(2, 5, 3, 40, 48)).to(torch.uint8)
    members = default_members(small_net.eval())
    weights = torch.rand(3, REGIONS, len(members)).softmax(dim=-1)
    with BlendedPrediction(members, lambda: weights, 24) as blended:
        found = torch.stack(list(blended.frames(clip, horizon)))
    alone = torch.stack(list(predict_frames(at_full_size(Blend(members, weights), 24), clip, horizon)))
    assert found.shape == (horizon, 2, 3, 40, 48)
    torch.testing.assert_close(found.int(), alone.int(), rtol=0, atol=1)


@pytest.mark.parametrize("blended", [False, True])
def test_who_takes_the_frames_keeps_gradients_and_the_network_its_mode(
    small_net: EncoderForecaster, blended: bool
) -> None:
    clip, members = torch.rand(1, 4, 1, 24, 32), default_members(small_net)
    weights = torch.full((1, REGIONS, len(members)), 1 / len(members))
    small_net.train(not blended)  # the members of a blend are in eval mode
    with BlendedPrediction(members, lambda: weights, 24) as prediction:
        frames = prediction.frames(clip, 12) if blended else predict_frames(small_net, clip, 12)
        for frame in frames:
            assert not torch.is_inference_mode_enabled()
            assert torch.is_grad_enabled()
            assert not frame.requires_grad
            assert small_net.training is not blended


def test_an_error_while_weights_are_measured_is_raised(small_net: EncoderForecaster) -> None:
    def fail() -> Tensor:
        raise ClipError("no weights")

    clip, threads = torch.zeros(1, 3, 1, 8, 8), torch.get_num_threads()
    with pytest.raises(ClipError, match="no weights"), BlendedPrediction([small_net, LastFrame()], fail, 24) as blended:
        list(blended.frames(clip, 2))
    assert torch.get_num_threads() == threads
