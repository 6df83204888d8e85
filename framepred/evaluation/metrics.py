"""Averages of per-frame formulas over clips, with bootstrap intervals, in constant memory."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchmetrics import Metric

from framepred.clips import Clip
from framepred.errors import ClipError, ConfigError, DataError
from framepred.evaluation.formulas import FrameFormula, Truth


@lru_cache(maxsize=1)  # metrics updated with the same clips share one draw
def poisson_weights(seed: int, rank: int, first: int, clips: int, replicates: int) -> UInt8[Tensor, "clips replicates"]:
    """How often clips ``first``, ``first + 1``, … count in each replicate; do not write into the result.

    A clip's weights depend on the seed, the process and its place in the order alone: not on the batch size.

    Args:
        seed: of the whole bootstrap, at least 0.
        rank: of the process, whose clips are others than its neighbours'.
        first: place of the first of these clips among those the process has seen.
        clips: how many clips.
        replicates: how many replicates.
    """
    rows = [np.random.default_rng((seed, rank, clip)).poisson(size=replicates) for clip in range(first, first + clips)]
    return torch.from_numpy(np.asarray(rows, dtype=np.uint8).reshape(clips, replicates))


class Score(NamedTuple):
    """What a metric came to.

    ``value`` is the mean over clips and lead times, ``low`` and ``high`` bound its 95 % bootstrap interval over clips,
    and ``lead_times`` holds the mean over clips for each predicted frame.
    """

    value: float
    low: float
    high: float
    lead_times: tuple[float, ...]


class FrameMetric(Metric):
    """Mean of a per-frame formula, overall and by lead time, with a 95 % interval over clips.

    Only float64 sums are kept, however many clips come. Sums add up over processes; clips may be split into batches in
    any way. The interval is a Poisson bootstrap, see ``bootstrap``.

    Args:
        formula: gives each frame's value, ``(b, t, c, h, w), (b, t, c, h, w) → (b, t)``.
        horizon: lead times t; None takes it from the first update. Give it where a process may see no clip at all.
        replicates: of the bootstrap.
        seed: of the bootstrap; metrics of one seed weigh the same clips alike, so their intervals are paired.
        sync_on_compute: whether ``compute`` adds up over all processes.

    Raises:
        ConfigError: if ``replicates`` or ``horizon`` is less than 1, or ``seed`` is negative.
    """

    full_state_update = True  # forward() must not restart the order of clips, on which the bootstrap depends

    clips: Tensor
    frame_sums: Float[Tensor, " t"]
    replicate_sums: Float[Tensor, " r"]
    replicate_clips: Float[Tensor, " r"]

    def __init__(
        self,
        formula: FrameFormula,
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
        self.add_state("clips", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("frame_sums", torch.zeros(horizon or 0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("replicate_sums", torch.zeros(replicates, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("replicate_clips", torch.zeros(replicates, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, pred: Clip, target: Truth) -> None:
        """Take in predictions and targets, ``(b, t, c, h, w)``.

        Raises:
            ClipError: if the shapes differ, or t is not that of the clips before.
        """
        values = self.formula(pred, target).to(self.replicate_sums)  # (b, t)
        clips, horizon = values.shape
        weights = poisson_weights(self.seed, _rank(), int(self.clips), clips, self.replicates).to(values)  # (b, r)
        self.frame_sums = self._sums_over(horizon) + values.sum(dim=0)
        self.clips = self.clips + clips
        self.replicate_sums = self.replicate_sums + values.mean(dim=1) @ weights
        self.replicate_clips = self.replicate_clips + weights.sum(dim=0)

    def compute(self) -> Score:
        """The score of all clips so far.

        Raises:
            DataError: if there was none.
        """
        if self.clips == 0:
            raise DataError("A metric that has seen no clip has no value; update it with at least one.")
        by_lead_time = self.frame_sums / self.clips
        value = by_lead_time.mean()
        # A replicate that left every clip out, likely only where clips are few, says nothing: it stays at the value.
        means = torch.where(self.replicate_clips > 0, self.replicate_sums / self.replicate_clips, value)
        low, high = means.quantile(means.new_tensor([0.025, 0.975])).tolist()
        return Score(value.item(), low, high, tuple(by_lead_time.tolist()))

    def _sums_over(self, horizon: int) -> Float[Tensor, " t"]:
        """The sums so far, zeros if this is the first update."""
        if len(self.frame_sums) == 0:
            return self.frame_sums.new_zeros(horizon)
        if len(self.frame_sums) != horizon:
            raise ClipError(
                f"This metric averages over {len(self.frame_sums)} lead times but got clips of {horizon} frames; "
                "give each horizon its own metric."
            )
        return self.frame_sums


def _rank() -> int:
    """This process's number among those that share the clips."""
    distributed = torch.distributed
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0
