"""Regions of a frame by how it moves: what stands still, what moves steadily, and what moves otherwise."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from framepred.clips import Frame
from framepred.media.pictures import shrunk_size
from framepred.warping import local_mean

SIDE = 176
"""Longer side, in pixels, at which regions are found: they are smooth, so more would cost time and add nothing."""

WINDOW = 9
"""Side, in pixels, of the window in which changes are averaged: a few pixels alone are mostly noise."""

SMOOTHING = 7
"""Side, in pixels, of the window that makes the borders between regions smooth."""

STILL = 1 / 255
"""Root mean square change from one frame to the next below which a pixel stands still: one level."""

FAST = 5 / 255
"""Root mean square change above which a pixel changes much."""

STEADY, ERRATIC = 0.6, 0.9
"""Share of the change that moving the previous frame leaves: below the first, motion is steady; above the second, it
does not explain the change."""

REGIONS = 7
"""Still, and two amounts of change times three degrees of steadiness."""

Shares = Float[Tensor, "b q _h _w"]


def find_regions(frame: Frame, previous: Frame, moved: Frame) -> Shares:
    """Share of each pixel of a frame in each of ``REGIONS`` regions, ``(b, q, h, w)``, adding up to 1.

    Args:
        frame: the frame ``(b, c, h, w)``; it is scaled down to ``SIDE``.
        previous: the frame before it.
        moved: the previous frame moved along the motion that was known then.
    """
    frame, previous, moved = (
        shrink_by_area(picture.mean(dim=1, keepdim=True), SIDE) for picture in (frame, previous, moved)
    )
    change, left = (_local_size(frame - other) for other in (previous, moved))
    unsteadiness = left / change.clamp(min=STILL / 2)
    degree = (unsteadiness > STEADY).long() + (unsteadiness > ERRATIC)
    number = torch.where(change > STILL, 1 + 3 * (change > FAST) + degree, 0)
    member = functional.one_hot(number, REGIONS).movedim(-1, 1).to(frame.dtype)
    return local_mean(member, SMOOTHING)


def spread(shares: Shares, size: tuple[int, int]) -> Float[Tensor, "b q h_full w_full"]:
    """Shares at another frame size; a share of exactly 0 stays so."""
    if tuple(shares.shape[-2:]) == size:
        return shares
    return functional.interpolate(shares, size, mode="bilinear")


def shrink_by_area(frame: Frame, max_side: int) -> Float[Tensor, "b c _h _w"]:
    """The frame with its longer side at most ``max_side`` pixels, averaged over areas."""
    height, width = frame.shape[-2:]
    size = shrunk_size(height, width, max_side)
    return frame if size == (height, width) else functional.interpolate(frame, size, mode="area")


def _local_size(difference: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b h w"]:
    """Root mean square over the window around each pixel."""
    return local_mean(difference[:, 0].square(), WINDOW).clamp(min=0).sqrt()
