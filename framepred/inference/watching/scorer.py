"""The score of each frame of a stream: the mean rareness of its features, over a short time."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from framepred.inference.watching.features import GLOBAL_FLOORS, GLOBALS, MAP_FLOORS, MAPS, Observation
from framepred.inference.watching.rareness import Tails, Vector

MEMORY_SECONDS = 120.0
"""Seconds after which what is usual in a cell is forgotten, so that daylight is followed."""

LEARNING_FRAMES = 20
"""Frames from which on a cell's own spread bounds how far a frame can move its mean."""

CLIP = 3.0
"""Spreads by which one frame can move a cell's mean at most, so that sudden change is not learned at once."""

FIRST_VARIANCE = 0.05
"""Variance of every cell before anything is known."""

TOP_CELLS = 4
"""Cells whose mean stands for the most unusual place of a map."""

SMOOTHING_SECONDS = 0.03
"""Time constant of the mean over the last frames: about one frame at usual rates, so that a jump counts in full."""

HOLD_DECAY = 1.2
"""Nats a second by which a score falls at most: a jump of a single frame keeps its trace for a second or two."""

TOP_MAPS = ("error", "flow error", "brightness")
"""Maps of which the most unusual cells count on their own."""

POOLED = (*(f"{name}, all cells" for name in MAPS), *(f"{name}, top cells" for name in TOP_MAPS))
FEATURES = (*GLOBALS, *POOLED)
"""Features whose rareness is averaged."""

FLOORS = np.array([*GLOBAL_FLOORS, *[0.2] * len(MAPS), *[0.8] * len(TOP_MAPS)])
"""Smallest change of each feature that counts, in its unit; for cells, in spreads."""

Cells = NDArray[np.float32]  # (maps, rows, columns)


@dataclass
class UsualCells:
    """Running mean and variance of each cell of each map, in constant memory.

    Attributes:
        mean: ``(maps, rows, columns)``; empty before the first frame.
        variance: of the same shape.
        count: frames that were learned.
    """

    mean: Cells = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.float32))
    variance: Cells = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.float32))
    count: int = 0

    def deviations(self, maps: Cells) -> Cells:
        """How far the maps are from their means, in spreads."""
        if self.count == 0:
            return np.zeros_like(maps)
        return np.asarray((maps - self.mean) / self._spread())

    def learn(self, maps: Cells, seconds: float) -> None:
        """Take one frame, which counts for ``seconds``, into the means, robustly."""
        if self.count == 0:
            self.mean, self.variance = maps.copy(), np.full_like(maps, FIRST_VARIANCE)
        self.count += 1
        rate = max(1 / (self.count + 1), seconds / MEMORY_SECONDS)
        change = maps - self.mean
        if self.count > LEARNING_FRAMES:
            most = CLIP * self._spread()
            change = change.clip(-most, most)
        self.mean = self.mean + rate * change
        self.variance = self.variance + rate * (change**2 - self.variance)

    def copy(self) -> "UsualCells":
        """The same statistics, which go on on their own."""
        return UsualCells(self.mean.copy(), self.variance.copy(), self.count)

    def _spread(self) -> Cells:
        floors = np.array(MAP_FLOORS, dtype=np.float32)[:, None, None]
        return np.asarray(np.sqrt(self.variance) + floors)


def feature_vector(observed: Observation, deviations: Cells) -> Vector:
    """All features of a frame, in the order of ``FEATURES``."""
    everywhere = np.abs(deviations).mean(axis=(1, 2))
    shown = deviations[[MAPS.index(name) for name in TOP_MAPS]]
    top = np.sort(shown.reshape(len(TOP_MAPS), -1), axis=1)[:, -TOP_CELLS:].mean(axis=1)
    return np.concatenate([observed.values, everywhere, top]).astype(np.float64)


class ScoreTrace:
    """The score over time: a short mean of the frames' mean rareness, which falls slowly.

    Args:
        fps: frames per second.
    """

    def __init__(self, fps: float) -> None:
        self._share = 1 - math.exp(-1 / (fps * SMOOTHING_SECONDS))
        self._fall = HOLD_DECAY / fps
        self.reset()

    def reset(self) -> None:
        """Start at zero."""
        self._mean = self._held = 0.0

    @property
    def current(self) -> float:
        """The mean over the last frames alone, which falls at once."""
        return self._mean

    def add(self, rareness: Vector) -> float:
        """The score, from 0 to ``MOST`` nats, after a frame with these rarenesses."""
        self._mean += self._share * (float(rareness.mean()) - self._mean)
        self._held = max(self._mean, self._held - self._fall)
        return self._held


@dataclass(frozen=True)
class ScoredFrames:
    """The scores of consecutive frames.

    Attributes:
        held: what people see, ``(t,)``: falls slowly.
        current: what alarms are raised by, ``(t,)``: falls at once.
    """

    held: Vector
    current: Vector


def scores_of(vectors: Vector, tails: Tails, fps: float) -> ScoredFrames:
    """The scores of frames with these features ``(t, n)``, one after the other."""
    tails, trace = tails.copy(), ScoreTrace(fps)
    held, current = [], []
    for vector in vectors:
        held.append(trace.add(tails.rareness(vector)))
        current.append(trace.current)
        tails.drift(vector, 1 / fps)
    return ScoredFrames(np.array(held), np.array(current))
