"""Averages of formulas over clips, with bootstrap intervals, in constant memory."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchmetrics import Metric

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


class ClipMetric(Metric):
    """Mean of a formula over clips, overall and by lead time, with 95 % intervals.

    The state consists of float64 sums, however many clips there are. Sums add up over processes, and clips may be split
    into batches in any way. The interval is a Poisson bootstrap (Hanley & MacGibbon 2006): in each replicate every clip
    counts a Poisson-distributed number of times.

    Args:
        formula: maps predictions and targets ``(b, t, c, h, w)`` to one value per frame, ``(b, t)``, or per clip,
            ``(b,)``.
        horizon: lead times t; None takes it from the first update. Give it where a process may get no clip at all.
        replicates: of the bootstrap.
        seed: of the bootstrap; metrics with one seed weight the same clips alike, so their intervals are paired.
        sync_on_compute: whether ``compute`` adds up over all processes.

    Attributes:
        latest: the value of each clip of the last update, ``(b,)``, the mean over its frames.

    Raises:
        ConfigError: if ``replicates`` or ``horizon`` is less than 1, or ``seed`` is negative.

    >>> from framepred.evaluation import find_protocol
    >>> metric = ClipMetric(find_protocol("openstl").measures["mse"].formula)
    >>> metric.update(torch.zeros(3, 2, 1, 8, 8), torch.full((3, 2, 1, 8, 8), 0.5))
    >>> metric.compute().value
    16.0
    """

    full_state_update = True  # forward() must not restart the numbering of clips, on which the bootstrap depends

    clips: Tensor
    frame_sums: Float[Tensor, " t"]
    replicate_sums: Float[Tensor, " r"]
    replicate_frame_sums: Float[Tensor, "t r"]
    replicate_clips: Float[Tensor, " r"]
    latest: Float[Tensor, " b"]

    def __init__(
        self,
        formula: ClipFormula,
        *,
        horizon: int | None = None,
        replicates: int = 1000,
        seed: int = 0,
        sync_on_compute: bool = True,
    ) -> None:
        super().__init__(sync_on_compute=sync_on_compute)
        if replicates < 1 or seed < 0 or (horizon is not None and horizon < 1):
            raise ConfigError(
                f"A metric needs replicates ≥ 1, seed ≥ 0 and horizon ≥ 1 or None, "
                f"not replicates {replicates}, seed {seed} and horizon {horizon}."
            )
        self.formula, self.replicates, self.seed = formula, replicates, seed
        self.per_frame = True
        zeros = torch.zeros(horizon or 0, replicates, dtype=torch.float64)
        self.add_state("clips", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("frame_sums", torch.zeros(horizon or 0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("replicate_sums", torch.zeros(replicates, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("replicate_frame_sums", zeros, dist_reduce_fx="sum")
        self.add_state("replicate_clips", torch.zeros(replicates, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, pred: Clip, target: Truth, numbers: Sequence[int] | None = None) -> None:
        """Add predictions and targets, ``(b, t, c, h, w)``.

        Args:
            pred: the predictions.
            target: the true frames.
            numbers: the clips' numbers in the data, for the bootstrap; None assumes that process r of w gets the clips
                r, r + w, r + 2w, … in this order, as ``OrderedBatches`` deals them.

        Raises:
            ClipError: if the shapes differ, or t is not that of the clips before.
        """
        values = self.formula(pred, target).to(self.replicate_sums)
        self.per_frame = values.ndim == 2
        per_frame = values if self.per_frame else values[:, None]  # (b, t), or (b, 1) for one value per clip
        count, horizon = per_frame.shape
        numbers = self._next_numbers(count) if numbers is None else tuple(numbers)
        weights = poisson_weights(self.seed, numbers, self.replicates).to(values)  # (b, r)
        self._check_horizon(horizon)
        self.latest = per_frame.mean(dim=1)
        self.frame_sums = self.frame_sums + per_frame.sum(dim=0)
        self.clips = self.clips + count
        self.replicate_sums = self.replicate_sums + self.latest @ weights
        self.replicate_frame_sums = self.replicate_frame_sums + per_frame.T @ weights
        self.replicate_clips = self.replicate_clips + weights.sum(dim=0)

    def compute(self) -> Score:
        """The score of all clips so far, of all processes.

        Raises:
            DataError: if there was none.
        """
        return self.score()

    def score(self) -> Score:
        """The score of the sums as they are, without adding up over processes.

        Raises:
            DataError: if there was no clip.
        """
        if self.clips == 0:
            raise DataError("A metric without clips has no value; update it with at least one.")
        by_lead_time = self.frame_sums / self.clips
        value = by_lead_time.mean()
        low, high = self._bounds(self.replicate_sums, value).tolist()
        if not self.per_frame:
            return Score(value.item(), low, high)
        by_lead_bounds = self._bounds(self.replicate_frame_sums, by_lead_time[:, None]).T.tolist()
        intervals = tuple((lower, upper) for lower, upper in by_lead_bounds)
        return Score(value.item(), low, high, tuple(by_lead_time.tolist()), intervals)

    def _bounds(self, sums: Float[Tensor, "... r"], value: Float[Tensor, "..."]) -> Float[Tensor, "2 ..."]:
        """Quantiles over replicates; a replicate without clips, likely only where clips are few, gets ``value``."""
        means = torch.where(self.replicate_clips > 0, sums / self.replicate_clips, value)
        return means.quantile(means.new_tensor(BOUNDS), dim=-1)

    def _next_numbers(self, count: int) -> range:
        rank, world = process_rank(), process_count()
        return range(rank + int(self.clips) * world, rank + (int(self.clips) + count) * world, world)

    def _check_horizon(self, horizon: int) -> None:
        """Give the sums their length on the first update; refuse another length later."""
        if len(self.frame_sums) == 0:
            self.frame_sums = self.frame_sums.new_zeros(horizon)
            self.replicate_frame_sums = self.replicate_frame_sums.new_zeros(horizon, self.replicates)
        if len(self.frame_sums) != horizon:
            raise ClipError(
                f"This metric averages over {len(self.frame_sums)} lead times but got clips of {horizon} frames; "
                "use one metric per horizon."
            )


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def process_rank() -> int:
    """Number of this process among those that share the clips."""
    return torch.distributed.get_rank() if _distributed() else 0


def process_count() -> int:
    """How many processes share the clips."""
    return torch.distributed.get_world_size() if _distributed() else 1
