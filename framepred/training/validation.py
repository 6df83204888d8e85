"""Scores of a validation: metrics of a protocol over the clips of all processes, and signs of collapse."""

from dataclasses import dataclass

import torch
from torch import Tensor

from framepred.clips import Clip
from framepred.evaluation.averages import process_count, process_rank
from framepred.evaluation.cards import DataRecord, Interval
from framepred.evaluation.protocols import Measures, Protocol, ProtocolVersion
from framepred.evaluation.scorer import ClipScores
from framepred.evaluation.tables import metric_columns, shows_sums


@dataclass(frozen=True)
class ValidationScore:
    """The result of a validation.

    Attributes:
        protocol: name and version of the protocol.
        data: number of clips, horizon, size of a frame and digits.
        metrics: the metrics by name, with 95 % intervals.
        note: one sentence if the predictions have collapsed; empty if they have not.
        measures: the protocol's metrics by name.
    """

    protocol: ProtocolVersion
    data: DataRecord
    metrics: dict[str, Interval]
    note: str
    measures: Measures

    @property
    def summary(self) -> str:
        """Every metric in a line. Large frames show PSNR first and errors per pixel, beside the sum that logs hold."""
        shown = metric_columns(self.metrics, self.measures, self.data)
        parts = [f"{column.heading[:-2]} {column.interval(self.metrics[column.metric], self.data)}" for column in shown]
        if shows_sums(self.data):
            parts[0] = f"val/{parts[0]}"
        else:
            parts.append(f"val/mse {self.metrics['mse'].value:.2f}")
        return f"{', '.join(parts)} ({self.data.clips:,} clips, protocol {self.protocol})"


class Validation:
    """Scores the clips of one validation as they pass.

    Metrics whose window is larger than the frames are left out.

    Args:
        protocol: defines the metrics.
        target: true frames ``(b, t, c, h, w)`` of a batch, for sizes and device.
        digits: name of the digits that the clips are made of, if they are.
    """

    def __init__(self, protocol: Protocol, target: Tensor, digits: str | None = None) -> None:
        _, self.horizon, channels, height, width = target.shape
        self.protocol, self.size, self.digits = protocol, (channels, height, width), digits
        fitting = {name: one for name, one in protocol.measures.items() if one.min_side <= min(height, width)}
        self.model = ClipScores(fitting, target.device)
        self.blank = ClipScores({"mse": fitting["mse"]}, target.device)

    def add(self, pred: Clip, target: Clip) -> None:
        """Score the next clips of this process; process r of w gets the clips r, r + w, r + 2w, …."""
        rank, world, done = process_rank(), process_count(), self.model.clips
        numbers = range(rank + done * world, rank + (done + len(target)) * world, world)
        self.model.add(pred, target, numbers)
        self.blank.add(torch.zeros_like(target), target, numbers)

    def score(self) -> ValidationScore | None:
        """The score of the clips of all processes, each of which must call this; None if there was no clip."""
        if process_count() > 1:
            self.model.gather()
            self.blank.gather()
        if not self.model.clips:
            return None
        metrics = {name: Interval(one.value, one.low, one.high) for name, one in self.model.scores().items()}
        note = self.model.statistics.collapse(metrics["mse"].value, self.blank.scores()["mse"].value)
        data = DataRecord(
            "validation", clips=self.model.clips, horizon=self.horizon, size=self.size, digits=self.digits
        )
        return ValidationScore(self.protocol.id, data, metrics, note, self.protocol.measures)
