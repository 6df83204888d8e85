"""What the error of a tracking forecaster on Moving MNIST is made of: appearance, tracks, places, composition."""

from typing import NamedTuple

import torch
import typer
from jaxtyping import Float
from torch import Tensor

from framepred.clips import State, to_unit
from framepred.data import MovingMNIST, Split
from framepred.errors import ConfigError
from framepred.evaluation.formulas import frame_mse
from framepred.models import TrackingForecaster, load
from framepred.models.tracking.bounds import measure_bounds
from framepred.models.tracking.scene import Scene
from framepred.models.tracking.translation import expected_picture, translate

CONTEXT, HORIZON, BATCH = 10, 10, 20

SAMPLES = 64
"""Displacements of both objects drawn for the best composition: the mean over compositions, not of means."""


class Budget(NamedTuple):
    """Mean squared errors (openstl) of n clips by lead time, each of them ``(n, horizon)``."""

    total: Tensor
    """Of the network as it is."""
    appearance: Tensor
    """Of its layers at the true places."""
    exact_tracks: Tensor
    """Of its layers, placed by its path network from true positions and true distances to the edges."""
    places: Tensor
    """Of the true objects, placed in the same way."""
    composed: Tensor
    """The same, with the mean over the maxima of sampled places where the network has the maximum of means."""


class Truth(NamedTuple):
    """The true objects of b clips with k objects."""

    objects: Float[Tensor, "b k 1 h w"]
    """At the last frame of the context, alone over black."""
    positions: Float[Tensor, "b k t 2"]
    """Of the whole clip relative to the last frame of the context, pixels, right and down."""


@torch.inference_mode()
def print_budget(weights: str, digits: str, root: str | None, split: Split, seed: int, clips: int) -> None:
    """Print each part of the error, over all and by lead time."""
    net = load(weights)
    if not isinstance(net, TrackingForecaster):
        raise ConfigError(f"{weights} is no TrackingForecaster, so its error has no such parts.")
    data = MovingMNIST(split, seed=seed, length=CONTEXT + HORIZON, digits=digits, root=root)
    torch.manual_seed(seed)
    parts = [measure(net, data, range(first, min(first + BATCH, clips))) for first in range(0, clips, BATCH)]
    budget = Budget(*(torch.cat(part) for part in zip(*parts, strict=True)))
    rows = {
        "total": budget.total,
        "appearance: layers at the true places": budget.appearance,
        "tracks: gained by true positions and distances": budget.total - budget.exact_tracks,
        "places: true objects, true tracks": budget.places,
        "composition: gained by the mean of maxima": budget.places - budget.composed,
    }
    typer.echo(f"{weights}, {clips} clips of {digits}, split {split}, seed {seed}; mse, protocol openstl")
    for name, errors in rows.items():
        curve = " ".join(f"{value:5.1f}" for value in errors.mean(dim=0).tolist())
        typer.echo(f"{name:48} {errors.mean():6.2f}   {curve}")


def measure(net: TrackingForecaster, data: MovingMNIST, indices: range) -> Budget:
    """The parts of the error of these clips."""
    clips = to_unit(data.render(indices))
    target, state = clips[:, CONTEXT:], net.observe_clip(clips[:, :CONTEXT])
    truth = true_objects(data, indices)
    layers = _matching_layers(net, state, truth)
    future = truth.positions[:, :, CONTEXT:]
    probabilities = _from_true_tracks(net, truth)
    pictures = {
        "total": net.forecast(state, HORIZON),
        "appearance": _at(layers, future),
        "exact_tracks": _expected(layers, probabilities),
        "places": _expected(truth.objects, probabilities),
        "composed": _mean_of_maxima(truth.objects, probabilities),
    }
    return Budget(**{name: frame_mse(picture, target) for name, picture in pictures.items()})


def true_objects(data: MovingMNIST, indices: range) -> Truth:
    """Each object of these clips alone, and where it is."""
    corners = data.corners(indices).flip(-1).transpose(1, 2).float()  # (b, k, t, 2), right and down
    images = to_unit(torch.from_numpy(data.images(indices)))
    height, width = data.frame_size
    canvas = images.new_zeros(*images.shape[:2], 1, height, width)
    canvas[..., : images.shape[-2], : images.shape[-1]] = images[:, :, None]
    now = corners[:, :, CONTEXT - 1, None]
    return Truth(translate(canvas, now, beyond=0.0), corners - now)


def _matching_layers(net: TrackingForecaster, state: State, truth: Truth) -> Tensor:
    """For each object the layer that shows it best, ``(b, k, 1, h, w)``."""
    layers = net.shown_layers(Scene(*state))
    errors = (truth.objects[:, :, None] - layers[:, None]).square().sum(dim=(-3, -2, -1))
    best = errors.argmin(dim=-1)
    return layers[torch.arange(len(layers))[:, None], best]


def _from_true_tracks(net: TrackingForecaster, truth: Truth) -> Tensor:
    """What the path network predicts from exact tracks, ``(b, k, 2, l, d)``."""
    objects = truth.objects[:, :, 0]
    distances = measure_bounds(objects, (objects.shape[-2], objects.shape[-1]))
    positions = truth.positions[:, :, CONTEXT - net.history : CONTEXT]
    observed = torch.ones(positions.shape[:-1], dtype=torch.bool)
    return net.path(positions, observed, distances).exp()[..., :HORIZON, :]


def _at(layers: Tensor, future: Tensor) -> Tensor:
    moved = translate(layers[:, :, None], future[..., None, :], beyond=0.0)  # (b, k, t, 1, h, w)
    return moved.amax(dim=1)


def _expected(layers: Tensor, probabilities: Tensor) -> Tensor:
    leads = [expected_picture(layers, probabilities[..., lead, :]).amax(dim=1) for lead in range(HORIZON)]
    return torch.stack(leads, dim=1)


def _mean_of_maxima(layers: Tensor, probabilities: Tensor) -> Tensor:
    """The mean over sampled displacements of the composed picture."""
    reach = probabilities.shape[-1] // 2
    total = 0.0
    for _ in range(SAMPLES):
        drawn = torch.distributions.Categorical(probabilities).sample() - reach  # (b, k, 2, l)
        total = total + _at(layers, drawn.mT.float())
    return torch.as_tensor(total) / SAMPLES
