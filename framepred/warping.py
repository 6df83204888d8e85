"""Moving pictures by displacement fields, and measuring how they moved."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

DETAIL = 9
"""Side of the window, in pixels of the half resolution, whose mean is taken from a frame before it is compared."""

Picture = Float[Tensor, "b c h w"]
Pictures = Float[Tensor, "*b c h w"]
Displacement = Float[Tensor, "b 2 h w"]
CoarseDisplacement = Float[Tensor, "b 2 h_coarse w_coarse"]
Planes = Float[Tensor, "*b h w"]
Frame = Float[Tensor, "b 1 h w"]
Correlation = Float[Tensor, "b r h_coarse w_coarse"]


def warp(picture: Picture, displacement: Displacement) -> Picture:
    """Sample a picture at ``x + displacement(x)``, bilinearly; beyond the edge it goes on as its border.

    Args:
        picture: ``(b, c, h, w)``.
        displacement: ``(b, 2, h, w)``, along x (to the right) and y (down), in pixels of the picture.
    """
    height, width = picture.shape[-2:]
    x = torch.arange(width, device=picture.device, dtype=picture.dtype) + displacement[:, 0]
    y = torch.arange(height, device=picture.device, dtype=picture.dtype)[:, None] + displacement[:, 1]
    places = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return functional.grid_sample(picture, places, padding_mode="border", align_corners=False)


def shift(picture: Pictures, offset: Float[Tensor, "*b 2"]) -> Pictures:
    """Pictures moved as wholes, bilinearly; what comes in at an edge goes on as its border.

    Two products with banded matrices, as in :func:`local_mean`.

    Args:
        picture: ``(*b, c, h, w)``.
        offset: ``(*b, 2)``, to the right and down, in pixels.
    """
    height, width = picture.shape[-2:]
    if height == width:
        columns, rows = _moving(offset, width).unbind(dim=-3)
    else:
        columns, rows = _moving(offset[..., 0], width), _moving(offset[..., 1], height)
    return rows[..., None, :, :] @ picture @ columns[..., None, :, :].mT


def _moving(offset: Float[Tensor, "*b"], size: int) -> Float[Tensor, "*b size size"]:
    """The matrix that moves ``size`` values by the offset, linearly between two of them."""
    at = torch.arange(size, device=offset.device, dtype=offset.dtype)
    source = (at - offset[..., None]).clamp(0, size - 1)
    return (1 - (source[..., None] - at).abs()).relu()


def then(displacement: Displacement, earlier: Displacement, scale: int = 1) -> Displacement:
    """One displacement after another, so that a picture is sampled once for both (semi-Lagrangian).

    Warping by the result is warping by ``earlier``, then by ``displacement``.

    Args:
        displacement: the later one, ``(b, 2, h, w)``.
        earlier: the one before it, of the same shape.
        scale: pixels that one cell of both fields stands for, which is the unit of their values.
    """
    return displacement + warp(earlier, displacement / scale)


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
    return _mean(scores, side=2 * cell, every=cell, beyond=True)


def _detail(frames: Pictures) -> Float[Tensor, "*b c h_half w_half"]:
    half = _mean(frames, side=2, every=2, beyond=False)
    return half - local_mean(half, DETAIL)


def local_mean(pictures: Planes, side: int) -> Planes:
    """The mean over a window of ``side`` pixels, an odd number, around each pixel; beyond the edge there is nothing."""
    return _mean(pictures, side, every=1, beyond=False)


def _mean(pictures: Planes, side: int, every: int, beyond: bool) -> Float[Tensor, "*b h_coarse w_coarse"]:
    """Two products with banded matrices: for the sizes that networks see, faster than any sliding window."""
    with no_autocast(pictures.device):
        pictures = at_least_float32(pictures)
        rows, columns = (
            _windows(size, side, every, beyond, pictures.dtype, pictures.device) for size in pictures.shape[-2:]
        )
        return rows @ pictures @ columns.T


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # what training needs too
def _windows(
    size: int, side: int, every: int, beyond: bool, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "coarse size"]:
    """The matrix that takes the mean of ``side`` neighbours, around every how many-th; ``beyond`` counts as zeros."""
    first = torch.arange(0, size, every)[:, None] - (side - every) // 2
    at = torch.arange(size)
    within = ((first <= at) & (at < first + side)).to(device, dtype)
    return within / (side if beyond else within.sum(dim=1, keepdim=True))


def no_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Where mixed precision is on, turns it off; turning off what is off takes as long as two operations."""
    return torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext()


def at_least_float32(picture: Tensor) -> Tensor:
    """In single precision at least: what measures needs it."""
    return picture if picture.dtype == torch.float64 else picture.float()
