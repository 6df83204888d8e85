import pytest
import torch
from torch import Tensor
from torch.nn import functional

from framepred.baselines import LastFrame, LinearInterpolation, MotionCompensated, OpticalFlow
from framepred.errors import ConfigError


def texture(channels: int = 1) -> Tensor:
    """A smooth random picture ``(1, c, 72, 96)``, larger than what the clips show of it."""
    coarse = torch.rand(1, channels, 9, 12, generator=torch.Generator().manual_seed(0))
    return functional.interpolate(coarse, size=(72, 96), mode="bicubic").clamp(0, 1)


def panning(x: int, y: int, frames: int, channels: int = 1) -> Tensor:
    """A view of 48×64 whose content moves by (x, y) pixels a frame: ``(1, t, c, 48, 64)``."""
    picture = texture(channels)
    views = [picture[..., 12 - t * y : 60 - t * y, 16 - t * x : 80 - t * x] for t in range(frames)]
    return torch.stack(views, dim=1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("x", "y"), [(2, 0), (-2, 1), (0, -2)])
def test_a_pan_goes_on(x: int, y: int, channels: int) -> None:
    clip = panning(x, y, 7, channels)
    context, future = clip[:, :2], clip[:, 2:]
    inner = (..., slice(12, -12), slice(12, -12))
    error = (OpticalFlow().eval()(context, 5) - future)[inner].abs().mean()
    assert error < (LastFrame().eval()(context, 5) - future)[inner].abs().mean() / 8


def test_a_far_future_is_as_sharp_as_a_near_one() -> None:
    """Sampled ten times, the fine texture would have lost most of its contrast."""
    noise = torch.rand(1, 1, 48, 80, generator=torch.Generator().manual_seed(0))
    fine = functional.avg_pool2d(noise, 3, stride=1)
    clip = torch.stack([fine[..., 3 - t : 67 - t] for t in range(3)], dim=1)
    future = OpticalFlow().eval()(clip, 10)[0, :, 0, 10:-10, 20:-10]
    assert future[-1].std() > 0.9 * future[0].std()


def test_what_stands_still_stays() -> None:
    clip = texture().expand(3, 1, 72, 96)[None]
    torch.testing.assert_close(OpticalFlow().eval()(clip, 4), clip[:, :1].expand(1, 4, 1, 72, 96), atol=1e-4, rtol=0)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("net", [OpticalFlow(), OpticalFlow(2, carried=True)], ids=["constant", "carried"])
def test_motion_in_half_precision_is_as_exact_far_to_the_right(net: OpticalFlow, half: torch.dtype) -> None:
    noise = torch.rand(1, 1, 48, 700, generator=torch.Generator().manual_seed(0))
    picture = functional.avg_pool2d(noise, 9, stride=1, padding=4)
    clip = torch.stack([picture[..., 20 - 3 * t : 660 - 3 * t] for t in range(6)], dim=1)
    context, future = clip[:, :3], clip[:, 3:]
    coarse = context.to(half)
    error, of_rounding, exact = (
        (guess.float() - future)[..., 40:-20].square().mean()
        for guess in (net.eval()(coarse, 3), future.to(half), net.eval()(coarse.float(), 3))
    )
    assert error < 1.1 * (exact + of_rounding)


def test_clips_of_a_batch_move_on_their_own() -> None:
    clips = torch.cat([panning(2, 0, 3), panning(0, -2, 3)])
    together = OpticalFlow().eval()(clips, 3)
    apart = torch.cat([OpticalFlow().eval()(clip[None], 3) for clip in clips])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("x", "y"), [(2, 0), (-2, 1)])
def test_a_gap_in_a_pan_is_filled_along_the_motion(x: int, y: int, channels: int) -> None:
    clip = panning(x, y, 5, channels)
    missing = torch.tensor([False, True, True, True, False])
    inner = (..., slice(12, -12), slice(12, -12))
    ours, linear = (
        (restorer.eval().restore(clip, missing) - clip)[inner].abs().mean()
        for restorer in (MotionCompensated(), LinearInterpolation())
    )
    assert ours < linear / 5


def test_the_blend_follows_the_time_between_both_frames() -> None:
    clip = texture()[None].repeat(1, 5, 1, 1, 1) * torch.tensor([0.8, 0, 0, 0, 1.0]).view(1, 5, 1, 1, 1)
    missing = torch.tensor([False, True, True, True, False])
    restored = MotionCompensated().eval().restore(clip, missing)
    brightness = restored[..., 12:-12, 12:-12].mean(dim=(0, 2, 3, 4)) / texture()[..., 12:-12, 12:-12].mean()
    torch.testing.assert_close(brightness, torch.linspace(0.8, 1.0, 5), rtol=0, atol=0.02)


def test_ends_of_a_clip_repeat_the_nearest_frame() -> None:
    clip = panning(2, 0, 4)
    restored = MotionCompensated().eval().restore(clip, torch.tensor([True, False, False, True]))
    assert torch.equal(restored[:, 0], clip[:, 1])
    assert torch.equal(restored[:, 3], clip[:, 2])


def test_a_longer_span_averages_uneven_motion() -> None:
    """Steps of 1, 3 and 1 pixels by turns: the last step alone predicts 3 pixels in three frames instead of 5."""
    picture = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 60, 120), 7, stride=1, padding=3)
    positions = [0, 1, 4, 5, 6, 9, 10]
    clip = torch.stack([picture[..., at : at + 80] for at in positions], dim=1)
    errors = [
        float((OpticalFlow(span).eval()(clip[:, :4], 3)[:, -1] - clip[:, 6])[..., 10:-16].square().mean())
        for span in (1, 3)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_a_span_of_no_frame_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 frame"):
        OpticalFlow(0)
