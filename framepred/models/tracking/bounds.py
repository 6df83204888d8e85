"""Measure the position and extent of a layer in its frame: brightness centroid and lit rows and columns."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

LIT_SHARE = 0.25
"""A row or column is lit if its maximum exceeds this share of the layer's maximum."""

EMPTY_LIGHT = 1e-3
"""Brightness added at the middle of the frame, in fully bright pixels; an empty layer has its centroid there."""

FAINTEST_PEAK = 0.2
"""Lower bound of the layer maximum in the definition of lit, so that an empty layer has no lit row or column."""


@torch.no_grad()
def measure_bounds(light: Float[Tensor, "n k h w"], size: tuple[int, int]) -> Float[Tensor, "n k 2 4"]:
    """Distances of each layer to the frame edges along each axis (right, down), in pixels.

    The four distances are: from the centroid to the left or top edge, from the centroid to the right or bottom edge,
    from the first lit column or row to the left or top edge, and from the last one to the right or bottom edge. The
    centroid is the mean position of all pixels weighted by brightness, without a threshold.

    Args:
        light: brightness of each layer, at least 0; pixels outside ``size`` are padding.
        size: height and width of the frame.
    """
    height, width = size
    longest = max(light.shape[-2:])
    sums = _profiles(light.sum(dim=-2), light.sum(dim=-1), longest)
    peaks = _profiles(light.amax(dim=-2), light.amax(dim=-1), longest)
    sides = torch.cat([light.new_full((1,), width), light.new_full((1,), height)])  # without a copy to a GPU
    at = torch.arange(longest, device=light.device, dtype=light.dtype)
    centre = (sums @ (at + 0.5) + EMPTY_LIGHT * sides / 2) / (sums.sum(dim=-1) + EMPTY_LIGHT)
    lit = peaks > LIT_SHARE * peaks.amax(dim=-1, keepdim=True).clamp(min=FAINTEST_PEAK)
    first, last = torch.where(lit, at, sides[:, None]).amin(dim=-1), torch.where(lit, at, -1).amax(dim=-1)
    return torch.stack([centre, sides - centre, first, sides - 1 - last], dim=-1)


def _profiles(columns: Tensor, rows: Tensor, length: int) -> Float[Tensor, "n k 2 side"]:
    """Stack the profiles along both axes; the shorter one is filled with zeros."""
    if columns.shape[-1] != rows.shape[-1]:
        columns, rows = (functional.pad(part, (0, length - part.shape[-1])) for part in (columns, rows))
    return torch.stack([columns, rows], dim=2)
