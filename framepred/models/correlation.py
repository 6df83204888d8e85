"""Local correlation of two frames: how well each place matches the other frame at every displacement around it."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from framepred.warping import Pictures, local_mean, window_mean

DETAIL = 9
"""Side of the window, in pixels of the half resolution, whose mean is subtracted from a frame before it is compared."""

Frame = Float[Tensor, "b 1 h w"]
Correlation = Float[Tensor, "b r h_coarse w_coarse"]


@torch.no_grad()
def local_correlation(frame: Frame, before: Frame, reach: int, cell: int) -> Correlation:
    """How well each cell's neighbourhood in ``frame`` matches ``before`` at each displacement around it.

    Both are taken at half resolution, less their local mean. The score of a displacement is the product of the
    two over a window of two cells, over the energy of ``frame`` there: 1 for the same picture moved by it. No
    gradient passes: a network learns from what is measured, not to draw what measures well.

    Args:
        frame: ``(b, 1, h, w)``, h and w multiples of ``cell``.
        before: the frame before, of the same shape.
        reach: farthest displacement along an axis, in pixels of the half resolution.
        cell: pixels between the places that are compared; a multiple of 2.

    Returns:
        ``(b, (2·reach + 1)², h/cell, w/cell)``.
    """
    frame, before = _detail(torch.stack([frame, before]))
    height, width = frame.shape[-2:]
    around = functional.pad(before[:, 0], (reach, reach, reach, reach))
    shifted = around.unfold(1, height, 1).unfold(2, width, 1)  # a view, (b, 2·reach + 1, 2·reach + 1, h/2, w/2)
    products = torch.mul(shifted, frame[:, :, None], out=frame.new_empty(shifted.shape))  # else in the view's strides
    return _pooled(products.flatten(1, 2), cell // 2) / (_pooled(frame.square(), cell // 2) + 1e-2)


@torch.no_grad()
def between_correlation(before: Frame, after: Frame, distances: tuple[int, int], reach: int, cell: int) -> Correlation:
    """How well the frames on both sides of a moment agree there, if everything moved at each steady velocity.

    Both are taken less their local mean. The score of a velocity is the product of ``before``, followed from where it
    was, and ``after``, followed back from where it came to, over a window of two cells, over the energy of the two
    there. No gradient passes, as in :func:`local_correlation`.

    Args:
        before: ``(b, 1, h, w)``, h and w multiples of ``cell``.
        after: the frame on the other side, of the same shape.
        distances: how many frames before and after the moment they lie, at least 1 each.
        reach: highest velocity along an axis, in pixels a frame.
        cell: pixels between the places that are compared.

    Returns:
        ``(b, (2·reach + 1)², h/cell, w/cell)``, velocities in the order of rows.
    """
    earlier, later = (picture - local_mean(picture, 2 * DETAIL - 1) for picture in (before, after))
    energy = _pooled((earlier.square() + later.square()) / 2, cell)
    shifted = [
        functional.unfold(picture, 2 * reach + 1, dilation=distance, padding=reach * distance)
        for picture, distance in zip((earlier, later), distances, strict=True)
    ]
    agreement = (shifted[0].flip(1) * shifted[1]).view(len(before), -1, *before.shape[-2:])
    return _pooled(agreement, cell) / (energy + 1e-2)


def local_correlation_macs(reach: int, cell: int) -> int:
    """Multiply-accumulates of :func:`local_correlation` for each cell that are no matrix products."""
    return ((2 * reach + 1) ** 2 + 1) * (cell // 2) ** 2


def _pooled(scores: Pictures, cell: int) -> Float[Tensor, "*b c h_coarse w_coarse"]:
    """The mean over a window of two cells around each cell; beyond the edge there are zeros."""
    return window_mean(scores, side=2 * cell, every=cell, beyond=True)


def _detail(frames: Pictures) -> Float[Tensor, "*b c h_half w_half"]:
    half = window_mean(frames, side=2, every=2, beyond=False)
    return half - local_mean(half, DETAIL)
