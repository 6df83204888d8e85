"""Cross-correlation of pictures with templates for small displacements, by Fourier transforms."""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Correlate: TypeAlias = Callable[[Float[Tensor, "b h w"], int], Float[Tensor, "b m m"]]
"""Correlates pictures with the template of this index."""


def cross_correlation(templates: Float[Tensor, "b k h w"], reach: int) -> Correlate:
    """Prepare the correlation of pictures with k templates.

    The returned function gives the inner product of a picture and a template that is moved by each displacement of at
    most ``reach`` pixels per axis: ``(b, m, m)``, down and right, with m = 2·reach + 1. Pixels outside the picture are
    0. An exported graph uses matrix products, because ONNX has no real Fourier transform in two dimensions.

    Args:
        templates: ``(b, k, h, w)``, float32 or float64.
        reach: largest displacement per axis, pixels.
    """
    return (_by_products if torch.compiler.is_exporting() else _by_fft)(templates, reach)


def _by_fft(templates: Tensor, reach: int) -> Correlate:
    size = [_period(side, reach) for side in templates.shape[-2:]]
    margins = [rows_or_columns - side for rows_or_columns, side in zip(size, templates.shape[-2:], strict=True)]
    padded = functional.pad(templates, (0, margins[1], 0, margins[0]))
    spectra = torch.fft.rfft2(padded.roll((-reach, -reach), (-2, -1))).conj().resolve_conj()

    def correlate(picture: Tensor, index: int) -> Tensor:
        spectrum = torch.fft.rfft2(picture, s=size)
        correlation: Tensor = torch.fft.irfft2(spectrum * spectra[:, index], s=size)
        return correlation[:, : 2 * reach + 1, : 2 * reach + 1]

    return correlate


def _by_products(templates: Tensor, reach: int) -> Correlate:
    rows, columns = (_real_transform(side, reach, templates) for side in templates.shape[-2:])
    spectra = rows[1] @ templates @ columns[1].mT

    def correlate(picture: Tensor, index: int) -> Tensor:
        spectrum = rows[0] @ picture @ columns[0].mT
        return rows[2] @ (spectrum * spectra[:, index]) @ columns[2].mT

    return correlate


def _real_transform(side: int, reach: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return matrices P, T and D of one axis, with 1 if y' = y + d and else 0 = sum over f of P[f, y'] T[f, y] D[d, f].

    It is the discrete Fourier transform of at least ``side + reach`` positions in real numbers: cos(a - b - c) as a sum
    of four products.
    """
    count = _period(side, reach) + _period(side, reach) % 2
    cosine, sine = _waves(torch.arange(side), count)
    after_cosine, after_sine = _waves(torch.arange(-reach, reach + 1), count)
    weight = torch.full((count // 2 + 1, 1), 2.0 / count, dtype=torch.float64)
    weight[0] = weight[-1] = 1.0 / count  # all other frequencies stand for two
    after_cosine, after_sine = weight * after_cosine, weight * after_sine
    picture = torch.cat([cosine, sine, sine, cosine])
    template = torch.cat([cosine, sine, cosine, -sine])
    displacement = torch.cat([after_cosine, after_cosine, after_sine, after_sine])
    return picture.to(like), template.to(like), displacement.mT.to(like)


def _period(side: int, reach: int) -> int:
    """Return the length of the transform: only displacements beyond the reach wrap around, and all others fit in."""
    return max(side, reach + 1) + reach


def _waves(at: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine ``(count / 2 + 1, positions)`` of each frequency, in float64."""
    frequency = torch.arange(count // 2 + 1, dtype=torch.float64)[:, None]
    angle = frequency * at * (2 * math.pi / count)
    return angle.cos(), angle.sin()
