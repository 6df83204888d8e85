"""Digital straight lines: bounds of a constant velocity from positions in whole pixels."""

from functools import lru_cache
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
    build = _build_windows if torch.compiler.is_compiling() else _cached_windows
    windows = build(paths.shape[-1], paths.dtype, paths.device)
    unknown = (observed[..., None, :] & observed[..., :, None] & windows.forward).logical_not()
    change = paths[..., None, :] - paths[..., :, None]
    # Lower bounds and negated upper bounds are both maxima; masked maxima replace cummax, which ONNX does not have.
    bounds = ((torch.stack([change, -change]) - 1) / windows.gap).masked_fill(unknown, -FASTEST).clamp(min=-FASTEST)
    suffix = bounds.amax(dim=-1)[..., None, :].masked_fill(windows.before_suffix, -FASTEST).amax(dim=-1)
    prefix = bounds.amax(dim=-2)[..., None, :].masked_fill(windows.after_prefix, -FASTEST).amax(dim=-1)
    (suffix_low, suffix_high), (prefix_low, prefix_high) = suffix.unbind(), prefix.unbind()
    middle = (suffix_low - suffix_high) / 2
    # Extrapolate each position of a window to the last frame with the window's mean velocity bound.
    extrapolated = (paths - paths[..., -1:])[..., None, :] + middle[..., None] * windows.remaining
    outside = (observed[..., None, :] & windows.before_suffix.logical_not()).logical_not()
    last = torch.stack([extrapolated, -extrapolated - 1]).masked_fill(outside, -FARTHEST).amax(dim=-1)
    last_low, last_high = last.clamp(-FARTHEST, FARTHEST).unbind()
    return SpeedBounds(suffix_low, -suffix_high, prefix_low, -prefix_high, last_low, -last_high)


class _Windows(NamedTuple):
    """Constants of t positions, t × t or t − 1 windows × t."""

    gap: Tensor
    """Frames from the row's to the column's position; 1 where it is less."""
    forward: Tensor
    """True where the column's position is later than the row's."""
    before_suffix: Tensor
    """True for positions before the window from the row's position to the last one."""
    after_prefix: Tensor
    """True for positions after the window from the first position to the one after the row's."""
    remaining: Tensor
    """Frames from each position to the last one."""


def _build_windows(count: int, dtype: torch.dtype, device: torch.device) -> _Windows:
    time = torch.arange(count, device=device, dtype=dtype)
    gap = time - time[:, None]
    return _Windows(gap.clamp(min=1), gap > 0, gap[:-1] < 0, gap[1:] > 0, count - 1 - time)


@lru_cache(maxsize=8)
@torch.inference_mode(mode=False)  # a tensor created in inference mode cannot be used in training
def _cached_windows(count: int, dtype: torch.dtype, device: torch.device) -> _Windows:
    return _build_windows(count, dtype, device)


def steady_velocity(bounds: SpeedBounds) -> Float[Tensor, "*n"]:
    """Mean of the velocity bounds of the longest window that ends at the last position and fits a constant velocity."""
    steady = bounds.suffix_low < bounds.suffix_high
    longest = steady.shape[-1] - steady.sum(dim=-1, keepdim=True)
    longest = longest.clamp(max=steady.shape[-1] - 1)
    return ((bounds.suffix_low + bounds.suffix_high) / 2).gather(-1, longest)[..., 0]
