"""Pad frames, warp them by displacement fields, compose such fields, and take local means."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import cast

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from framepred.clips import at_least_float32

Picture = Float[Tensor, "b c h w"]
AnyPicture = Shaped[Tensor, "b c h w"]
PaddedPicture = Shaped[Tensor, "b c h_padded w_padded"]
Pictures = Float[Tensor, "*b c h w"]
Displacement = Float[Tensor, "b 2 h w"]
Planes = Float[Tensor, "*b h w"]

CARRY_STEPS = 3
"""Iterations that move a displacement field along itself."""


def pad_edges(picture: AnyPicture, rows: int | torch.SymInt, columns: int | torch.SymInt) -> PaddedPicture:
    """Add rows below and columns on the right that repeat the last row and column."""
    edge = cast("tuple[int, ...]", (0, columns, 0, rows))  # symbolic while an export is traced
    return functional.pad(picture, edge, mode="replicate") if rows or columns else picture


def pad_to_multiple(picture: AnyPicture, multiple: int) -> PaddedPicture:
    """Pad a picture ``(b, c, h, w)`` to a height and width that are multiples of ``multiple`` pixels."""
    height, width = picture.shape[-2:]
    return pad_edges(picture, -height % multiple, -width % multiple)


def warp(picture: Picture, displacement: Displacement) -> Picture:
    """Sample a picture at ``x + displacement(x)`` with bilinear interpolation; the border is repeated outwards.

    Args:
        picture: ``(b, c, h, w)``.
        displacement: ``(b, 2, h, w)``, along x (right) and y (down), in pixels.
    """
    dtype = _position_dtype(picture, displacement)
    height, width = picture.shape[-2:]
    x = torch.arange(width, device=picture.device, dtype=dtype) + displacement[:, 0]
    y = torch.arange(height, device=picture.device, dtype=dtype)[:, None] + displacement[:, 1]
    planes = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=1)
    positions = planes.permute(0, 2, 3, 1)  # a view: interleaved values would take longer to write and to read
    sampled = functional.grid_sample(picture.to(dtype), positions, padding_mode="border", align_corners=False)
    return sampled.to(picture.dtype)


def shift(picture: Pictures, offset: Float[Tensor, "*b 2"]) -> Pictures:
    """Translate whole pictures with bilinear interpolation; pixels that enter the picture repeat the border.

    The translation is computed as two products with banded matrices, as in :func:`window_mean`.

    Args:
        picture: ``(*b, c, h, w)``.
        offset: ``(*b, 2)``, right and down, in pixels.
    """
    offset = offset.to(_position_dtype(picture, offset))
    height, width = picture.shape[-2:]
    if height == width:
        columns, rows = _shift_matrix(offset, width).unbind(dim=-3)
    else:
        columns, rows = _shift_matrix(offset[..., 0], width), _shift_matrix(offset[..., 1], height)
    shifted = rows[..., None, :, :] @ picture.to(offset.dtype) @ columns[..., None, :, :].mT
    return shifted.to(picture.dtype)


def _position_dtype(picture: Tensor, displacement: Tensor) -> torch.dtype:
    """The type in which positions are computed: float32 or float64, because half precision would be too coarse."""
    return torch.promote_types(picture.dtype, at_least_float32(displacement).dtype)


def _shift_matrix(offset: Float[Tensor, "*b"], size: int) -> Float[Tensor, "*b size size"]:
    """Return the matrix that translates ``size`` values by the offset with linear interpolation."""
    at = torch.arange(size, device=offset.device, dtype=offset.dtype)
    source = (at - offset[..., None]).clamp(0, size - 1)
    return (1 - (source[..., None] - at).abs()).relu()


def compose(displacement: Displacement, earlier: Displacement, scale: int = 1) -> Displacement:
    """Compose two displacement fields, so that one sampling replaces two (semi-Lagrangian advection).

    Warping by the result equals warping by ``earlier`` and then by ``displacement``.

    Args:
        displacement: the later field, ``(b, 2, h, w)``, in pixels.
        earlier: the earlier field, same shape.
        scale: pixels per cell of both fields.
    """
    return displacement + warp(earlier, displacement / scale)


def carry(displacement: Displacement, steps: int = CARRY_STEPS) -> Displacement:
    """Move a displacement field along itself by one frame, so that motion stays with what moves.

    Solves ``u(x) = displacement(x + u(x))`` by fixed-point iteration, as the semi-Lagrangian scheme does (Germann &
    Zawadzki 2002, Mon. Weather Rev. 130:2859, sec. 3).

    Args:
        displacement: from each pixel of a frame back to its position in the frame before, ``(b, 2, h, w)``, in pixels.
        steps: iterations.

    Returns:
        The same for the next frame, with each object at its next position.
    """
    carried = displacement
    for _ in range(steps):
        carried = warp(displacement, carried)
    return carried


def local_mean(pictures: Planes, side: int) -> Planes:
    """Mean over the window of ``side`` (odd) pixels around each pixel; pixels outside the picture are left out."""
    return window_mean(pictures, side, stride=1, zero_padding=False)


def window_mean(pictures: Planes, side: int, stride: int, zero_padding: bool) -> Float[Tensor, "*b h_coarse w_coarse"]:
    """Mean over windows of ``side`` pixels, in float32 or float64.

    It is computed as two products with banded matrices: at the frame sizes of the networks this is faster than a
    sliding window.

    Args:
        pictures: ``(*b, h, w)``.
        side: side of the window in pixels.
        stride: pixels between the centres of neighbouring windows.
        zero_padding: count pixels outside the picture as zeros; otherwise they are left out of the mean.
    """
    with no_autocast(pictures.device):
        pictures = at_least_float32(pictures)
        rows, columns = (
            _window_matrix(size, side, stride, zero_padding, pictures.dtype, pictures.device)
            for size in pictures.shape[-2:]
        )
        return rows @ pictures @ columns.T


def _window_matrix(
    size: int, side: int, stride: int, zero_padding: bool, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "coarse size"]:
    """Return the matrix whose rows take the mean over each window; cached except while tracing a graph."""
    build = _build_window_matrix if torch.compiler.is_compiling() else _cached_window_matrix
    return build(size, side, stride, zero_padding, dtype, device)


def _build_window_matrix(
    size: int, side: int, stride: int, zero_padding: bool, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "coarse size"]:
    first = torch.arange(0, size, stride, device=device)[:, None] - (side - stride) // 2
    at = torch.arange(size, device=device)
    within = ((first <= at) & (at < first + side)).to(dtype)
    return within / (side if zero_padding else within.sum(dim=1, keepdim=True))


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # a tensor created in inference mode cannot be used in training
def _cached_window_matrix(
    size: int, side: int, stride: int, zero_padding: bool, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "coarse size"]:
    return _build_window_matrix(size, side, stride, zero_padding, dtype, device)


def no_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Disable mixed precision where it is enabled; without autocast this does nothing, which is faster."""
    if not torch.amp.is_autocast_available(device.type) or not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
