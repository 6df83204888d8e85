"""Where the pieces of a scene went: each layer is looked for in the frame that came, the dominant one first."""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from framepred.warping import at_least_float32, local_mean, shift

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
    aligned: Float[Tensor, "b k c h w"]
    """The layers, moved to where they were found."""
    agreement: Float[Tensor, "b k h w"]
    """Where the frame looks as the layer does there, in [0, 1]."""


def track(
    frame: Float[Tensor, "b c h w"], layers: Float[Tensor, "b k c h w"], expected: Float[Tensor, "b k 2"], reach: int
) -> Tracks:
    """Look for each layer in the frame, as a whole.

    One after the other, the layers are correlated with what those before have not explained of the frame (the dominant
    motion first: Irani, Rousso & Peleg 1994, "Computing occluding and transparent motions"), by Fourier transform.
    Layers that look alike so come to follow different objects. The place is that of the highest score, to a part of a
    pixel by the mean of its neighbours. A layer is looked for as it is, not resampled to where it is expected: what
    moved by whole pixels is found at whole pixels. Gradient passes through what ``aligned`` shows alone.

    Args:
        frame: ``(b, c, h, w)``.
        layers: ``(b, k, c, h, w)``, where they were last seen.
        expected: ``(b, k, 2)``, how far right and down of there they should be, pixels.
        reach: farthest along an axis that a layer may be off the whole pixel next to where it is expected.
    """
    seen, pictures = (
        at_least_float32(frame.detach()).mean(dim=1),
        at_least_float32(layers.detach()).mean(dim=2, keepdim=True),
    )
    expected = at_least_float32(expected.detach())
    whole = expected.round()
    details = torch.cat([seen[:, None], shift(pictures, whole)[:, :, 0]], dim=1)
    details = details - local_mean(details, BACKGROUND)
    norms = torch.linalg.vector_norm(details, dim=(-2, -1), keepdim=True) + 1e-3
    size = [side + 2 * reach for side in seen.shape[-2:]]
    templates = torch.fft.rfft2(details[:, 1:] / norms[:, 1:], s=size).conj()
    unexplained = details[:, 0] / norms[:, 0]
    brightness = local_mean(seen.square(), PATCH) + 0.04
    found: list[Tracks] = []
    for layer, template, here, off in zip(
        *(each.unbind(dim=1) for each in (layers, templates, expected, expected - whole)), strict=True
    ):
        around = functional.pad(unexplained, (reach, reach, reach, reach))
        correlation = torch.fft.irfft2(torch.fft.rfft2(around) * template, s=size)
        place, score = _peak(correlation[:, : 2 * reach + 1, : 2 * reach + 1], off)
        travel = here + place * (40 * (score - SURE)).sigmoid()[:, None]
        aligned = shift(layer, travel)
        there = at_least_float32(aligned.detach()).mean(dim=1)
        energy, wrong = local_mean(torch.stack([there, seen - there]).square(), PATCH)
        agreement = (wrong / (brightness + energy) * (-2 / TOLERANCE)).exp()
        unexplained = unexplained * (1 - agreement)
        found.append(Tracks(travel, score[:, None], aligned, agreement))
    return Tracks(*(torch.stack(parts, dim=1) for parts in zip(*found, strict=True)))


def nowhere(layers: Float[Tensor, "b k c h w"]) -> Tracks:
    """Layers that nothing was looked for in: none has moved."""
    still = at_least_float32(layers).new_zeros(*layers.shape[:2], 2)
    return Tracks(still, still[..., :1], layers, at_least_float32(layers).new_zeros(layers[:, :, 0].shape))


def _peak(scores: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """How far from ``expected`` the highest score is ``(b, 2)``, to a part of a pixel, and the score ``(b,)``."""
    places, beside = _offsets(scores.shape[-1] // 2, scores.dtype, scores.device)
    scores, places = scores.flatten(1), places - expected[:, None]
    score, at = (scores - STAY * places.square().sum(dim=-1)).max(dim=1)
    return ((80 * scores + beside[at]).softmax(dim=1)[:, None] @ places)[:, 0], score


@lru_cache(maxsize=8)
@torch.inference_mode(mode=False)  # what training needs too
def _offsets(reach: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """All offsets ``(m, 2)``, right and down, in rows; and for each ``(m, m)``: 0 at its neighbours, elsewhere -inf."""
    span = torch.arange(-reach, reach + 1, dtype=dtype)
    places = torch.stack([span.repeat(2 * reach + 1), span.repeat_interleave(2 * reach + 1)], dim=-1)
    near = (places[:, None] - places).abs().amax(dim=-1) < 2
    return places.to(device), torch.zeros(near.shape, dtype=dtype).masked_fill(~near, -torch.inf).to(device)
