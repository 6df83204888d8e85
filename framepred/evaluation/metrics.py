"""Metrics of torchmetrics: averages of formulas over clips whose sums add up over processes."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from framepred.clips import Clip
from framepred.evaluation.averages import ClipAverage, Score, Sums
from framepred.evaluation.formulas import ClipFormula, Truth


class ClipMetric(Metric):
    """A :class:`framepred.evaluation.averages.ClipAverage` as a torchmetrics metric.

    Args:
        formula: see ``ClipAverage``.
        horizon: lead times t; None takes it from the first update. Give it where a process may get no clip at all.
        replicates: see ``ClipAverage``.
        seed: see ``ClipAverage``.
        options: keyword arguments of ``torchmetrics.Metric``, such as ``sync_on_compute``.

    Attributes:
        latest: the value of each clip of the last update, ``(b,)``, the mean over its frames.

    Raises:
        ConfigError: if ``replicates`` or ``horizon`` is less than 1, or ``seed`` is negative.

    >>> import torch
    >>> from framepred.evaluation import find_protocol
    >>> metric = ClipMetric(find_protocol("openstl").measures["mse"].formula)
    >>> metric.update(torch.zeros(3, 2, 1, 8, 8), torch.full((3, 2, 1, 8, 8), 0.5))
    >>> metric.compute().value
    16.0
    """

    full_state_update = True  # forward() must not restart the numbering of clips, on which the bootstrap depends

    seen: Tensor
    clips: Tensor
    frame_sums: Float[Tensor, " t"]
    replicate_sums: Float[Tensor, " r"]
    replicate_frame_sums: Float[Tensor, "t r"]
    replicate_clips: Float[Tensor, " r"]

    def __init__(
        self,
        formula: ClipFormula,
        *,
        horizon: int | None = None,
        replicates: int = 1000,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.average = ClipAverage(formula, horizon=horizon, replicates=replicates, seed=seed)
        for name, zeros in self.average.sums._asdict().items():
            self.add_state(name, zeros, dist_reduce_fx="sum")

    @property
    def latest(self) -> Float[Tensor, " b"]:
        """The value of each clip of the last update."""
        return self.average.latest

    def update(self, pred: Clip, target: Truth, numbers: Sequence[int] | None = None) -> None:
        """Add predictions and targets, ``(b, t, c, h, w)``; see ``ClipAverage.update``.

        Raises:
            ClipError: if the shapes differ, or t is not that of the clips before.
        """
        self._load_sums()
        self.average.update(pred, target, numbers)
        for name, value in self.average.sums._asdict().items():
            setattr(self, name, value)

    def compute(self) -> Score:
        """The score of all clips so far, of all processes.

        Raises:
            DataError: if there was none.
        """
        self._load_sums()
        return self.average.score()

    def _load_sums(self) -> None:
        """Take over the states, which torchmetrics resets, moves and adds up."""
        self.average.sums = Sums(*(getattr(self, name) for name in Sums._fields))
