"""Events: stretches of frames whose score is above the threshold, with what and where they are."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framepred.inference.watching.features import MAPS
from framepred.inference.watching.profile import FrameScore
from framepred.inference.watching.scorer import FEATURES
from framepred.media.opencv import cv2

JOIN_SECONDS = 1.0
"""Seconds below the threshold after which an event has ended."""

MOST_SECONDS = 30.0
"""Seconds after which an event that goes on is reported; what follows without a pause belongs to it."""

HOT = 4.0
"""Spreads from which a cell belongs to an event."""

GLOBAL_SHARE = 0.35
"""Share of hot cells from which a change is global."""

FROZEN = 4.0
"""Nats by which the error lies below what is usual from which a picture stands still."""

APPEARANCE = ("brightness", "texture", "colour")
"""Maps of what a frame looks like, whatever moves in it."""

FREEZE, GLOBAL, LOCAL, OTHER = "freeze", "global change", "local", "other"


@dataclass(frozen=True)
class Event:
    """Something unusual.

    Attributes:
        number: of the event, from 1.
        start: seconds from the first frame at which the score rose above the threshold.
        peak: seconds at which the score was largest.
        end: seconds at which the score fell below the threshold; the last frame where it did not.
        start_frame: number of the first frame.
        end_frame: number of the last frame.
        score: the largest score, in nats.
        threshold: the score above which it began.
        kind: ``freeze``, ``global change``, ``local`` or ``other``.
        place: left, top, right and bottom of a local event, as shares of the width and height; None for others.
        ended: False where the event still went on when it was reported: less than ``JOIN_SECONDS`` below the
            threshold had followed.
    """

    number: int
    start: float
    peak: float
    end: float
    start_frame: int
    end_frame: int
    score: float
    threshold: float
    kind: str
    place: tuple[float, float, float, float] | None = None
    ended: bool = True

    @property
    def sentence(self) -> str:
        """The event for a person."""
        where = "" if self.place is None else f" at the {place_name(self.place)}"
        return f"{self.start:.2f} to {self.end:.2f} s: {self.kind}{where}, score {self.score:.1f}."

    def to_dict(self) -> dict[str, Any]:
        """The event for a program: numbers, strings and lists."""
        fields = asdict(self)
        rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in fields.items()}
        return rounded | {"place": None if self.place is None else [round(edge, 4) for edge in self.place]}


def place_name(place: tuple[float, float, float, float]) -> str:
    """The third of the picture in which the centre of a box lies, such as ``top left``."""
    left, top, right, bottom = place
    row = ("top", "middle", "bottom")[min(2, int(1.5 * (top + bottom)))]
    column = ("left", "centre", "right")[min(2, int(1.5 * (left + right)))]
    return "centre" if (row, column) == ("middle", "centre") else f"{row} {column}"


class EventFinder:
    """Turns the scores of a stream into events.

    Args:
        threshold: the score above which an event begins; it may be set at any time.

    Attributes:
        count: number of the newest event; it may be set before the first one, so that numbers go on from there.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.count = 0
        self._open: _OpenEvent | None = None

    @property
    def active(self) -> bool:
        """Whether an event goes on, or has gone on so shortly ago that what follows belongs to it."""
        return self._open is not None

    def add(self, index: int, time: float, frame: FrameScore) -> Event | None:
        """Take the score of the next frame; returns an event when it has ended or gone on for long."""
        above = frame.current > self.threshold
        if self._open is None:
            if above:
                self.count += 1
                self._open = _OpenEvent(self.count, index, time, self.threshold)
                self._open.add(index, time, frame)
            return None
        if above:
            self._open.add(index, time, frame)
            return self._reported() if time - self._open.start >= MOST_SECONDS else None
        return self._close(ended=True) if time - self._open.end > JOIN_SECONDS else None

    def interrupt(self) -> Event | None:
        """Note that the source has ended, is lost or broken; returns the event that went on, if not reported before.

        What is unusual in later frames is another event.
        """
        return self._close(ended=False)

    def _close(self, ended: bool) -> Event | None:
        event, self._open = self._open, None
        return None if event is None or event.reported else event.closed(ended)

    def _reported(self) -> Event | None:
        if self._open is None or self._open.reported:
            return None
        self._open.reported = True
        return self._open.closed(ended=False)


class _OpenEvent:
    """An event that goes on: its borders, and what its highest frame shows."""

    def __init__(self, number: int, index: int, time: float, threshold: float) -> None:
        self.number, self.start, self.start_frame, self.threshold = number, time, index, threshold
        self.reported = False
        self.score = -1.0

    def add(self, index: int, time: float, frame: FrameScore) -> None:
        self.end, self.end_frame = time, index
        if frame.current > self.score:
            self.score, self.peak, self.highest = frame.current, time, frame

    def closed(self, ended: bool) -> Event:
        kind, place = describe(self.highest)
        return Event(
            self.number, self.start, self.peak, self.end, self.start_frame, self.end_frame, self.score,
            self.threshold, kind, place, ended,
        )  # fmt: skip


def describe(frame: FrameScore) -> tuple[str, tuple[float, float, float, float] | None]:
    """The kind of what a frame shows, and the place of what is local."""
    if frame.deviations.size == 0:
        return OTHER, None
    looks = np.abs(frame.deviations[[MAPS.index(name) for name in APPEARANCE]]).max(axis=0)
    if (looks > HOT).mean() > GLOBAL_SHARE:
        return GLOBAL, None  # a covered lens stands still as well
    if frame.low[FEATURES.index("error")] > FROZEN:
        return FREEZE, None
    heat = heat_map(frame)
    hot = heat > HOT
    if hot.mean() > GLOBAL_SHARE:
        return GLOBAL, None
    if not hot.any():
        return OTHER, None
    return LOCAL, _box(hot, heat)


def heat_map(frame: FrameScore) -> NDArray[np.float32]:
    """Spreads of each cell from its mean, ``(rows, columns)``: the largest of all maps but speed and rms error."""
    shown = [MAPS.index(name) for name in ("error", "flow error", *APPEARANCE)]
    return np.asarray(np.abs(frame.deviations[shown]).max(axis=0))


def _box(hot: NDArray[np.bool_], heat: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """The box of the connected cells that hold most heat, as shares of the picture."""
    count, labels = cv2.connectedComponents(hot.astype(np.uint8))
    best = max(range(1, count), key=lambda label: float(heat[labels == label].sum()))
    rows, columns = np.nonzero(labels == best)
    height, width = hot.shape
    return (
        float(columns.min() / width),
        float(rows.min() / height),
        float((columns.max() + 1) / width),
        float((rows.max() + 1) / height),
    )
