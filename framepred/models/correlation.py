"""Local correlation of two frames: a matching score for each position and each displacement around it."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from framepred.clips import at_least_float32
from framepred.warping import Pictures, local_mean, window_mean

DETAIL = 9
"""Side of the high-pass window in pixels of the half resolution: its mean is subtracted before frames are compared."""

NOISE_ENERGY = 1e-2
"""Added to the energy of a window, so that flat windows score 0; the square of a contrast of 0.1."""

Frame = Float[Tensor, "b 1 h w"]
Correlation = Float[Tensor, "b r h_coarse w_coarse"]


@torch.no_grad()
def local_correlation(frame: Frame, before: Frame, reach: int, cell: int) -> Correlation:
    """Score how well the window around each position of ``frame`` matches ``before``, for each displacement.

    Both frames are taken at half resolution, minus their local mean. The score is their product, summed over a window
    of two positions, divided by the energy of ``frame`` there: 1 for an exact match. It has no gradient, so that a
    network is not rewarded for frames that are easy to match. Scores are float32 or float64.

    Args:
        frame: ``(b, 1, h, w)``, h and w multiples of ``cell``.
        before: the previous frame, same shape.
        reach: maximum displacement along an axis, in pixels of the half resolution.
        cell: pixels between neighbouring positions; a multiple of 2.

    Returns:
        ``(b, (2·reach + 1)², h/cell, w/cell)``.
    """
    frame, before = _detail(torch.stack([frame, before]))
    height, width = frame.shape[-2:]
    padded = functional.pad(before[:, 0], (reach, reach, reach, reach))
    shifted = padded.unfold(1, height, 1).unfold(2, width, 1)  # a view, (b, 2·reach + 1, 2·reach + 1, h/2, w/2)
    products = _contiguous_product(shifted, frame[:, :, None])
    return _pooled(products.reshape(products.shape[0], -1, height, width), cell // 2) / (
        _pooled(frame.square(), cell // 2) + NOISE_ENERGY
    )


@torch.no_grad()
def between_correlation(before: Frame, after: Frame, distances: tuple[int, int], reach: int, cell: int) -> Correlation:
    """Score how well the frames before and after a missing one agree at its position, for each constant velocity.

    Both frames are taken minus their local mean. The score of a velocity is the product of ``before``, moved forward,
    and ``after``, moved back, summed over a window of two positions, divided by their mean energy there. It has no
    gradient, as in :func:`local_correlation`.

    Args:
        before: ``(b, 1, h, w)``, h and w multiples of ``cell``.
        after: the frame after the missing one, same shape.
        distances: frames from ``before`` to the missing one, and from there to ``after``; at least 1 each.
        reach: maximum velocity along an axis, in pixels per frame.
        cell: pixels between neighbouring positions.

    Returns:
        ``(b, (2·reach + 1)², h/cell, w/cell)``, velocities row by row.
    """
    earlier, later = (at_least_float32(picture) - local_mean(picture, 2 * DETAIL - 1) for picture in (before, after))
    energy = _pooled((earlier.square() + later.square()) / 2, cell)
    shifted = [
        functional.unfold(picture, 2 * reach + 1, dilation=distance, padding=reach * distance)
        for picture, distance in zip((earlier, later), distances, strict=True)
    ]
    agreement = (shifted[0].flip(1) * shifted[1]).view(len(before), -1, *before.shape[-2:])
    return _pooled(agreement, cell) / (energy + NOISE_ENERGY)


def local_correlation_macs(reach: int, cell: int) -> int:
    """Multiply-accumulates of :func:`local_correlation` per position, without its matrix products."""
    return ((2 * reach + 1) ** 2 + 1) * (cell // 2) ** 2


def _contiguous_product(shifted: Tensor, frame: Tensor) -> Tensor:
    """Multiply into contiguous memory: otherwise the product has the view's strides, and pooling copies it."""
    if torch.compiler.is_compiling():  # exporters do not accept out=
        return shifted * frame
    return torch.mul(shifted, frame, out=frame.new_empty(shifted.shape))


def _pooled(scores: Pictures, cell: int) -> Float[Tensor, "*b c h_coarse w_coarse"]:
    """Mean over a window of two positions around each position; the outside counts as zeros."""
    return window_mean(scores, side=2 * cell, stride=cell, zero_padding=True)


def _detail(frames: Pictures) -> Float[Tensor, "*b c h_half w_half"]:
    """Halve the resolution and subtract the local mean."""
    half = window_mean(frames, side=2, stride=2, zero_padding=False)
    return half - local_mean(half, DETAIL)
