import pytest
import torch
from torch import Tensor
from torch.nn import functional

from framepred.baselines import LastFrame, OpticalFlow


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


def test_clips_of_a_batch_move_on_their_own() -> None:
    clips = torch.cat([panning(2, 0, 3), panning(0, -2, 3)])
    together = OpticalFlow().eval()(clips, 3)
    apart = torch.cat([OpticalFlow().eval()(clip[None], 3) for clip in clips])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-6)
