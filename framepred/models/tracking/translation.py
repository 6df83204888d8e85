"""Translate pictures by whole pixels, or compute the expected picture under a distribution of translations."""

from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional


def translate(
    picture: Float[Tensor, "*#b h w"], offset: Float[Tensor, "*#b 2"], beyond: float | None = None
) -> Float[Tensor, "*_ h w"]:
    """Translate pictures by whole pixels.

    Args:
        picture: ``(…, h, w)``.
        offset: ``(…, 2)``, right and down, whole pixels; it broadcasts against the pictures.
        beyond: fill value of pixels from outside the picture; None replicates the border.
    """
    by_pixels = torch.compiler.is_compiling() or picture.requires_grad
    return (_translate_pixels if by_pixels else _translate_rows)(picture, offset, beyond)


def _translate_rows(picture: Tensor, offset: Tensor, beyond: float | None) -> Tensor:
    """Translate by copies of whole rows, which is several times as fast as a copy of each pixel."""
    height, width = picture.shape[-2:]
    margin = 0 if beyond is None else 1
    padded = picture.reshape(-1, height, width)
    if beyond is None:
        padded = functional.pad(padded, (width, width), mode="replicate")
    else:
        padded = functional.pad(padded, (width, width, 1, 1), value=beyond)
    right = offset[..., 0, None].long().clamp(-width, width)
    starts = _source(offset[..., 1], height, margin) * padded.shape[-1] + width - right
    batch = torch.arange(padded.shape[0], device=picture.device).view(picture.shape[:-2]) * padded[0].numel()
    starts = batch[..., None] + starts
    windows = padded.as_strided((padded.numel() - width + 1, width), (1, 1), 0)
    return windows.index_select(0, starts.flatten()).view(*starts.shape, width)


def _translate_pixels(picture: Tensor, offset: Tensor, beyond: float | None) -> Tensor:
    """Translate by a gather of each pixel, which has a gradient and a graph."""
    height, width = picture.shape[-2:]
    margin = 0 if beyond is None else 1
    if beyond is not None:  # the clamped source of a pixel from outside is in the margin
        picture = functional.pad(picture, (1, 1, 1, 1), value=beyond)
    columns, rows = _source(offset[..., 0], width, margin), _source(offset[..., 1], height, margin)
    index = rows[..., None] * picture.shape[-1] + columns[..., None, :]
    batch = (picture[..., 0, 0] + index[..., 0, 0]).shape
    picture, index = picture.expand(*batch, *picture.shape[-2:]), index.expand(*batch, height, width)
    return picture.flatten(-2).gather(-1, index.flatten(-2)).view(index.shape)


def _source(offset: Float[Tensor, "*b"], size: int, margin: int) -> Int64[Tensor, "*b size"]:
    """Return the source index of each pixel of a translated row, clamped to the row with its margin."""
    at = torch.arange(margin, size + margin, device=offset.device)
    return (at - offset[..., None].long()).clamp(0, size - 1 + 2 * margin)


def expected_picture(
    picture: Float[Tensor, "*b c h w"], probabilities: Float[Tensor, "*b 2 d"]
) -> Float[Tensor, "*b c h w"]:
    """Return the expected picture under a random displacement: ``rows @ picture @ columnsᵀ``.

    Displacements along the two axes are independent. Border pixels are replicated outside the picture.

    Args:
        picture: ``(…, c, h, w)``.
        probabilities: probabilities of the displacements −r to r, right and down, whole pixels; d = 2·r + 1.
    """
    height, width = picture.shape[-2:]
    if height == width:
        columns, rows = displacement_matrix(probabilities, width).unbind(dim=-3)
    else:
        columns = displacement_matrix(probabilities[..., 0, :], width)
        rows = displacement_matrix(probabilities[..., 1, :], height)
    return rows[..., None, :, :] @ picture @ columns[..., None, :, :].mT


def displacement_matrix(probabilities: Float[Tensor, "*b d"], size: int) -> Float[Tensor, "*b size size"]:
    """Return the matrix that maps ``size`` values to their expectation under a random displacement.

    Entry (i, j) is the probability of the displacement i − j, which moves the value at j to i. The first and the last
    column also collect the displacements from outside the range, because the end values are replicated.
    """
    if size == 1:
        return torch.ones_like(probabilities[..., :1, None])
    below = probabilities.cumsum(dim=-1)  # P(displacement <= d)
    above = 1 - below[..., :-1]  # P(displacement >= d), for d > -r
    entries = torch.cat([torch.zeros_like(below[..., :1]), probabilities, below, above], dim=-1)
    build = _build_entries if torch.compiler.is_compiling() else _cached_entries
    return entries[..., build(size, probabilities.shape[-1] // 2, probabilities.device)]


def _build_entries(size: int, reach: int, device: torch.device) -> Int64[Tensor, "size size"]:
    """Return the index of each matrix entry in the list: zero, P(= d), P(<= d), and P(>= d) without its first."""
    count = 2 * reach + 1
    at = torch.arange(size, device=device)[:, None]
    displacement = at - at.T
    inner = torch.where(displacement.abs() <= reach, displacement + reach + 1, 0)
    first = torch.where(at <= reach, at + reach + 2 * count, 0)
    last = torch.where(at >= size - 1 - reach, at - size + 2 + reach + count, 0)
    return torch.cat([first, inner[:, 1:-1], last], dim=1)


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)  # a tensor created in inference mode cannot be used in training
def _cached_entries(size: int, reach: int, device: torch.device) -> Int64[Tensor, "size size"]:
    return _build_entries(size, reach, device)
