"""Averages of formulas over clips, with bootstrap intervals, in constant memory; torchmetrics is not imported."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from framepred.clips import Clip
from framepred.errors import ClipError, ConfigError, DataError
from framepred.evaluation.formulas import ClipFormula, Truth

BOUNDS = (0.025, 0.975)
"""Quantiles that bound a 95 % interval."""


@lru_cache(maxsize=1)  # metrics that are updated with the same clips share one draw
def poisson_weights(seed: int, numbers: Sequence[int], replicates: int) -> UInt8[Tensor, "clips replicates"]:
    """Number of times each clip counts in each bootstrap replicate; callers must not modify the result.

    The weights of a clip depend on the seed and the clip's number only, not on the batch size or on the process.

    Args:
        seed: of the bootstrap, at least 0.
        numbers: the clips' numbers, hashable.
        replicates: how many replicates.
    """
    # The middle 0 keeps the intervals of cards that framepred 0.1.0 wrote.
    rows = [np.random.default_rng((seed, 0, number)).poisson(size=replicates) for number in numbers]
    return torch.from_numpy(np.asarray(rows, dtype=np.uint8).reshape(len(numbers), replicates))


class Score(NamedTuple):
    """The result of a metric.

    Attributes:
        value: mean over clips and lead times.
        low: lower bound of the 95 % bootstrap interval over clips.
        high: upper bound of the same interval.
        lead_times: mean over clips for each predicted frame; empty for a metric with one value per clip.
        lead_intervals: the bounds (low, high) for each predicted frame.
    """

    value: float
    low: float
    high: float
    lead_times: tuple[float, ...] = ()
    lead_intervals: tuple[tuple[float, float], ...] = ()


class Sums(NamedTuple):
    """Sums over clips, all that an average keeps; sums of several processes add up.

    ``t`` counts lead times, or is 1 for one value per clip; ``r`` counts bootstrap replicates. ``clips`` counts those
    with a value, ``seen`` all of them.
    """

    seen: Int[Tensor, ""]
    clips: Int[Tensor, ""]
    frame_sums: Float[Tensor, " t"]
    replicate_sums: Float[Tensor, " r"]
    replicate_frame_sums: Float[Tensor, "t r"]
    replicate_clips: Float[Tensor, " r"]

    @classmethod
    def empty(cls, horizon: int, replicates: int) -> "Sums":
        """The sums of no clips, float64."""
        zeros = torch.zeros(horizon, replicates, dtype=torch.float64)
        total = torch.zeros(replicates, dtype=torch.float64)
        none = torch.zeros((), dtype=torch.int64)
        return cls(none, none.clone(), zeros.sum(dim=1), total, zeros, total.clone())

    def to(self, device: torch.device) -> "Sums":
        """The sums on a device."""
        return Sums(*(part.to(device) for part in self))

    def plus(self, values: Float[Tensor, "b t"], weights: Float[Tensor, "b r"], seen: int) -> "Sums":
        """The sums with further clips, given their values and how often each counts in each replicate."""
        return Sums(
            self.seen + seen,
            self.clips + len(values),
            self.frame_sums + values.sum(dim=0),
            self.replicate_sums + values.mean(dim=1) @ weights,
            self.replicate_frame_sums + values.T @ weights,
            self.replicate_clips + weights.sum(dim=0),
        )

    def means(self) -> tuple[Float[Tensor, " t"], Float[Tensor, " 2"], Float[Tensor, "2 t"]]:
        """Return the mean at each lead time, the interval of the overall mean, and the interval at each lead time."""
        by_lead_time = self.frame_sums / self.clips
        overall = self._bounds(self.replicate_sums, by_lead_time.mean())
        return by_lead_time, overall, self._bounds(self.replicate_frame_sums, by_lead_time[:, None])

    def _bounds(self, sums: Float[Tensor, "... r"], value: Float[Tensor, "..."]) -> Float[Tensor, "2 ..."]:
        """Quantiles over replicates; a replicate without clips, likely only where clips are few, gets ``value``."""
        means = torch.where(self.replicate_clips > 0, sums / self.replicate_clips, value)
        return means.quantile(means.new_tensor(BOUNDS), dim=-1)


class ClipAverage:
    """Mean of a formula over clips, overall and by lead time, with 95 % intervals.

    The state consists of float64 sums, however many clips there are, and clips may be split into batches in any way.
    The interval is a Poisson bootstrap (Hanley & MacGibbon 2006): in each replicate every clip counts a
    Poisson-distributed number of times.

    A frame without a value, because all its true pixels are missing (NaN), counts as the mean of the clip's other
    frames. A clip without any value is left out.

    Args:
        formula: maps predictions and targets ``(b, t, c, h, w)`` to one value per frame, ``(b, t)``, or per clip,
            ``(b,)``.
        horizon: lead times t; None takes it from the first update.
        replicates: of the bootstrap.
        seed: of the bootstrap; averages with one seed weight the same clips alike, so their intervals are paired.

    Attributes:
        latest: the value of each clip of the last update, ``(b,)``, the mean over its frames; NaN for a clip without
            a value.
        per_frame: whether the formula gives one value per frame.

    Raises:
        ConfigError: if ``replicates`` or ``horizon`` is less than 1, or ``seed`` is negative.

    >>> from framepred.evaluation import find_protocol
    >>> average = ClipAverage(find_protocol("openstl").measures["mse"].formula)
    >>> average.update(torch.zeros(3, 2, 1, 8, 8), torch.full((3, 2, 1, 8, 8), 0.5))
    >>> average.score().value
    16.0
    """

    latest: Float[Tensor, " b"]

    def __init__(
        self, formula: ClipFormula, *, horizon: int | None = None, replicates: int = 1000, seed: int = 0
    ) -> None:
        if replicates < 1 or seed < 0 or (horizon is not None and horizon < 1):
            raise ConfigError(
                f"A metric needs replicates ≥ 1, seed ≥ 0 and horizon ≥ 1 or None, "
                f"not replicates {replicates}, seed {seed} and horizon {horizon}."
            )
        self.formula, self.replicates, self.seed = formula, replicates, seed
        self.per_frame = True
        self.sums = Sums.empty(horizon or 0, replicates)

    @torch.no_grad()
    def update(self, pred: Clip, target: Truth, numbers: Sequence[int] | None = None) -> None:
        """Add predictions and targets, ``(b, t, c, h, w)``.

        Args:
            pred: the predictions.
            target: the true frames, NaN where a pixel is missing.
            numbers: the clips' numbers in the data, for the bootstrap; None assumes that process r of w gets the clips
                r, r + w, r + 2w, … in this order, as ``OrderedBatches`` deals them.

        Raises:
            ClipError: if the shapes differ, or t is not that of the clips before.
        """
        values = self.formula(pred, target).to(self.sums.replicate_sums)
        self.per_frame = values.ndim == 2
        values = values if self.per_frame else values[:, None]  # (b, t), or (b, 1) for one value per clip
        count, horizon = values.shape
        numbers = self._next_numbers(count) if numbers is None else tuple(numbers)
        weights = poisson_weights(self.seed, numbers, self.replicates).to(values)  # (b, r)
        self._check_horizon(horizon)
        if values.isnan().any():
            broken = _is_broken(pred, target).to(values.device)
            values = _without_gaps(values, broken)
            known = broken | ~values.isnan().any(dim=1)
            self.latest = values.mean(dim=1)
            values, weights = values[known], weights[known]
        else:
            self.latest = values.mean(dim=1)
        self.sums = self.sums.plus(values, weights, count)

    def score(self) -> Score:
        """The score of the clips so far, in this process.

        Raises:
            DataError: if there was no clip.
        """
        if self.sums.clips == 0:
            raise DataError("There is no clip with measured pixels to score; give at least one.")
        means, overall, by_lead_time = self.sums.means()
        low, high = overall.tolist()
        if not self.per_frame:
            return Score(means.mean().item(), low, high)
        intervals = tuple((lower, upper) for lower, upper in by_lead_time.T.tolist())
        return Score(means.mean().item(), low, high, tuple(means.tolist()), intervals)

    def _next_numbers(self, count: int) -> range:
        rank, world, seen = process_rank(), process_count(), int(self.sums.seen)
        return range(rank + seen * world, rank + (seen + count) * world, world)

    def _check_horizon(self, horizon: int) -> None:
        """Give the sums their length on the first update; refuse another length later."""
        known = len(self.sums.frame_sums)
        if known == 0:
            self.sums = Sums.empty(horizon, self.replicates).to(self.sums.clips.device)
        elif known != horizon:
            raise ClipError(
                f"This metric averages over {known} lead times but got clips of {horizon} frames; "
                "use one metric per horizon."
            )


def _without_gaps(values: Float[Tensor, "b t"], broken: Bool[Tensor, " b"]) -> Float[Tensor, "b t"]:
    """Give frames without a value the mean of the clip's other frames; values of broken predictions stay NaN."""
    others = values.nanmean(dim=1).masked_fill(broken, torch.nan)
    return torch.where(values.isnan(), others[:, None], values)


def _is_broken(pred: Clip, target: Truth) -> Bool[Tensor, " b"]:
    """Which predictions are not finite at a pixel that is not missing, so that NaN must show in the score."""
    return ~(pred.isfinite() | target.isnan()).flatten(1).all(dim=1)


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def process_rank() -> int:
    """Number of this process among those that share the clips."""
    return torch.distributed.get_rank() if _distributed() else 0


def process_count() -> int:
    """How many processes share the clips."""
    return torch.distributed.get_world_size() if _distributed() else 1
