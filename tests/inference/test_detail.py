"""Predictions at full size from small ones."""

import torch
from torch import Tensor

from framepred.baselines import LastFrame, OpticalFlow
from framepred.inference.blend import Blend, default_members, fit_blend
from framepred.inference.detail import at_full_size, move_sharply
from framepred.models import EncoderForecaster
from framepred.warping import warp


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
    assert sharp > 0.6 * truth


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


def test_streaming_equals_batch() -> None:
    clip = torch.rand(1, 4, 3, 40, 48)
    net = at_full_size(Blend([OpticalFlow(), LastFrame()], torch.tensor([[0.5, 0.5]])), 24).eval()
    state = None
    for frame in clip.unbind(dim=1):
        state = net.observe(frame, state)
    assert state is not None
    torch.testing.assert_close(net.forecast(state, 3), net(clip, 3))
