"""Sharpening of predictions."""

import torch
from torch import Tensor
from torch.nn import functional

from framepred.inference.sharpening import MOST, SHARPNESS, gradient_energy, sharpen


def soft(frame: Tensor, share: float) -> Tensor:
    """A frame with a share of the mean of its 3 x 3 neighbours."""
    padded = functional.pad(frame, (1, 1, 1, 1), mode="replicate")
    return torch.lerp(frame, functional.avg_pool2d(padded, 3, 1), share)


def energies(frames: Tensor) -> list[float]:
    return [gradient_energy(frame.numpy()) for frame in frames]


def test_a_slightly_soft_clip_gets_the_energy_back() -> None:
    last = torch.rand(2, 3, 48, 64)
    wanted = [SHARPNESS * energy for energy in energies(last)]
    blurred = soft(last, 0.07)
    assert all(energy < aim for energy, aim in zip(energies(blurred), wanted, strict=True))
    found = energies(sharpen(blurred, last))
    assert all(abs(energy / aim - 1) < 0.002 for energy, aim in zip(found, wanted, strict=True))


def test_a_very_soft_clip_is_sharpened_by_the_most_and_no_more() -> None:
    last = torch.rand(1, 1, 48, 64)
    blurred = soft(last, 0.9) + 1.0  # so that everything moves
    added = (sharpen(blurred, last) - blurred)[..., 2:-2, 2:-2]
    fine = (blurred - soft(blurred, 1.0))[..., 2:-2, 2:-2]
    torch.testing.assert_close(added, MOST * fine, rtol=0, atol=1e-6)


def test_what_is_sharp_or_still_stays_exact() -> None:
    last = torch.rand(1, 3, 48, 64)
    assert torch.equal(sharpen(last, last), last)
    assert torch.equal(sharpen(last.flip(-1), last), last.flip(-1))
    half = torch.cat([last[..., :32], soft(last, 0.9)[..., 32:]], dim=-1)
    sharp = sharpen(half, last)
    assert torch.equal(sharp[..., :30], last[..., :30])
    assert not torch.equal(sharp[..., 32:], half[..., 32:])


def test_gray_pictures_without_detail_stay_as_they_are() -> None:
    flat, last = torch.full((1, 1, 8, 8), 0.5), torch.rand(1, 1, 8, 8)
    assert torch.equal(sharpen(flat, last), flat)
    assert sharpen(torch.rand(1, 1, 1, 1), torch.rand(1, 1, 1, 1)).shape == (1, 1, 1, 1)
