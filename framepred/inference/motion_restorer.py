"""Restore films: move the frames on both sides of a gap, and mix them by how well that rebuilds observed frames."""

from collections.abc import Callable, Sequence
from functools import cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from framepred.clips import Clip, Frame, Future
from framepred.inference.regions import shrink_by_area, spread
from framepred.inference.restore_candidates import (
    AFTER,
    BEFORE,
    CANDIDATES,
    LINEAR,
    MOVED_MEANS,
    Gap,
    usable_candidates,
)
from framepred.inference.restore_trials import Trial, trials
from framepred.inference.stacking import ErrorProducts
from framepred.models.devices import move_network
from framepred.restorer import Missing, Restorer, Sides, fill_gaps, runs
from framepred.warping import local_mean

AGREEMENT = (1 / 255, 4 / 255, 12 / 255)
"""Local root mean square differences of the two moved frames that divide regions: good, fair, poor, bad agreement."""

CHANGE = (1 / 255, 6 / 255)
"""The same of the two observed frames: still, slight change, much change."""

REGIONS = (len(AGREEMENT) + 1) * (len(CHANGE) + 1)

WINDOW = 9
"""Side, in pixels, of the window in which differences are averaged."""

SMOOTHING = 7
"""Side, in pixels, of the window that makes the borders between regions smooth."""

REGION_SIDE = 352
"""Longer side, in pixels, at which regions are found and weights are measured."""

PREFERENCE = 0.05
"""Pull of the whole frame's weights towards ``MOVED_MEANS``: a gap may differ from the trials, and on films in general
these are the best candidates."""

SHRINKAGE = 0.3
"""Pull of a region's weights towards those of the whole frame: few trials measure a region badly."""

DEFAULT_LINEAR = (0.0, 0.1, 0.2, 0.4)
"""Weight of linear interpolation by agreement where nothing can be measured: more the worse the two sides agree."""

NETWORK_SIDE = 128
"""Longer side, in pixels, up to which gray frames are offered to the network: it is trained on digits."""

Shares = Float[Tensor, "b q _h _w"]
Weights = Float[Tensor, "q m"]


class MotionRestorer(Restorer):
    """Moves the frames on both sides of a gap in several ways, and mixes the results by region.

    The candidates for a missing frame are those of :class:`~framepred.inference.restore_candidates.Gap`. Regions are
    divided by how well the two moved sides agree and by how much the picture changes. The weights of the candidates in
    each region are those with the least squared error on observed frames near the gap, which are hidden and rebuilt
    from equally distant frames where there are enough of them. At the start and the end of a clip the nearest observed
    frame is repeated.
    """

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, ``(b, m, c, h, w)``; see :class:`~framepred.restorer.Restorer`."""
        weights = _MeasuredWeights(clip, missing)

        def open_gap(near: Sides) -> Callable[[int], Frame]:
            gap = Gap(clip, missing, near)
            return lambda index: _rebuild(gap, index, weights.at(index, near))

        return fill_gaps(clip, missing, open_gap)


class _MeasuredWeights:
    """The weights of the candidates in each region that rebuild hidden frames of a clip best."""

    def __init__(self, clip: Clip, missing: Missing) -> None:
        self._clip = torch.stack([shrink_by_area(frame, REGION_SIDE) for frame in clip.unbind(dim=1)], dim=1)
        self._missing = missing
        self._gaps: dict[Sides, Gap] = {}  # several frames of a gap are measured on the same motion
        self._known: dict[tuple[int, int], Weights] = {}

    def at(self, index: int, near: Sides) -> Weights:
        """The weights for a missing frame between two observed ones."""
        steps = (index - near.before, near.after - index)
        if steps not in self._known:
            chosen = trials(self._missing.tolist(), *steps, near)
            self._known[steps] = self._measure(chosen) if chosen else _default_weights()
        return self._known[steps]

    def _measure(self, chosen: Sequence[Trial]) -> Weights:
        usable = usable_candidates()
        products = ErrorProducts(1, len(usable), REGIONS)
        for trial in chosen:
            gap = self._hide(Sides(trial.before, trial.after))
            candidates = torch.stack([gap.candidate(number, trial.hidden) for number in usable])
            shares = spread(_find_regions(gap, trial.hidden), _size(self._clip))
            for number, truth in enumerate(self._clip[:, trial.hidden]):
                products.add(0, candidates[:, number], truth, shares[number])
        preferred = [usable.index(number) for number in MOVED_MEANS]
        weights = torch.zeros(REGIONS, CANDIDATES)
        weights[:, usable] = products.best_weights(SHRINKAGE, preferred, PREFERENCE)[0]
        return weights

    def _hide(self, near: Sides) -> Gap:
        """The gap that results where the frames between two observed ones are hidden."""
        if near not in self._gaps:
            hidden = self._missing.clone()
            hidden[near.before + 1 : near.after] = True
            self._gaps[near] = Gap(self._clip, hidden, near)
        return self._gaps[near]


def _default_weights() -> Weights:
    """Weights where nothing can be measured: the moved means, and the less both sides agree the more linear."""
    linear = torch.tensor(DEFAULT_LINEAR).repeat_interleave(len(CHANGE) + 1)
    weights = torch.zeros(REGIONS, CANDIDATES)
    weights[:, LINEAR] = linear
    weights[:, MOVED_MEANS] = ((1 - linear) / len(MOVED_MEANS))[:, None]
    return weights


def _rebuild(gap: Gap, index: int, weights: Weights) -> Frame:
    """The weighted mean of the candidates that have a weight; where linear interpolation alone has, exactly that."""
    pixel_weights = torch.einsum("qm,bqhw->mbhw", weights.to(gap.before), _find_regions(gap, index))
    linear = gap.candidate(LINEAR, index)
    frame = linear
    for number in (weights.amax(dim=0) > 0).nonzero().flatten().tolist():
        if number != LINEAR:
            weight = spread(pixel_weights[number][:, None], _size(linear))
            frame = frame + weight * (gap.candidate(number, index) - linear)
    return frame


def _find_regions(gap: Gap, index: int) -> Shares:
    """Share of each pixel in each region, at most ``REGION_SIDE`` pixels wide, adding up to 1."""
    disagreement = _local_size(gap.candidate(BEFORE, index) - gap.candidate(AFTER, index))
    change = _local_size(gap.before - gap.after)
    number = _count_above(disagreement, AGREEMENT) * (len(CHANGE) + 1) + _count_above(change, CHANGE)
    return local_mean(functional.one_hot(number, REGIONS).movedim(-1, 1).to(change.dtype), SMOOTHING)


def _size(frame: Tensor) -> tuple[int, int]:
    return frame.shape[-2], frame.shape[-1]


def _local_size(difference: Frame) -> Float[Tensor, "b _h _w"]:
    """Root mean square over channels and the window around each pixel, at most ``REGION_SIDE`` pixels wide."""
    energy = shrink_by_area(difference.square().mean(dim=1, keepdim=True), REGION_SIDE)
    return local_mean(energy[:, 0], WINDOW).clamp(min=0).sqrt()


def _count_above(values: Float[Tensor, "b h w"], thresholds: Sequence[float]) -> Int64[Tensor, "b h w"]:
    """How many of the thresholds each value exceeds."""
    return torch.stack([values > threshold for threshold in thresholds]).sum(dim=0)


class AutoRestorer(Restorer):
    """Chooses between a restorer of films and a network, by which rebuilds hidden observed frames better.

    Args:
        films: the restorer of films.
        load: returns the network; it is called only for frames that it may be good at: small and gray.
    """

    def __init__(self, films: Restorer, load: Callable[[], Restorer]) -> None:
        super().__init__()
        self.films = films
        self._load = cache(load)

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, ``(b, m, c, h, w)``; see :class:`~framepred.restorer.Restorer`."""
        return self._choose(clip, missing).fill(clip, missing)

    def _choose(self, clip: Clip, missing: Missing) -> Restorer:
        hidden = hideable(missing)
        if clip.shape[2] > 1 or max(clip.shape[-2:]) > NETWORK_SIDE or not hidden.any():
            return self.films
        network = move_network(self._load(), clip.device).eval()
        errors = {net: _error_on(net, clip, missing, hidden) for net in (self.films, network)}
        return min(errors, key=errors.__getitem__)


def hideable(missing: Missing) -> Missing:
    """Observed frames to hide for a comparison: as many as the longest gap has, or fewer.

    Beside a gap at an end of the clip they are those next to it, so that they, too, have observed frames on one side
    only; at least half of the frames there stay. Otherwise they lie in the middle of the longest run of observed
    frames. All False where no frame can be hidden.
    """
    marks = missing.tolist()
    gaps, observed = ([run for run in runs(marks) if marks[run.start] is gone] for gone in (True, False))
    longest = max(gaps, key=len, default=range(0))
    hidden = torch.zeros_like(missing)
    if longest and 0 in longest:
        hidden[observed[0][: min(len(longest), len(observed[0]) // 2)]] = True
    elif longest and len(marks) - 1 in longest:
        hidden[observed[-1][::-1][: min(len(longest), len(observed[-1]) // 2)]] = True
    else:
        widest = max(observed, key=len)
        length = max(0, min(len(longest), len(widest) - 2))
        start = (len(widest) - length) // 2
        hidden[widest[start : start + length]] = True
    return hidden


def _error_on(net: Restorer, clip: Clip, missing: Missing, hidden: Missing) -> float:
    """Mean squared error of a pixel of hidden frames."""
    rebuilt = net.restore(clip.clamp(0, 1), missing | hidden)[:, hidden]
    return float((rebuilt - clip[:, hidden]).square().mean())
