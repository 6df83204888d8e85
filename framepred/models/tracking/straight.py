"""Digital straight lines: bounds of a constant velocity from positions in whole pixels."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

FASTEST = 16.0
"""Bound of the velocity where positions give none, pixels per frame."""

FARTHEST = 4.0
"""Limit of the bounds of the last position, pixels; reached only if no constant velocity fits."""


class SpeedBounds(NamedTuple):
    """Bounds of a constant velocity, pixels per frame, and of the last position, for m = t − 1 windows."""

    suffix_low: Float[Tensor, "*n m"]
    """Lower velocity bound of the window of positions i to t − 1, for i from 0 to t − 2."""
    suffix_high: Float[Tensor, "*n m"]
    prefix_low: Float[Tensor, "*n m"]
    """Lower velocity bound of the window of positions 0 to i, for i from 1 to t − 1."""
    prefix_high: Float[Tensor, "*n m"]
    last_low: Float[Tensor, "*n m"]
    """Lower bound of the subpixel part of the last position, pixels, at the mean of the suffix velocity bounds."""
    last_high: Float[Tensor, "*n m"]


def speed_bounds(paths: Float[Tensor, "*n t"], observed: Bool[Tensor, "*n t"]) -> SpeedBounds:
    """Bounds of the velocity of a point at constant velocity whose position is known in whole pixels.

    If the point is in pixel p_i at time i and in p_j at time j, its velocity is between (p_j − p_i − 1) / (j − i) and
    (p_j − p_i + 1) / (j − i). The bounds of a window are the tightest over its pairs. If the lower bound exceeds the
    upper bound, the velocity was not constant in the window. Positions at constant velocity form a digital straight
    line (O'Rourke 1981, "An on-line algorithm for fitting straight lines between data ranges").

    Args:
        paths: positions in successive frames, whole pixels.
        observed: True for known positions.
    """
    count = paths.shape[-1]
    time = torch.arange(count, device=paths.device, dtype=paths.dtype)
    gap = time - time[:, None]  # (t, t), j - i
    known = observed[..., None, :] & observed[..., :, None] & (gap > 0)
    change = paths[..., None, :] - paths[..., :, None]
    gap = gap.clamp(min=1)
    low = torch.where(known, (change - 1) / gap, -FASTEST).clamp(min=-FASTEST)
    high = torch.where(known, (change + 1) / gap, FASTEST).clamp(max=FASTEST)
    later, earlier = time >= time[:-1, None], time <= time[1:, None]
    # A masked maximum replaces cummax, which ONNX does not have.
    suffix_low = torch.where(later, low.amax(dim=-1)[..., None, :], -FASTEST).amax(dim=-1)
    suffix_high = torch.where(later, high.amin(dim=-1)[..., None, :], FASTEST).amin(dim=-1)
    prefix_low = torch.where(earlier, low.amax(dim=-2)[..., None, :], -FASTEST).amax(dim=-1)
    prefix_high = torch.where(earlier, high.amin(dim=-2)[..., None, :], FASTEST).amin(dim=-1)
    middle = (suffix_low + suffix_high) / 2
    # Extrapolate each position of a window to the last frame with the window's mean velocity bound.
    extrapolated = (paths - paths[..., -1:])[..., None, :] + middle[..., None] * (count - 1 - time)
    inside = observed[..., None, :] & later
    last_low = torch.where(inside, extrapolated, -FARTHEST).amax(dim=-1).clamp(-FARTHEST, FARTHEST)
    last_high = torch.where(inside, extrapolated + 1, FARTHEST).amin(dim=-1).clamp(-FARTHEST, FARTHEST)
    return SpeedBounds(suffix_low, suffix_high, prefix_low, prefix_high, last_low, last_high)


def steady_velocity(bounds: SpeedBounds) -> Float[Tensor, "*n"]:
    """Mean of the velocity bounds of the longest window that ends at the last position and fits a constant velocity."""
    steady = bounds.suffix_low < bounds.suffix_high
    longest = steady.shape[-1] - steady.sum(dim=-1, keepdim=True)
    longest = longest.clamp(max=steady.shape[-1] - 1)
    return ((bounds.suffix_low + bounds.suffix_high) / 2).gather(-1, longest)[..., 0]
