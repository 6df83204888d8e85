"""Translate pictures by whole pixels, or compute the expected picture under a distribution of translations."""

from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def translate(
    picture: Float[Tensor, "*#b h w"], offset: Float[Tensor, "*#b 2"], beyond: float | None = None
) -> Float[Tensor, "*_ h w"]:
    """Translate pictures by whole pixels.

    Args:
        picture: ``(…, h, w)``.
        offset: ``(…, 2)``, right and down, whole pixels; it broadcasts against the pictures.
        beyond: fill value of pixels from outside the picture; None replicates the border.
    """
    height, width = picture.shape[-2:]
    columns, inside_columns = _source(offset[..., 0], width)
    rows, inside_rows = _source(offset[..., 1], height)
    index = rows[..., None] * width + columns[..., None, :]
    batch = (picture[..., 0, 0] + index[..., 0, 0]).shape
    picture, index = picture.expand(*batch, height, width), index.expand(*batch, height, width)
    moved = picture.flatten(-2).gather(-1, index.flatten(-2)).view(index.shape)
    if beyond is None:
        return moved
    return torch.where(inside_rows[..., None] & inside_columns[..., None, :], moved, beyond)


def _source(offset: Tensor, size: int) -> tuple[Int64[Tensor, "*b size"], Tensor]:
    """Return the source index of each pixel of a translated row, clamped, and whether it is inside the row."""
    source = torch.arange(size, device=offset.device) - offset[..., None].long()
    inside = source.clamp(0, size - 1)
    return inside, source == inside


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
    reach = probabilities.shape[-1] // 2
    band, known = _band(size, reach, probabilities.device)
    inner = torch.where(known, probabilities[..., band], 0)
    below = probabilities.cumsum(dim=-1)  # P(displacement <= d)
    first, last = _ends(size, reach, probabilities.device)
    from_start = 1 - torch.where(first >= 0, below[..., first.clamp(min=0, max=2 * reach)], 0)  # displacement >= i
    from_end = torch.where(last >= 0, below[..., last.clamp(min=0, max=2 * reach)], 0)  # displacement <= i - size + 1
    if size == 1:
        return torch.ones_like(inner)
    return torch.cat([from_start[..., None], inner[..., 1:-1], from_end[..., None]], dim=-1)


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)  # what training needs too
def _band(size: int, reach: int, device: torch.device) -> tuple[Tensor, Tensor]:
    at = torch.arange(size, device=device)
    index = at[:, None] - at + reach
    inside = index.clamp(0, 2 * reach)
    return inside, index == inside


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)  # what training needs too
def _ends(size: int, reach: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return, for each row i, the indices of the displacements i − 1 and i − size + 1."""
    at = torch.arange(size, device=device)
    return at - 1 + reach, at - size + 1 + reach
