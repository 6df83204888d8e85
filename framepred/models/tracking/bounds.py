"""Where a layer lies in its frame: its centre of light, and how far its light extends."""

import torch
from jaxtyping import Float
from torch import Tensor

LIT_SHARE = 0.25
"""Share of a layer's brightest light from which a row or a column counts as lit."""

EMPTY_LIGHT = 1e-3
"""Light, in pixels of full brightness, that is added at the middle of the frame, where the centre of nothing lies."""

FAINTEST_PEAK = 0.2
"""Light below ``LIT_SHARE`` times this never counts as lit, so that an empty layer extends nowhere."""


@torch.no_grad()
def measure_bounds(light: Float[Tensor, "n k h w"], size: tuple[int, int]) -> Float[Tensor, "n k 2 4"]:
    """Distances of the light of each layer to the edges of the frame, along each axis (right, down), pixels.

    From the centre of light to the first and to the last edge, from the first lit column or row to the first edge, from
    the last one to the last edge. The centre is that of all light, without a threshold: what is centred by its light is
    centred by all of it.

    Args:
        light: of each layer, at least 0; what lies beyond ``size`` is padding.
        size: height and width of the frame.
    """
    height, width = size
    axes = [
        _along(light.sum(dim=-2), light.amax(dim=-2), width),
        _along(light.sum(dim=-1), light.amax(dim=-1), height),
    ]
    return torch.stack(axes, dim=2)


def _along(profile: Tensor, brightest: Tensor, side: int) -> Tensor:
    at = torch.arange(profile.shape[-1], device=profile.device, dtype=profile.dtype)
    centre = (profile @ (at + 0.5) + EMPTY_LIGHT * side / 2) / (profile.sum(dim=-1) + EMPTY_LIGHT)
    lit = brightest > LIT_SHARE * brightest.amax(dim=-1, keepdim=True).clamp(min=FAINTEST_PEAK)
    first, last = torch.where(lit, at, side).amin(dim=-1), torch.where(lit, at, -1).amax(dim=-1)
    return torch.stack([centre, side - centre, first, side - 1 - last], dim=-1)
