"""Refine layers and tracks over several aligned frames, in which different parts of a layer are unoccluded."""

from functools import lru_cache, reduce

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from framepred.clips import at_least_float32
from framepred.models.tracking.scene import holds_most_energy
from framepred.models.tracking.translation import translate

STEP_PX = 1
"""Largest offset per axis of one search step, pixels; larger errors are corrected over several frames."""

MISFIT_SHARE = 0.2
"""A layer fits a frame if the energy of its excess over the frame is at most this share of its own energy."""

CACHED_VALUES = 1 << 17
"""A search step compares all nine neighbours at once up to this many values of layer and frames, else three: a cache
holds a few MB, and larger pictures need a third of the memory."""

LIGHT_MARGIN = 0.05
"""A pixel is unexplained if the frame exceeds the maximum of the other layers by more than this brightness."""

DISTANCE_COST = 1e-3
"""Squared error added per squared pixel of distance; it keeps an empty layer, which fits everywhere, in place."""


@torch.no_grad()
def estimate_layers(
    frames: Float[Tensor, "n t c h w"],
    observed: Bool[Tensor, "n t"],
    trusted: Bool[Tensor, "n k t"],
    positions: Float[Tensor, "n k t 2"],
    others: Float[Tensor, "n k t c h w"],
    written: Float[Tensor, "n k c h w"],
) -> Float[Tensor, "n k c h w"]:
    """Estimate each layer at the last frame from the aligned frames.

    The estimate is the second smallest value of each pixel; where the other layers may explain it, it is at most the
    written layer. A layer whose own pixels hold little of its energy keeps the second smallest value everywhere.

    Args:
        frames: ``(n, t, c, h, w)``, in order of time.
        observed: True for observed frames.
        trusted: True where a layer fits a frame at its position.
        positions: positions of each layer relative to the last frame, right and down, whole pixels.
        others: maximum of the other layers, for each layer and frame.
        written: the layers at the last frame, as the write gate computed them.
    """
    revealed = second_smallest(frames, trusted & observed[:, None], positions)
    own = has_own_light(frames, observed, others, positions)
    own = own | ~holds_most_energy(own, revealed)
    return torch.where(own, revealed, torch.minimum(revealed, written))


@torch.no_grad()
def second_smallest(
    frames: Float[Tensor, "n t c h w"], usable: Bool[Tensor, "n k t"], positions: Float[Tensor, "n k t 2"]
) -> Float[Tensor, "n k c h w"]:
    """Estimate each layer at the last frame: the second smallest value of each pixel over the aligned frames.

    A frame is the maximum of its layers, so other layers can only increase a pixel, and the smallest values belong to
    the layer itself. The second smallest value tolerates one frame with a wrong position. Border pixels are replicated.
    If only one frame is usable, its values are returned.

    Args:
        frames: ``(n, t, c, h, w)``, in order of time.
        usable: True where a frame shows the layer at its position; the last frame must be usable.
        positions: positions of each layer relative to the last frame, right and down, whole pixels.
    """
    unusable = torch.where(usable[..., None, None, None], 0.0, torch.inf)
    aligned = translate(at_least_float32(frames)[:, None], -positions[..., None, :]).add_(unusable)
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
    """Correct each position by at most one pixel per axis, so that the layers explain the frames best.

    Layers are corrected one after the other, with the other layers fixed (coordinate descent).

    Args:
        frames: ``(n, t, c, h, w)``.
        layers: ``(n, k, c, h, w)``.
        positions: displacement of each layer in each frame from its place in ``layers``, right and down, whole pixels.

    Returns:
        The corrected positions, the maximum of the other layers for each layer and frame, and whether each layer fits
        each frame. A layer fits if it is hardly brighter than the frame; see ``MISFIT_SHARE``.
    """
    layers, frames = at_least_float32(layers), at_least_float32(frames)
    moved = list(translate(layers[:, :, None], positions[..., None, :], beyond=0.0).unbind(dim=1))
    steps, _ = _steps(positions)
    found = []
    for index, layer in enumerate(moved):
        others = _maximum(moved[:index] + moved[index + 1 :], like=layer)
        best = _best_step(frames, layer, others)
        found.append(positions[:, index] + steps[best])
        moved[index] = translate(layers[:, index, None], found[-1][..., None, :], beyond=0.0)
    other_maxima = [_maximum(moved[:index] + moved[index + 1 :], like=moved[index]) for index in range(len(moved))]
    stacked = torch.stack(moved, dim=1)
    fits = _energy((stacked - frames[:, None]).relu_()) <= MISFIT_SHARE * _energy(stacked)
    return torch.stack(found, dim=1), torch.stack(other_maxima, dim=1), fits


@torch.no_grad()
def has_own_light(
    frames: Float[Tensor, "n t c h w"],
    observed: Bool[Tensor, "n t"],
    others: Float[Tensor, "n k t c h w"],
    positions: Float[Tensor, "n k t 2"],
) -> Bool[Tensor, "n k c h w"]:
    """Mask of the layer pixels at which at least two frames are brighter than all other layers.

    If two layers move alike, one always covers the same pixels of the other. Such pixels are not in the mask, because
    their brightness may belong to either layer.

    Args:
        frames: ``(n, t, c, h, w)``.
        observed: True for observed frames.
        others: maximum of the other layers, for each layer and frame.
        positions: positions of each layer relative to the last frame, right and down, whole pixels.
    """
    threshold = torch.where(observed[..., None, None, None], at_least_float32(frames) - LIGHT_MARGIN, -torch.inf)
    unexplained = threshold[:, None] > others
    if torch.compiler.is_compiling():  # a graph would sum 64-bit integers
        unexplained = unexplained.to(others.dtype)
    return translate(unexplained, -positions[..., None, :], beyond=0.0).sum(dim=2) > 1


def _best_step(frames: Tensor, layer: Tensor, others: Tensor) -> Int64[Tensor, "n t"]:
    """Index into the offsets of ``_steps`` of the best step of a layer ``(n, t, c, h, w)`` in each frame."""
    rows_at_once = 3 if torch.compiler.is_compiling() or layer.numel() <= CACHED_VALUES else 1
    errors = []
    for moved in torch.split(_neighbours(layer), rows_at_once, dim=2):
        candidates = _contiguous_maximum(moved, others[:, :, None, None])
        errors.append(_energy(candidates.sub_(frames[:, :, None, None])).flatten(-2))
    _, costs = _steps(frames)
    return (torch.cat(errors, dim=-1) + costs).argmin(dim=-1)


def _steps(like: Tensor) -> tuple[Float[Tensor, "9 2"], Float[Tensor, " 9"]]:
    """Return the offsets (right, down) of a search step, from (1, 1) row by row to (-1, -1), and the cost of each.

    They are computed on the device of ``like``; a copy to a GPU would stop its queue of operations.
    """
    build = _build_steps if torch.compiler.is_compiling() else _cached_steps
    return build(like.dtype, like.device)


def _build_steps(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    span = torch.arange(STEP_PX, -STEP_PX - 1, -1, dtype=dtype, device=device)
    steps = torch.stack([span.repeat(len(span)), span.repeat_interleave(len(span))], dim=-1)
    return steps, DISTANCE_COST * steps.square().sum(dim=-1)


@lru_cache(maxsize=8)
@torch.inference_mode(mode=False)  # a tensor created in inference mode cannot be used in training
def _cached_steps(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    return _build_steps(dtype, device)


def _neighbours(layer: Float[Tensor, "n t c h w"]) -> Float[Tensor, "n t 3 3 c h w"]:
    """Return a layer moved by each offset of ``_steps``, filled with zeros; a view in eager mode, copies in a graph."""
    padded = functional.pad(layer, (1, 1, 1, 1))
    height, width = layer.shape[-2:]
    if torch.compiler.is_compiling():
        moved = [padded[..., top : top + height, left : left + width] for top in range(3) for left in range(3)]
        return torch.stack(moved, dim=2).view(*layer.shape[:2], 3, 3, *layer.shape[2:])
    return padded.unfold(3, height, 1).unfold(4, width, 1).movedim(2, 4)


def _contiguous_maximum(first: Tensor, second: Tensor) -> Tensor:
    """Pixelwise maximum in contiguous memory; by default it has the strides of the overlapping view ``first``."""
    if torch.compiler.is_compiling():  # exporters do not accept out=
        return torch.maximum(first, second)
    return torch.maximum(first, second, out=second.new_empty(first.shape))


def _energy(pictures: Tensor) -> Tensor:
    """Sum of squares of each picture ``(…, c, h, w)``."""
    values = pictures.flatten(-3)
    if torch.compiler.is_compiling():  # ONNX Runtime computes norms several times as slowly as sums
        return (values * values).sum(dim=-1)  # and a power twice as slowly as a product
    norms: Tensor = torch.linalg.vector_norm(values, dim=-1)
    return norms.square()


def _maximum(pictures: list[Tensor], like: Tensor) -> Tensor:
    """Pixelwise maximum of the pictures; zeros like ``like`` if there are none."""
    return reduce(torch.maximum, pictures) if pictures else torch.zeros_like(like)
