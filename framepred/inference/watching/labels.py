"""How well a watch finds what is labelled: frame AUROC, average precision, recall, delay and false alarms."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from framepred.errors import DataError, reason_of
from framepred.inference.watch import WatchStep
from framepred.inference.watching.events import Event
from framepred.inference.watching.rareness import HOUR
from framepred.media.text import read_small_text

MAX_BYTES = 100_000_000
"""Size of a file of labels, at most: that of ten million frames."""


@dataclass(frozen=True)
class Labels:
    """Which frames are unusual; called with numbers of frames and their times in seconds, it says so of each.

    Attributes:
        spans: start and end of each unusual event, in seconds.
        frames: numbers of unusual frames.
    """

    spans: Sequence[tuple[float, float]] = ()
    frames: Sequence[int] = ()

    def __call__(self, numbers: NDArray[np.int64], times: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each frame is unusual."""
        unusual = np.isin(numbers, self.frames)
        for start, end in self.spans:
            unusual |= (times >= start) & (times <= end)
        return unusual

    @property
    def empty(self) -> bool:
        """Whether no frame of any film is unusual."""
        return not (self.spans or self.frames)


@dataclass(frozen=True)
class Detection:
    """How well scores and alarms agree with labels.

    Attributes:
        auroc: area under the ROC curve of the frames' scores; NaN where only one class occurs.
        average_precision: of the frames' scores.
        events: number of labelled events.
        recall: share of labelled events in which an alarm was on.
        delay: median seconds from the beginning of a found event to the first alarm in it; NaN where none was found.
        false_alarms: events an hour that touch no labelled frame; NaN where no frame was watched.
        outside: whether unusual frames are labelled, and all of them lie outside of what was watched.
    """

    auroc: float
    average_precision: float
    events: int
    recall: float
    delay: float
    false_alarms: float
    outside: bool = False

    def to_text(self, as_json: bool = False) -> str:
        """One line for a person, or JSON."""
        if as_json:
            known = {name: None if math.isnan(value) else value for name, value in asdict(self).items()}
            return json.dumps({"event": "evaluation", **known})
        if math.isnan(self.false_alarms):
            return "No frame was watched, so nothing was compared with the labels."
        alarms = f"{self.false_alarms:.1f} false alarms an hour"
        if self.outside:
            return f"All labels of unusual frames lie outside of the frames that were watched; {alarms}."
        if not self.events:
            return f"None of the frames is labelled unusual; {alarms}."
        ranked = "" if math.isnan(self.auroc) else f"AUROC {self.auroc:.3f}, "
        after = "" if math.isnan(self.delay) else f" after {self.delay:.2f} s"
        return (
            f"{ranked}average precision {self.average_precision:.3f}, {self.recall:.0%} of {self.events} events found"
            f"{after}, {alarms}."
        )


def intervals(labels: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First number and the number after the last of each run of labelled frames.

    Example:
        >>> intervals(np.array([False, True, True, False, True]))
        [(1, 3), (4, 5)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], labels, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def measure(
    scores: NDArray[np.float64],
    alarms: NDArray[np.bool_],
    events: Sequence[tuple[int, int]],
    labels: NDArray[np.bool_],
    times: NDArray[np.float64],
    lengths: NDArray[np.float64],
) -> Detection:
    """Compare scores and alarms with labels.

    Args:
        scores: of the frames.
        alarms: whether the threshold was exceeded at each frame.
        events: first and last frame of each event that was reported.
        labels: whether each frame is unusual.
        times: seconds of the frames from the first.
        lengths: seconds that each frame lasts.
    """
    both = bool(labels.any() and not labels.all())
    truth = intervals(labels)
    alarmed = [start + np.flatnonzero(alarms[start:stop]) for start, stop in truth]
    delays = [times[found[0]] - times[start] for (start, _), found in zip(truth, alarmed, strict=True) if len(found)]
    false = sum(not labels[start : stop + 1].any() for start, stop in events)
    # A sum of rounded parts may exceed 1.
    precision = min(1.0, float(average_precision_score(labels, scores))) if labels.any() else math.nan
    return Detection(
        float(roc_auc_score(labels, scores)) if both else math.nan,
        precision,
        len(truth),
        len(delays) / len(truth) if truth else math.nan,
        float(np.median(delays)) if delays else math.nan,
        false * HOUR / float(lengths[~labels].sum()) if false else 0.0,
    )


class Evaluation:
    """Keeps the scores of a watch to be compared with labels.

    Args:
        fps: mean number of frames per second, for the lengths of frames that none follows.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._rows: list[tuple[int, float, bool, float, bool]] = []
        self._events: list[Event] = []

    def write(self, step: WatchStep) -> None:
        """Take one frame."""
        alarm = step.scored.current > step.threshold
        self._rows.append((step.index, step.time, step.fresh, step.scored.score, alarm))

    def add(self, event: Event) -> None:
        """Take one event."""
        self._events.append(event)

    def close(self) -> None:
        """Nothing is open."""

    def result(self, labels: Labels) -> Detection:
        """How well they agree with labels."""
        if not self._rows:
            return Detection(math.nan, math.nan, 0, math.nan, math.nan, math.nan)
        numbers, times, fresh, scores, alarms = (np.array(column) for column in zip(*self._rows, strict=True))
        first = int(numbers[0])
        events = [(event.start_frame - first, event.end_frame - first) for event in self._events]
        unusual = labels(numbers, times)
        lengths = np.append(np.where(fresh[1:], 1 / self._fps, np.diff(times)), 1 / self._fps)
        found = measure(scores, alarms, events, unusual, times, lengths)
        return replace(found, outside=not (labels.empty or unusual.any()))


def read_labels(path: Path) -> Labels:
    """Labels from a CSV file.

    Args:
        path: with the columns ``start`` and ``end`` in seconds (an event a line), or ``frame`` and ``label`` (0 or 1; a
            frame a line; frames that are missing are normal). Its text is UTF-8, with line ends of any system.

    Spaces around values and names of columns do not count.

    Raises:
        DataError: if it cannot be read, the columns are others, a value is missing or no number, a frame is no whole
            number, a label is neither 0 nor 1, or an event ends before it starts.
    """
    try:
        table = csv.DictReader(StringIO(read_small_text(path, MAX_BYTES), newline=None), skipinitialspace=True)
        table.fieldnames = [name.strip() for name in table.fieldnames or ()]
        rows = [(table.line_num, row) for row in table]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} cannot be read as labels (it is not UTF-8 text); save it as CSV in UTF-8.") from error
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as labels ({reason_of(error)}); give a CSV of numbers.") from error
    if {"start", "end"} <= set(table.fieldnames):
        return Labels(spans=[_span(path, line, row) for line, row in rows])
    if {"frame", "label"} <= set(table.fieldnames):
        numbers = [_labelled(path, line, row) for line, row in rows]
        return Labels(frames=[number for number in numbers if number is not None])
    raise DataError(
        f"{path} has no known columns; the first line must be 'start,end' (seconds) or 'frame,label' (0 or 1)."
    )


def _span(path: Path, line: int, row: Mapping[str, str | None]) -> tuple[float, float]:
    start, end = _number(path, line, row, "start"), _number(path, line, row, "end")
    if math.isnan(start) or math.isnan(end):
        raise DataError(f"{path} cannot be read as labels (line {line} has NaN for a time); give seconds.")
    if start > end:
        raise DataError(f"{path} cannot be read as labels (line {line} ends before it starts); correct it.")
    return start, end


def _labelled(path: Path, line: int, row: Mapping[str, str | None]) -> int | None:
    """The number of the frame if it is unusual."""
    frame, label = _number(path, line, row, "frame"), _number(path, line, row, "label")
    if not frame.is_integer():
        raise DataError(f"{path} cannot be read as labels (the frame of line {line} is {frame:g}); give whole numbers.")
    if label not in (0, 1):
        raise DataError(
            f"{path} cannot be read as labels (the label of line {line} is {label:g}); "
            "write 1 for an unusual frame and 0 for others."
        )
    return int(frame) if label else None


def _number(path: Path, line: int, row: Mapping[str, str | None], column: str) -> float:
    """The number in a column of a row."""
    text = (row[column] or "").strip()
    try:
        return float(text)
    except ValueError:
        raise DataError(
            f"{path} cannot be read as labels (the {column} of line {line} is {text or 'missing'}); give a number."
        ) from None
