"""Where the layers of a scene went: each is looked for in the frame that came, the dominant one first."""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from framepred.models.tracking.translation import translate
from framepred.warping import at_least_float32, local_mean

BACKGROUND_PX = 17
"""Side of the window, in pixels, whose mean is taken from a picture before it is looked for."""

PATCH_PX = 7
"""Side of the window, in pixels, over which a layer and the frame are compared."""

DISTANCE_COST = 5e-4
"""Cost of a squared pixel of distance, in units of a score: of two places that fit alike, the nearer one is right."""

PRESENT_SCORE = 0.05
"""Score from which a layer counts as present in the frame; one that is not present stays where it is expected."""

TOLERANCE = 0.3
"""Disagreement, as a share of the mean energy of both pictures, at which agreement has fallen to 1/e."""

DARK_ENERGY = 0.04
"""Squared brightness that is added to the energy of a patch, so that dark patches agree."""

SMALLEST_NORM = 1e-3
"""Norm that is added to a picture's, so that an empty one can be divided by it."""


class Tracks(NamedTuple):
    """Where k layers were found in a frame."""

    displacement: Float[Tensor, "b k 2"]
    """How far right and down of its place each layer was found, whole pixels."""
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
    Layers that look alike so come to follow different objects. Gradient passes through ``aligned`` alone.

    Args:
        frame: ``(b, c, h, w)``.
        layers: ``(b, k, c, h, w)``, where they were last observed.
        expected: ``(b, k, 2)``, how far right and down of there they should be, whole pixels.
        reach: farthest along an axis that a layer may be off the expected place, pixels.
    """
    expected = expected.detach()
    grey, pictures = at_least_float32(frame.detach()).mean(dim=1), at_least_float32(layers.detach()).mean(dim=2)
    details = torch.cat([grey[:, None], translate(pictures, expected)], dim=1)
    details = details - local_mean(details, BACKGROUND_PX)
    details = details / (torch.linalg.vector_norm(details, dim=(-2, -1), keepdim=True) + SMALLEST_NORM)
    size = [side + 2 * reach for side in grey.shape[-2:]]
    templates = torch.fft.rfft2(details[:, 1:], s=size).conj()
    unexplained = details[:, 0]
    brightness = local_mean(grey.square(), PATCH_PX) + DARK_ENERGY
    found: list[Tracks] = []
    for layer, template, place in zip(*(each.unbind(dim=1) for each in (layers, templates, expected)), strict=True):
        around = functional.pad(unexplained, (reach, reach, reach, reach))
        correlation = torch.fft.irfft2(torch.fft.rfft2(around) * template, s=size)
        offset, score = _peak(correlation[:, : 2 * reach + 1, : 2 * reach + 1])
        displacement = place + torch.where(score[:, None] > PRESENT_SCORE, offset, 0)
        aligned = translate(layer, displacement[:, None])
        explained = at_least_float32(aligned.detach()).mean(dim=1)
        energy, wrong = local_mean(torch.stack([explained, grey - explained]).square(), PATCH_PX)
        agreement = (wrong / (brightness + energy) * (-2 / TOLERANCE)).exp()
        unexplained = unexplained * (1 - agreement)
        found.append(Tracks(displacement, score[:, None], aligned, agreement))
    return Tracks(*(torch.stack(parts, dim=1) for parts in zip(*found, strict=True)))


def nowhere(layers: Float[Tensor, "b k c h w"]) -> Tracks:
    """Layers that nothing was looked for in: none has moved."""
    still = at_least_float32(layers).new_zeros(*layers.shape[:2], 2)
    return Tracks(still, still[..., :1], layers, at_least_float32(layers).new_zeros(layers[:, :, 0].shape))


def _peak(scores: Float[Tensor, "b m m"]) -> tuple[Float[Tensor, "b 2"], Float[Tensor, " b"]]:
    """The offset of the highest score, right and down, and the score less the cost of its distance."""
    offsets, costs = _offsets(scores.shape[-1] // 2, scores.dtype, scores.device)
    score, at = (scores.flatten(1) - costs).max(dim=1)
    return offsets[at], score


@lru_cache(maxsize=8)
@torch.inference_mode(mode=False)  # what training needs too
def _offsets(reach: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """All offsets ``(m², 2)``, right and down, in rows, and what each costs."""
    span = torch.arange(-reach, reach + 1, dtype=dtype, device=device)
    offsets = torch.stack([span.repeat(len(span)), span.repeat_interleave(len(span))], dim=-1)
    return offsets, DISTANCE_COST * offsets.square().sum(dim=-1)
