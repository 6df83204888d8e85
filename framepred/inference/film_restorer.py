"""Restore films: move the frames on both sides of a gap, and mix them by how well that rebuilds observed frames."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain, groupby, islice, zip_longest
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from framepred.baselines.optical_flow import FORWARD_STEPS, measure_flow
from framepred.clips import Clip, Frame, Future
from framepred.inference.regions import spread
from framepred.inference.stacking import ErrorProducts
from framepred.restorer import Missing, Restorer, Sides, sides
from framepred.warping import local_mean, warp

CANDIDATES = 4
"""The frame before moved, the frame after moved, the mean of both, and linear interpolation without motion."""

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

TRIALS = 4
"""Observed frames that are hidden to measure the weights, at most: each costs about as much as one gap."""

MEAN = 2
"""Index of the mean of both moved frames among the candidates."""

PREFERENCE = 0.1
"""Pull of the whole frame's weights towards that mean: a gap may differ from the trials, and on films in general it is
the best candidate."""

SHRINKAGE = 0.3
"""Pull of a region's weights towards those of the whole frame: few trials measure a region badly."""

DEFAULT = ((0.1, 0.1, 0.8, 0.0), (0.1, 0.1, 0.7, 0.1), (0.1, 0.1, 0.6, 0.2), (0.1, 0.1, 0.4, 0.4))
"""Weights of the candidates by agreement where nothing can be measured: the worse the two sides agree, the more linear
interpolation."""

NETWORK_SIDE = 128
"""Longer side, in pixels, up to which gray frames are offered to the network: it is trained on digits."""

Candidates = Float[Tensor, "m b c h w"]
Shares = Float[Tensor, "b q _h _w"]


class Trial(NamedTuple):
    """Indices of an observed frame that is hidden, and of the two observed frames that it is rebuilt from."""

    before: int
    hidden: int
    after: int


class MotionRestorer(Restorer):
    """Moves the frames on both sides of a gap along the optical flow between them, and mixes them by region.

    Candidates for a missing frame: each side moved to its time (as in
    :class:`~framepred.baselines.MotionCompensated`), their mean by distance, and linear interpolation. Regions are
    divided by how well the two moved sides agree and by how much the picture changes. The weights of the candidates in
    each region are those with the least squared error on observed frames near the gap, which are hidden and rebuilt
    from equally distant frames where there are enough of them. At the start and the end of a clip the nearest observed
    frame is repeated.
    """

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, ``(b, m, c, h, w)``; see :class:`~framepred.restorer.Restorer`."""
        indices = missing.nonzero().flatten().tolist()
        found: list[Frame] = []
        known: dict[tuple[int, int], Float[Tensor, "q m"]] = {}
        motions: dict[Sides, Motion] = {}
        for index, near in zip(indices, sides(missing), strict=True):
            if near.before == near.after:
                found.append(clip[:, near.before])
                continue
            steps = (index - near.before, near.after - index)
            if steps not in known:
                known[steps] = _measure(clip, trials(missing.tolist(), *steps, near))
            if near not in motions:
                motions[near] = Motion(clip[:, near.before], clip[:, near.after])
            found.append(_rebuild(motions[near], steps[0] / sum(steps), known[steps]))
        return torch.stack(found, dim=1)


class Motion:
    """The frames on both sides of a gap, and the optical flow between them in both directions."""

    def __init__(self, before: Frame, after: Frame) -> None:
        self.before, self.after = before, after
        self.forward, self.backward = measure_flow(before, after, fine=True), measure_flow(after, before, fine=True)

    def candidates(self, time: float) -> Candidates:
        """The candidates for the frame at ``time`` in (0, 1) between the two."""
        moved_before = warp(self.before, _sampling(self.forward, time))
        moved_after = warp(self.after, _sampling(self.backward, 1 - time))
        mean = moved_before.lerp(moved_after, time)
        return torch.stack([moved_before, moved_after, mean, self.before.lerp(self.after, time)])

    def regions(self, candidates: Candidates) -> Shares:
        """Share of each pixel in each region, at most ``REGION_SIDE`` pixels wide, adding up to 1."""
        disagreement = _local_size(candidates[0] - candidates[1])
        change = _local_size(self.before - self.after)
        number = _count_above(disagreement, AGREEMENT) * (len(CHANGE) + 1) + _count_above(change, CHANGE)
        return local_mean(functional.one_hot(number, REGIONS).movedim(-1, 1).to(change.dtype), SMOOTHING)


def trials(missing: Sequence[bool], before: int, after: int, near: Sides) -> list[Trial]:
    """Observed frames that can be hidden, rebuilt from frames about as distant as those of a missing frame.

    Both outer frames and the hidden one are observed; what lies between does not matter. The distances are halved until
    a trial fits, so that a long gap is measured on shorter ones; where none fits, as with every second frame missing,
    they are multiplied. Those nearest to the gap are taken, from both sides of
    it in turn.

    Args:
        missing: for each frame of the clip, whether it is missing.
        before: frames from the observed frame before the gap to the missing one.
        after: frames from the missing one to the observed frame after the gap.
        near: the observed frames of the gap.
    """
    for first, second in _distances(before, after, len(missing)):
        found = [
            Trial(start, start + first, start + first + second)
            for start in range(len(missing) - first - second)
            if not (missing[start] or missing[start + first] or missing[start + first + second])
        ]
        if found:
            return _nearest(found, near)
    return []


def _distances(before: int, after: int, frames: int) -> Iterator[tuple[int, int]]:
    """The distances of a missing frame, then shorter ones, then longer ones up to the length of the clip."""
    yield before, after
    shorter = (before, after)
    while max(shorter) > 1:
        shorter = (max(1, shorter[0] // 2), max(1, shorter[1] // 2))
        yield shorter
    factor = 2
    while factor * (before + after) < frames:
        yield factor * before, factor * after
        factor += 1


def _nearest(found: Sequence[Trial], near: Sides) -> list[Trial]:
    """The trials nearest to a gap, from both sides of it in turn."""
    offsets = sorted((trial.before + trial.after - near.before - near.after, trial) for trial in found)
    earlier = [trial for offset, trial in reversed(offsets) if offset < 0]
    later = [trial for offset, trial in offsets if offset >= 0]
    turns = chain.from_iterable(zip_longest(earlier, later))
    return list(islice((trial for trial in turns if trial is not None), TRIALS))


def _measure(clip: Clip, chosen: Sequence[Trial]) -> Float[Tensor, "q m"]:
    """The weights of the candidates in each region that rebuild hidden frames best."""
    if not chosen:
        return torch.tensor(DEFAULT).repeat_interleave(len(CHANGE) + 1, dim=0)
    products = ErrorProducts(1, CANDIDATES, REGIONS)
    for trial in chosen:
        before, hidden, after = (_small(clip[:, index]) for index in trial)
        motion = Motion(before, after)
        candidates = motion.candidates((trial.hidden - trial.before) / (trial.after - trial.before))
        shares = motion.regions(candidates)
        for number, truth in enumerate(hidden):
            products.add(0, candidates[:, number], truth, spread(shares, _size(truth))[number])
    return products.best_weights(SHRINKAGE, MEAN, PREFERENCE)[0]


def _rebuild(motion: Motion, time: float, weights: Float[Tensor, "q m"]) -> Frame:
    candidates = motion.candidates(time)
    pixel_weights = torch.einsum("qm,bqhw->mbhw", weights.to(candidates), motion.regions(candidates))
    return _mix(candidates, pixel_weights)


def _mix(candidates: Candidates, weights: Float[Tensor, "m b _h _w"]) -> Frame:
    """The weighted mean; where linear interpolation alone has a weight, exactly that."""
    frame = candidates[-1]
    for candidate, weight in zip(candidates[:-1], weights[:-1], strict=True):
        frame = frame + spread(weight[:, None], _size(frame)) * (candidate - candidates[-1])
    return frame


def _sampling(flow: Float[Tensor, "b 2 h w"], time: float) -> Float[Tensor, "b 2 h w"]:
    """Displacement from each pixel at ``time`` back to its source: d(x) = -time · flow(x + d(x))."""
    displacement = -time * flow
    for _ in range(FORWARD_STEPS):
        displacement = -time * warp(flow, displacement)
    return displacement


def _size(frame: Tensor) -> tuple[int, int]:
    return frame.shape[-2], frame.shape[-1]


def _small(frame: Frame) -> Float[Tensor, "b c _h _w"]:
    ratio = min(1.0, REGION_SIDE / max(frame.shape[-2:]))
    size = tuple(max(1, round(side * ratio)) for side in frame.shape[-2:])
    return frame if ratio == 1 else functional.interpolate(frame, size, mode="area")


def _local_size(difference: Frame) -> Float[Tensor, "b _h _w"]:
    """Root mean square over channels and the window around each pixel, at most ``REGION_SIDE`` pixels wide."""
    energy = _small(difference.square().mean(dim=1, keepdim=True))
    return local_mean(energy[:, 0], WINDOW).clamp(min=0).sqrt()


def _count_above(values: Float[Tensor, "b h w"], thresholds: Sequence[float]) -> Int64[Tensor, "b h w"]:
    """How many of the thresholds each value exceeds."""
    return torch.stack([values > threshold for threshold in thresholds]).sum(dim=0)


class AutoRestorer(Restorer):
    """Chooses between motion and a network for each gap, by which rebuilds hidden observed frames better.

    Args:
        load: returns the network; it is called only for frames that it may be good at: small and gray.
    """

    def __init__(self, load: Callable[[], Restorer]) -> None:
        super().__init__()
        self.motion = MotionRestorer()
        self._load = cache(load)

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, ``(b, m, c, h, w)``; see :class:`~framepred.restorer.Restorer`."""
        return self._choose(clip, missing).fill(clip, missing)

    def _choose(self, clip: Clip, missing: Missing) -> Restorer:
        hidden = hideable(missing)
        if clip.shape[2] > 1 or max(clip.shape[-2:]) > NETWORK_SIDE or not hidden.any():
            return self.motion
        network = self._load().to(clip.device).eval()
        errors = {net: _error_on(net, clip, missing, hidden) for net in (self.motion, network)}
        return min(errors, key=errors.__getitem__)


def hideable(missing: Missing) -> Missing:
    """Observed frames to hide for a comparison: a run as long as the longest gap, or shorter, beside observed frames.

    All False where no observed frame has observed neighbours on both sides.
    """
    marks = missing.tolist()
    longest = max((len(list(run)) for gone, run in groupby(marks) if gone), default=0)
    for length in range(longest, 0, -1):
        for start in range(1, len(marks) - length):
            if not any(marks[start - 1 : start + length + 1]):
                hidden = torch.zeros_like(missing)
                hidden[start : start + length] = True
                return hidden
    return torch.zeros_like(missing)


def _error_on(net: Restorer, clip: Clip, missing: Missing, hidden: Missing) -> float:
    """Mean squared error of a pixel of hidden frames."""
    rebuilt = net.restore(clip.clamp(0, 1), missing | hidden)[:, hidden]
    return float((rebuilt - clip[:, hidden]).square().mean())
