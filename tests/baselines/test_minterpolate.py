import pytest
import torch
from torch import Tensor

from framepred.baselines import LinearInterpolation, Minterpolate


def drifting(height: int, width: int, channels: int) -> Tensor:
    """A texture that drifts by four pixels per frame, ``(1, 7, c, h, w)``."""
    noise = torch.rand(1, channels, height, width + 28, generator=torch.Generator().manual_seed(0))
    picture = torch.nn.functional.avg_pool2d(noise, 9, stride=1, padding=4)
    return torch.stack([picture[..., 4 * time : 4 * time + width] for time in range(7)], dim=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_moves_is_rebuilt_better_than_without_motion(channels: int) -> None:
    clip, missing = drifting(64, 96, channels), torch.tensor([0, 0, 1, 1, 1, 0, 0], dtype=torch.bool)
    ours, linear = (
        (net.eval().restore(clip, missing) - clip)[:, missing, ..., 24:-24].square().mean()
        for net in (Minterpolate(), LinearInterpolation())
    )
    assert ours < linear / 2


@pytest.mark.parametrize("size", [(1, 1), (20, 24), (33, 31), (40, 80)])
def test_frames_smaller_than_the_filter_takes_keep_their_size(size: tuple[int, int]) -> None:
    still = torch.full((1, 5, 3, *size), 0.5)
    restored = Minterpolate().eval().restore(still, torch.tensor([False, False, True, False, True]))
    torch.testing.assert_close(restored, still, atol=2 / 255, rtol=0)
