"""Moving pictures by displacement fields, and measuring how they moved."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Picture = Float[Tensor, "b c h w"]
Pictures = Float[Tensor, "*b c h w"]
Displacement = Float[Tensor, "b 2 h w"]
CoarseDisplacement = Float[Tensor, "b 2 h_coarse w_coarse"]
Planes = Float[Tensor, "*b h w"]


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


def local_mean(pictures: Planes, side: int) -> Planes:
    """The mean over a window of ``side`` pixels, an odd number, around each pixel; beyond the edge there is nothing."""
    return window_mean(pictures, side, every=1, beyond=False)


def window_mean(pictures: Planes, side: int, every: int, beyond: bool) -> Float[Tensor, "*b h_coarse w_coarse"]:
    """Two products with banded matrices: for the sizes that networks see, faster than any sliding window."""
    with unmixed(pictures.device):
        pictures = full(pictures)
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


def unmixed(device: torch.device) -> AbstractContextManager[object]:
    """Where mixed precision is on, turns it off; turning off what is off takes as long as two operations."""
    return torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext()


def full(picture: Tensor) -> Tensor:
    """In single precision at least: what measures needs it."""
    return picture if picture.dtype == torch.float64 else picture.float()
