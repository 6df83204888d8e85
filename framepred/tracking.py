"""Where the pieces of a scene went: each layer is looked for in the frame that came, the dominant one first."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from framepred.warping import full, local_mean, shift

BACKGROUND = 17
"""Side of the window, in pixels, whose mean is taken from a picture before it is looked for."""

PATCH = 7
"""Side of the window, in pixels, over which a layer and the frame are held to agree or not."""

STAY = 5e-4
"""What a squared pixel of distance costs a score: of two places that fit alike, the nearer one is right."""

SURE = 0.05
"""A score below which a layer is held to have stayed: it is not in the frame."""

TOLERANCE = 0.3
"""Disagreement, as a share of the energy of both pictures, at which a patch is explained to 1/e."""


class Tracks(NamedTuple):
    """Where k layers were found in a frame."""

    travel: Float[Tensor, "b k 2"]
    """How far right and down of its place each layer was found, pixels."""
    score: Float[Tensor, "b k 1"]
    """How much of the frame it is: 1 for a frame that shows this layer and nothing else, 0 for nothing of it."""
    agreement: Float[Tensor, "b k h w"]
    """Where the frame looks as the layer does there, in [0, 1]."""


@torch.no_grad()
def track(
    frame: Float[Tensor, "b c h w"], layers: Float[Tensor, "b k c h w"], expected: Float[Tensor, "b k 2"], reach: int
) -> Tracks:
    """Look for each layer in the frame, as a whole.

    One after the other, the layers are correlated with what those before have not explained of the frame (the dominant
    motion first: Irani, Rousso & Peleg 1994, "Computing occluding and transparent motions"), by Fourier transform.
    Layers that look alike so come to follow different objects. The place is that of the highest score, to a part of a
    pixel by the mean of its neighbours. A layer is looked for as it is, not resampled to where it is expected: what
    moved by whole pixels is found at whole pixels. No gradient passes.

    Args:
        frame: ``(b, c, h, w)``.
        layers: ``(b, k, c, h, w)``, where they were last seen.
        expected: ``(b, k, 2)``, how far right and down of there they should be, pixels.
        reach: farthest along an axis that a layer may be off the whole pixel next to where it is expected.
    """
    seen, layers, expected = full(frame).mean(dim=1), full(layers).mean(dim=2, keepdim=True), full(expected)
    whole = expected.round()
    templates = shift(layers, whole)[:, :, 0]
    detail, templates = seen - local_mean(seen, BACKGROUND), templates - local_mean(templates, BACKGROUND)
    templates = templates / (_norm(detail)[:, None] * _norm(templates))
    brightness = local_mean(seen.square(), PATCH) + 0.04
    unexplained = torch.ones_like(seen)
    found: list[Tracks] = []
    for layer, template, here, near in zip(
        *(each.unbind(dim=1) for each in (layers, templates, expected, whole)), strict=True
    ):
        place, score = _peak(_correlation(unexplained * detail, template, reach), here - near)
        travel = here + (near + place - here) * (40 * (score - SURE)).sigmoid()[:, None]
        there = shift(layer, travel)[:, 0]
        energy, wrong = local_mean(torch.stack([there.square(), (seen - there).square()]), PATCH)
        agreement = (wrong / (brightness + energy) * (-2 / TOLERANCE)).exp()
        unexplained = unexplained * (1 - agreement)
        found.append(Tracks(travel, score[:, None], agreement))
    return Tracks(*(torch.stack(parts, dim=1) for parts in zip(*found, strict=True)))


def _norm(picture: Tensor) -> Tensor:
    """The root of a picture's energy, ``(*b, 1, 1)``."""
    return picture.square().sum((-2, -1), keepdim=True).sqrt() + 1e-3


def _correlation(frame: Tensor, template: Tensor, reach: int) -> Tensor:
    """The product of the two with the template moved by each offset, rows of ``(b, 2·reach + 1, 2·reach + 1)``."""
    size = [side + 2 * reach for side in frame.shape[-2:]]
    spectrum = torch.fft.rfft2(frame, s=size) * torch.fft.rfft2(template, s=size).conj()
    span = torch.arange(-reach, reach + 1, device=frame.device)
    correlation: Tensor = torch.fft.irfft2(spectrum, s=size)
    return correlation[:, span[:, None], span]


def _peak(scores: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """The offset of the highest score ``(b, 2)``, to a part of a pixel, and the score ``(b,)``."""
    reach = scores.shape[-1] // 2
    span = torch.arange(-reach, reach + 1, device=scores.device, dtype=scores.dtype)
    places = torch.stack([span.repeat(2 * reach + 1), span.repeat_interleave(2 * reach + 1)], dim=-1)
    score, at = (scores.flatten(1) - STAY * (places - expected[:, None]).square().sum(dim=-1)).max(dim=1)
    near = ((places - places[at][:, None]).abs() <= 1.5).all(dim=-1)
    weight = (80 * scores.flatten(1)).masked_fill(~near, -torch.inf).softmax(dim=1)
    return weight @ places, score
