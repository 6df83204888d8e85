"""Blend several forecasters: the weight of each at each lead time is measured on the clip's own past."""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from typing_extensions import override

from framepred.baselines import LastFrame, OpticalFlow
from framepred.clips import Clip, ClipBatch, Frame, RawFrame, State, to_unit
from framepred.forecaster import Forecaster
from framepred.inference.devices import device_of
from framepred.inference.networks import channels_of
from framepred.inference.scenes import find_scenes
from framepred.inference.sources import shrink_raw

STEPS = 20
"""Weights are multiples of one over this; finer steps change the error by less than one percent."""

WINDOWS = 4
"""Validation windows, at most: four take about as long as predicting four small clips."""

FIT_SIDE = 176
"""Longer side, in pixels, at which weights are measured, so that it takes about a second."""

FIT_HORIZON = 10
"""Lead times that are measured, at most; the last weights hold for all that follow."""

SPAN = 60
"""Frames from the end of the past in which validation windows lie, so that they resemble what is to be predicted."""

MIN_FRAMES = 4
"""Frames of the last scene from which weights are measured; fewer show no motion that goes on."""

NEGLIGIBLE = 1e-6
"""Squared error of a pixel in [0, 1] that does not differ from none: a quarter of a level of 255."""

INDIFFERENCE = 1e-3
"""Relative gain in error below which simpler weights are preferred."""

PAST = SPAN
"""Frames of the past that :func:`fit_blend` uses, at most."""


class Blend(Forecaster):
    """A weighted mean of the predictions of several forecasters (stacking; Wolpert 1992, Neural Networks 5:241-259).

    Beyond the context each forecaster goes on from its own predictions.

    State: the last frame ``(b, c, h, w)``; the lead time of the next frame minus one, a scalar int64; the number of
    tensors in the state of each member, ``(m,)`` int64; then the states of the members, one after the other.

    Args:
        members: m forecasters.
        weights: weight of each at each lead time, ``(k, m)``; rows sum to 1; the last row holds for all that follow.
    """

    weights: Tensor

    def __init__(self, members: Sequence[Forecaster], weights: Float[Tensor, "k m"]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("weights", weights)

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state of every member with one frame ``(b, c, h, w)``, integers or floats in [0, 1]."""
        frame = to_unit(frame)
        states = [None] * len(self.members) if state is None else member_states(state)
        return _join(frame, 0, [member.observe(frame, own) for member, own in self._pairs(states)])

    @override
    def feedback(self, frame: Frame, state: State) -> State:
        """Advance by one frame: each member takes in its own prediction, and ``frame`` becomes the last frame."""
        states = [member.feedback(member.next_frame(own), own) for member, own in self._pairs(member_states(state))]
        return _join(frame.clamp(0, 1), int(state[1]) + 1, states)

    @override
    def next_frame(self, state: State) -> Frame:
        """The weighted mean of the members' next frames, ``(b, c, h, w)``, each clamped to [0, 1] before."""
        weights = self.weights[min(int(state[1]), len(self.weights) - 1)].tolist()
        frames = [
            weight * member.next_frame(own).clamp(0, 1)
            for weight, (member, own) in zip(weights, self._pairs(member_states(state)), strict=True)
            if weight > 0
        ]
        return torch.stack(frames).sum(dim=0)

    def _pairs(self, states: Sequence[State | None]) -> Iterator[tuple[Forecaster, State]]:
        return zip(self.members, states, strict=True)  # type: ignore[arg-type]


class ErrorProducts:
    """Sums of products of the errors of several forecasters, from which the best weights follow.

    The weights with the least squared error depend on nothing else, so memory does not grow with what is added.

    Args:
        horizon: lead times k.
        members: forecasters m.
        decay: factor by which older products count less with each one that is added; 1 counts all alike.
    """

    def __init__(self, horizon: int, members: int, decay: float = 1.0) -> None:
        self._sums = torch.zeros(horizon, members, members, dtype=torch.float64)
        self._counts = torch.zeros(horizon, dtype=torch.float64)
        self._decay = decay

    def add(self, lead: int, predictions: Float[Tensor, "m c h w"], truth: Float[Tensor, "c h w"]) -> None:
        """Add one predicted frame of each forecaster for the lead time ``lead`` + 1.

        Products are counted relative to the least of the errors, so that a nearly still clip counts like one that
        moves.
        """
        errors = (predictions - truth).flatten(1)
        products = (errors @ errors.T / errors.shape[1]).double().cpu()
        self._sums[lead] = self._decay * self._sums[lead] + products / (products.diagonal().min() + NEGLIGIBLE)
        self._counts[lead] = self._decay * self._counts[lead] + 1

    @property
    def measured(self) -> int:
        """Lead times with at least one product, from the first on."""
        return int((self._counts > 0).long().cumprod(0).sum())

    def best_weights(self) -> Float[Tensor, "k m"]:
        """The weights with the least error at each measured lead time; among near equals, later members get more."""
        candidates = _simplex(self._sums.shape[-1])
        cost = torch.einsum("si,kij,sj->ks", candidates, self._sums[: self.measured], candidates)
        enough = cost.amin(dim=1, keepdim=True) * (1 + INDIFFERENCE) + INDIFFERENCE * NEGLIGIBLE
        return candidates[(cost <= enough).long().argmax(dim=1)].float()


def fit_blend(
    members: Sequence[Forecaster],
    past: Shaped[Tensor, "n t c h w"],
    context: int = 10,
    horizon: int = 10,
    *,
    cuts: bool = True,
) -> Blend:
    """Blend forecasters with the weights that would have served best in the past of the clips themselves.

    Each member predicts a few windows at the end of the last scene of the past. Nothing is learned but the weights.
    A past that is too short for a whole window gets shorter windows; one of fewer than ``MIN_FRAMES`` frames gets equal
    weights. Members that get no weight are left out. Where several are equally good, the later ones are preferred, so
    the simplest should come last: a still clip is then predicted by :class:`~framepred.baselines.LastFrame` alone, if
    that is the last member.

    Args:
        members: the forecasters.
        past: frames of one or several clips: uint8, uint16, or floats in [0, 1].
        context: frames that a window shows.
        horizon: frames that are to be predicted.
        cuts: whether to look for scene cuts.
    """
    products = ErrorProducts(min(horizon, FIT_HORIZON), len(members))
    if all(channels_of(member) is None for member in members):
        past = _gray(past)
    for windows in _windows(past, context, min(horizon, FIT_HORIZON), cuts):
        _add_errors(products, members, windows)
    if not products.measured:
        return Blend(members, torch.full((1, len(members)), 1 / len(members))).eval()
    return _without_idle(members, products.best_weights()).eval()


def default_members(net: Forecaster) -> list[Forecaster]:
    """What a network is blended with, the simplest last: the network, optical flow, the last frame."""
    return [net, OpticalFlow(), LastFrame()]


def member_states(state: State) -> list[State]:
    """The states of the members in the state of a :class:`Blend`."""
    tensors = iter(state[3:])
    return [tuple(next(tensors) for _ in range(size)) for size in state[2].tolist()]


def _join(frame: Frame, lead: int, states: Sequence[State]) -> State:
    sizes = torch.tensor([len(state) for state in states])
    return (frame, torch.tensor(lead), sizes, *(tensor for state in states for tensor in state))


@torch.inference_mode()
def _add_errors(products: ErrorProducts, members: Sequence[Forecaster], windows: ClipBatch) -> None:
    """Let every member predict windows, and add what it got wrong."""
    device = next((device_of(member) for member in members if any(True for _ in member.parameters())), None)
    context, target = (to_unit(part).to(device) for part in windows)
    horizon = target.shape[1]
    futures: list[Clip] = [member.eval()(context, horizon) for member in members]
    for window in range(len(target)):
        for lead in range(horizon):
            products.add(lead, torch.stack([future[window, lead] for future in futures]), target[window, lead])


def _windows(past: Shaped[Tensor, "n t c h w"], context: int, horizon: int, cuts: bool) -> Iterator[ClipBatch]:
    """Windows of the last scene of some of the clips, those of one clip as a batch, small, the last one among them."""
    chosen = np.unique(np.linspace(0, len(past) - 1, min(len(past), WINDOWS)).round().astype(int))
    for clip in past[chosen]:
        recent = torch.stack([shrink_raw(frame, FIT_SIDE) for frame in clip[-SPAN:]])
        scene = find_scenes(recent)[-1] if cuts else range(len(recent))
        if len(scene) < MIN_FRAMES:
            continue
        ahead = min(horizon, max(1, len(scene) * horizon // (context + horizon)))
        length = min(context + ahead, len(scene))
        wanted = min(max(1, WINDOWS // len(chosen)), len(scene) - length + 1)
        starts = np.unique(np.linspace(scene.stop - length, scene.start, wanted).round().astype(int))
        yield ClipBatch.cut(torch.stack([recent[start : start + length] for start in starts]), length - ahead)


def _gray(clips: Shaped[Tensor, "n t _c h w"]) -> Float[Tensor, "n t 1 h w"]:
    """The mean of the channels: the weights hardly depend on colour, and one channel costs a third of three."""
    return torch.stack([torch.stack([to_unit(frame).mean(dim=0, keepdim=True) for frame in clip]) for clip in clips])


def _without_idle(members: Sequence[Forecaster], weights: Float[Tensor, "k m"]) -> Blend:
    used = weights.amax(dim=0) > 0
    return Blend([member for member, use in zip(members, used.tolist(), strict=True) if use], weights[:, used])


def _simplex(members: int) -> Float[Tensor, "s m"]:
    """Every way to share out one whole in steps of 1 / ``STEPS``, the ones that favour later members first."""
    counts = [parts for parts in product(range(STEPS + 1), repeat=members) if sum(parts) == STEPS]
    return torch.tensor(counts, dtype=torch.float64) / STEPS
