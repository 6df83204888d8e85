"""Digital straight lines: what whole-pixel positions say about a steady velocity."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

FASTEST = 16.0
"""Pixels a frame: velocities are bounded by this where positions do not bound them."""

FARTHEST = 4.0
"""Pixels: bounds of a position within its pixel are clamped to this where no steady motion fits."""


class SpeedBounds(NamedTuple):
    """Bounds of a steady velocity, pixels a frame, and of the last position; m = t − 1 windows of positions."""

    suffix_low: Float[Tensor, "*n m"]
    """Of the positions from i on, i from 0 to t − 2."""
    suffix_high: Float[Tensor, "*n m"]
    prefix_low: Float[Tensor, "*n m"]
    """Of the positions up to i, i from 1 to t − 1."""
    prefix_high: Float[Tensor, "*n m"]
    last_low: Float[Tensor, "*n m"]
    """Pixels: of the last position less its pixel, if the middle velocity of the suffix is right."""
    last_high: Float[Tensor, "*n m"]


def speed_bounds(paths: Float[Tensor, "*n t"], observed: Bool[Tensor, "*n t"]) -> SpeedBounds:
    """Bounds of the velocity of a point that moves steadily and is seen in the pixel that holds it.

    If it is in pixel p_i at time i and in p_j at time j, its velocity lies between (p_j − p_i − 1) / (j − i) and
    (p_j − p_i + 1) / (j − i). A window of positions bounds it by its tightest pair. A lower bound above the upper one
    says that the motion within the window was not steady. Such positions form a digital straight line (O'Rourke 1981,
    "An on-line algorithm for fitting straight lines between data ranges").

    Args:
        paths: whole pixels at successive frames.
        observed: which of them are known.
    """
    count = paths.shape[-1]
    time = torch.arange(count, device=paths.device, dtype=paths.dtype)
    gap = time - time[:, None]  # (t, t), j - i
    known = observed[..., None, :] & observed[..., :, None] & (gap > 0)
    change = paths[..., None, :] - paths[..., :, None]
    gap = gap.clamp(min=1)
    low = torch.where(known, (change - 1) / gap, -FASTEST).clamp(min=-FASTEST)
    high = torch.where(known, (change + 1) / gap, FASTEST).clamp(max=FASTEST)
    suffix_low = low.amax(dim=-1).flip(-1).cummax(dim=-1).values.flip(-1)[..., :-1]
    suffix_high = high.amin(dim=-1).flip(-1).cummin(dim=-1).values.flip(-1)[..., :-1]
    prefix_low = low.amax(dim=-2).cummax(dim=-1).values[..., 1:]
    prefix_high = high.amin(dim=-2).cummin(dim=-1).values[..., 1:]
    middle = (suffix_low + suffix_high) / 2
    # Each position of a window, brought to the last frame by the window's middle velocity.
    brought = (paths - paths[..., -1:])[..., None, :] + middle[..., None] * (count - 1 - time)
    inside = observed[..., None, :] & (time >= time[:-1, None])
    last_low = torch.where(inside, brought, -FARTHEST).amax(dim=-1).clamp(-FARTHEST, FARTHEST)
    last_high = torch.where(inside, brought + 1, FARTHEST).amin(dim=-1).clamp(-FARTHEST, FARTHEST)
    return SpeedBounds(suffix_low, suffix_high, prefix_low, prefix_high, last_low, last_high)


def steady_velocity(bounds: SpeedBounds) -> Float[Tensor, "*n"]:
    """The middle velocity of the longest window up to the last position over which the motion was steady."""
    straight = bounds.suffix_low < bounds.suffix_high
    longest = straight.shape[-1] - straight.sum(dim=-1, keepdim=True)
    longest = longest.clamp(max=straight.shape[-1] - 1)
    return ((bounds.suffix_low + bounds.suffix_high) / 2).gather(-1, longest)[..., 0]
