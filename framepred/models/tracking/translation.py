"""Translate pictures by whole pixels, or compute the expected picture under a distribution of translations."""

from functools import lru_cache

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor
from torch.nn import functional


def translate(
    picture: Shaped[Tensor, "*#b h w"], offset: Float[Tensor, "*#b 2"], beyond: float | None = None
) -> Shaped[Tensor, "*_ h w"]:
    """Translate pictures by whole pixels.

    Args:
        picture: ``(…, h, w)``, floats or a mask.
        offset: ``(…, 2)``, right and down, whole pixels; it broadcasts against the pictures.
        beyond: fill value of pixels from outside the picture; None replicates the border.
    """
    by_pixels = torch.compiler.is_compiling() or picture.requires_grad
    return (_translate_pixels if by_pixels else _translate_rows)(picture, offset, beyond)


def _translate_rows(picture: Tensor, offset: Tensor, beyond: float | None) -> Tensor:
    """Translate by copies of whole rows, which is several times as fast as a copy of each pixel."""
    height, width = picture.shape[-2:]
    margin = 0 if beyond is None else 1
    padded = _with_margins(picture.reshape(-1, height, width), beyond)
    right, down = offset.long().unbind(dim=-1)
    rows = (_cached_range(margin, height, 1, picture.device) - down[..., None]).clamp_(0, height - 1 + 2 * margin)
    count, stride = padded.shape[0], padded.stride(0)
    first = _cached_range(width, count, stride, picture.device).view(picture.shape[:-2]) - right.clamp(-width, width)
    starts = torch.add(first[..., None], rows, alpha=3 * width)
    windows = padded.as_strided((padded.numel() - width + 1, width), (1, 1), 0)
    return windows.index_select(0, starts.flatten()).view(*starts.shape, width)


def _with_margins(pictures: Shaped[Tensor, "b h w"], beyond: float | None) -> Shaped[Tensor, "b _ w3"]:
    """Pad by the width on the left and on the right: replicate the border, or add rows and columns of a value."""
    width = pictures.shape[-1]
    if beyond is not None:
        return functional.pad(pictures, (width, width, 1, 1), value=beyond)
    shape = pictures.shape
    return torch.cat([pictures[..., :1].expand(shape), pictures, pictures[..., -1:].expand(shape)], dim=-1)


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # a tensor created in inference mode cannot be used in training
def _cached_range(first: int, count: int, step: int, device: torch.device) -> Int64[Tensor, " count"]:
    return torch.arange(count, device=device) * step + first


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
    reach = probabilities.shape[-1] // 2
    farther = size - 1 - reach  # a negative padding crops
    inner = _by_difference(functional.pad(probabilities, (farther, farther)), size)
    below = probabilities.cumsum(dim=-1)  # P(displacement <= d)
    above = 1 - below + probabilities  # P(displacement >= d)
    first, last = functional.pad(above, (-reach, farther)), functional.pad(below, (farther, -reach))
    return torch.cat([first[..., None], inner[..., 1:-1], last[..., None]], dim=-1)


def _by_difference(values: Float[Tensor, "*b v"], size: int) -> Float[Tensor, "*b size size"]:
    """Return the Toeplitz matrix whose entry (i, j) is the value with index i − j + size − 1; v = 2·size − 1."""
    if not torch.compiler.is_compiling():  # a view and one copy, several times as fast as a gather
        return values.unfold(-1, size, 1).flip(-1)
    at = torch.arange(size, device=values.device)
    return values[..., at[:, None] - at + size - 1]


def shift_distribution(probabilities: Float[Tensor, "*n d"], offset: Float[Tensor, "*n"]) -> Float[Tensor, "*n d"]:
    """Shift distributions over displacements by whole pixels; probability that leaves the range −r to r is lost."""
    index = torch.arange(probabilities.shape[-1], device=offset.device) - offset[..., None].long()
    inside = index.clamp(0, probabilities.shape[-1] - 1)
    return torch.where(index == inside, probabilities.gather(-1, inside), 0)
