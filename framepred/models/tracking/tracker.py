"""Layer tracker: locate each layer of a scene in a new frame by correlation."""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from framepred.clips import at_least_float32
from framepred.models.tracking.cross_correlation import cross_correlation
from framepred.models.tracking.translation import translate
from framepred.warping import local_mean

BACKGROUND_PX = 17
"""Side of the window, in pixels, whose local mean is subtracted from frame and layers before correlation."""

PATCH_PX = 7
"""Side of the window, in pixels, over which the agreement of a layer and the frame is averaged."""

DISTANCE_COST = 5e-4
"""Score subtracted per squared pixel of distance from the expected position; of two equal peaks, the nearer wins."""

PRESENT_SCORE = 0.05
"""Minimum score of a layer that is present in the frame; an absent layer is placed at its expected position."""

TOLERANCE = 0.3
"""Squared error, relative to the mean energy of layer and frame, at which agreement is 1/e."""

DARK_ENERGY = 0.04
"""Squared brightness added to the energy of a patch, so that dark patches agree."""

SMALLEST_NORM = 1e-3
"""Added to the norm of a picture, to avoid division by zero."""


class Tracks(NamedTuple):
    """Positions of k layers in a frame."""

    displacement: Float[Tensor, "b k 2"]
    """Displacement of each layer from its place in ``layers``, right and down, whole pixels."""
    score: Float[Tensor, "b k 1"]
    """Normalised correlation with the unexplained frame minus distance cost; 1 if the frame shows only this layer."""
    aligned: Float[Tensor, "b k c h w"]
    """The layers, moved by their displacement."""
    agreement: Float[Tensor, "b k h w"]
    """Local similarity of the frame and the aligned layer, in [0, 1]."""


def track(
    frame: Float[Tensor, "b c h w"], layers: Float[Tensor, "b k c h w"], expected: Float[Tensor, "b k 2"], reach: int
) -> Tracks:
    """Locate each layer in the frame by cross-correlation.

    The layers are processed in order. Each layer is correlated, by Fourier transform, with the part of the frame that
    the previous layers do not explain, so that similar layers follow different objects (compare the dominant-motion
    approach of Irani, Rousso & Peleg 1994, "Computing occluding and transparent motions"). Only ``aligned`` has a
    gradient.

    Args:
        frame: ``(b, c, h, w)``.
        layers: ``(b, k, c, h, w)``, at their last observed positions.
        expected: ``(b, k, 2)``, expected displacement from there, right and down, whole pixels.
        reach: largest difference per axis between the found and the expected displacement, pixels.
    """
    expected = expected.detach()
    grey, pictures = _grey(frame.detach()), _grey(layers.detach())
    details = torch.cat([grey[:, None], translate(pictures, expected)], dim=1)
    details = details - local_mean(details, BACKGROUND_PX)
    details = details / (torch.linalg.vector_norm(details, dim=(-2, -1), keepdim=True) + SMALLEST_NORM)
    unexplained, templates = details[:, 0], details[:, 1:]
    correlate = cross_correlation(templates, reach)
    brightness = local_mean(grey.square(), PATCH_PX) + DARK_ENERGY
    found: list[Tracks] = []
    for index, (layer, predicted) in enumerate(zip(layers.unbind(dim=1), expected.unbind(dim=1), strict=True)):
        if found:
            unexplained = unexplained * (1 - found[-1].agreement)
        offset, score = _peak(correlate(unexplained, index))
        displacement = torch.where(score > PRESENT_SCORE, predicted + offset, predicted)
        aligned = translate(layer, displacement[:, None])
        found.append(Tracks(displacement, score, aligned, _agreement(grey, _grey(aligned.detach()), brightness)))
    return Tracks(*(torch.stack(parts, dim=1) for parts in zip(*found, strict=True)))


def _grey(pictures: Float[Tensor, "*b c h w"]) -> Float[Tensor, "*b h w"]:
    """Mean over the channels, in float32 or float64."""
    pictures = at_least_float32(pictures)
    return pictures.mean(dim=-3) if pictures.shape[-3] > 1 else pictures[..., 0, :, :]


def _agreement(grey: Tensor, explained: Tensor, brightness: Tensor) -> Float[Tensor, "b h w"]:
    """Local similarity of the frame and an aligned layer, both grey; ``brightness`` is the frame's local energy."""
    energy, residual = local_mean(torch.stack([explained, grey - explained]).square(), PATCH_PX)
    agreement: Tensor = (residual / (brightness + energy) * (-2 / TOLERANCE)).exp()
    return agreement


def _peak(scores: Float[Tensor, "b m m"]) -> tuple[Float[Tensor, "b 2"], Float[Tensor, "b 1"]]:
    """Return the offset (right, down) with the highest score after distance cost, and that score."""
    build = _build_offsets if torch.compiler.is_compiling() else _cached_offsets
    offsets, costs = build(scores.shape[-1] // 2, scores.dtype, scores.device)
    score, index = (scores - costs).flatten(1).max(dim=1, keepdim=True)
    return offsets.index_select(0, index[:, 0]), score


def _build_offsets(reach: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return all offsets ``(m², 2)`` (right, down), row by row, and the distance cost of each, ``(m, m)``."""
    span = torch.arange(-reach, reach + 1, dtype=dtype, device=device)
    offsets = torch.stack([span.repeat(len(span)), span.repeat_interleave(len(span))], dim=-1)
    return offsets, (DISTANCE_COST * offsets.square().sum(dim=-1)).view(len(span), -1)


@lru_cache(maxsize=8)
@torch.inference_mode(mode=False)  # a tensor created in inference mode cannot be used in training
def _cached_offsets(reach: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    return _build_offsets(reach, dtype, device)
