"""Layers and tracks made exact from several frames: what is behind a moving thing shows when it has moved on."""

from functools import reduce

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from framepred.models.tracking.translation import translate
from framepred.warping import at_least_float32

STEPS = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]
"""Where a position is searched for, pixels right and down of it; what is farther off is found in the next frames."""

MISFIT_SHARE = 0.2
"""Energy by which a layer may exceed a frame, as a share of the layer's, where it still fits."""

LIGHT_MARGIN = 0.05
"""Brightness by which a frame must exceed the layers that explain it."""

DISTANCE_COST = 1e-3
"""Squared error that a pixel of distance costs: an empty layer fits everywhere and stays where it is."""


@torch.no_grad()
def second_smallest(
    frames: Float[Tensor, "n t c h w"], usable: Bool[Tensor, "n k t"], positions: Float[Tensor, "n k t 2"]
) -> Float[Tensor, "n k c h w"]:
    """Each layer at the last frame as the second smallest value of each pixel over the frames aligned with it.

    Where frames are composed by maximum, what other layers add to a pixel is never negative, so small values are those
    of the layer alone; the second smallest stands one frame whose position is wrong. Frames continue as their border.
    Of a single frame, its values are taken.

    Args:
        frames: ``(n, t, c, h, w)``, the last one last.
        usable: which of them show each layer at its position; the last one always does.
        positions: of each layer in each frame relative to the last one, whole pixels, right and down.
    """
    frames = at_least_float32(frames)
    offsets = -positions[..., None, :].expand(*positions.shape[:-1], frames.shape[2], 2)
    aligned = torch.where(usable[..., None, None, None], translate(frames[:, None], offsets), torch.inf)
    smallest = second = aligned[:, :, -1]
    for index in range(aligned.shape[2] - 1):
        value = aligned[:, :, index]
        larger = torch.maximum(smallest, value)
        second = larger if index == 0 else torch.minimum(second, larger)
        smallest = torch.minimum(smallest, value)
    return torch.where(second.isinf(), smallest, second)


@torch.no_grad()
def search_nearby(
    frames: Float[Tensor, "n t c h w"], layers: Float[Tensor, "n k c h w"], positions: Float[Tensor, "n k t 2"]
) -> tuple[Float[Tensor, "n k t 2"], Float[Tensor, "n k t c h w"], Bool[Tensor, "n k t"]]:
    """Positions that explain the frames best, each at most a pixel away, given the other layers.

    One layer after the other moves, against the maximum of the others (coordinate descent).

    Args:
        frames: ``(n, t, c, h, w)``.
        layers: ``(n, k, c, h, w)``.
        positions: of each layer in each frame, whole pixels right and down of where ``layers`` shows it.

    Returns:
        The new positions, for each layer and frame the maximum of the other layers there, and whether the layer fits
        the frame at its position: a frame is at least as bright as each of its layers.
    """
    layers, frames = at_least_float32(layers), at_least_float32(frames)
    offsets = positions[..., None, :].expand(*positions.shape[:-1], layers.shape[2], 2)
    moved = list(translate(layers[:, :, None], offsets, beyond=0.0).unbind(dim=1))
    steps = positions.new_tensor(STEPS)
    found = []
    for index, layer in enumerate(moved):
        others = _maximum(moved[:index] + moved[index + 1 :], like=layer)
        best = _best_step(frames, layer, others)
        found.append(positions[:, index] + steps[best])
        offset = found[-1][:, :, None].expand(*found[-1].shape[:-1], layers.shape[2], 2)
        moved[index] = translate(layers[:, index, None], offset, beyond=0.0)
    rest = [_maximum(moved[:index] + moved[index + 1 :], like=moved[index]) for index in range(len(moved))]
    stacked = torch.stack(moved, dim=1)
    excess = (stacked - frames[:, None]).relu().square().sum(dim=(-3, -2, -1))
    fits = excess <= MISFIT_SHARE * stacked.square().sum(dim=(-3, -2, -1))
    return torch.stack(found, dim=1), torch.stack(rest, dim=1), fits


@torch.no_grad()
def has_own_light(
    frames: Float[Tensor, "n t c h w"],
    observed: Bool[Tensor, "n t"],
    others: Float[Tensor, "n k t c h w"],
    positions: Float[Tensor, "n k t 2"],
) -> Bool[Tensor, "n k c h w"]:
    """Where at least two frames show light at a pixel of a layer that the other layers do not explain.

    Where two layers move alike, the one always covers the same pixels of the other, and their light may be its own.

    Args:
        frames: ``(n, t, c, h, w)``.
        observed: which of them hold a frame.
        others: for each layer and frame the maximum of the other layers there.
        positions: of each layer in each frame relative to the last one, whole pixels, right and down.
    """
    unexplained = (frames[:, None] > others + LIGHT_MARGIN) & observed[:, None, :, None, None, None]
    offsets = -positions[..., None, :].expand(*positions.shape[:-1], frames.shape[2], 2)
    return translate(unexplained.to(frames.dtype), offsets, beyond=0.0).sum(dim=2) > 1


def _best_step(frames: Tensor, layer: Tensor, others: Tensor) -> Int64[Tensor, "n t"]:
    """Which of ``STEPS`` a layer ``(n, t, c, h, w)`` should take in each frame."""
    height, width = frames.shape[-2:]
    around = functional.pad(layer, (1, 1, 1, 1))
    errors = []
    for right, down in STEPS:
        shifted = around[..., 1 - down : 1 - down + height, 1 - right : 1 - right + width]
        difference = torch.maximum(shifted, others).sub_(frames).flatten(2)
        squared = torch.linalg.vector_norm(difference, dim=-1).square()
        errors.append(squared + DISTANCE_COST * (right**2 + down**2))
    return torch.stack(errors, dim=-1).argmin(dim=-1)


def _maximum(pictures: list[Tensor], like: Tensor) -> Tensor:
    """The maximum of some pictures; 0 of none."""
    return reduce(torch.maximum, pictures) if pictures else torch.zeros_like(like)
