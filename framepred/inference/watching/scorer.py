"""The score of each frame of a stream: the mean rareness of its features, over a short time."""

import copy
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
"""Cells whose mean stands for the most unusual place of a map, or for the quietest ones."""

AREA_CELLS = 12
"""Cells whose mean stands for an unusual area of a map."""

MEAN_SECONDS = 0.3
"""Time constant of the means of features over the last frames."""

SMOOTHING_SECONDS = 0.03
"""Time constant of the mean over the last frames: about one frame at usual rates, so that a jump counts in full."""

HOLD_DECAY = 1.2
"""Nats a second by which a score falls at most: a jump of a single frame keeps its trace for a second or two."""

POOLS = (
    *((name, "all cells") for name in MAPS if name != "rms error"), ("error", "mean"), ("brightness", "top cells"),
    ("colour", "top cells"), ("colour", "top area"), ("texture", "bottom cells"), ("rms error", "bottom cells"),
)  # fmt: skip
"""Maps, and how the deviations of their cells become one value."""

POOL_FLOORS = {"all cells": 0.2, "mean": 0.1, "top cells": 0.8, "top area": 0.6, "bottom cells": 0.6}
"""Smallest change of each kind of pooled value that counts, in spreads."""

MEASURED = (*GLOBALS, *(f"{name}, {pool}" for name, pool in POOLS))
"""Features that are measured at each frame."""

AVERAGED = ("sudden flow error", "error, mean", "colour, top cells", "rms error, bottom cells")
"""Features of which the mean over ``MEAN_SECONDS`` counts as well: small changes show if they last for some frames."""

FEATURES = (*MEASURED, *(f"{name}, mean of frames" for name in AVERAGED))
"""Features whose rareness is averaged."""

_OF_COLOUR = np.array([name.startswith("colour") for name in FEATURES])  # always 0 in gray footage

_MEASURED_FLOORS = (*GLOBAL_FLOORS, *(POOL_FLOORS[pool] for _, pool in POOLS))
FLOORS = np.array([*_MEASURED_FLOORS, *(_MEASURED_FLOORS[MEASURED.index(name)] / 2 for name in AVERAGED)])
"""Smallest change of each feature that counts, in its unit; half as much for means, which vary less."""

Cells = NDArray[np.float32]  # (maps, rows, columns)


@dataclass
class UsualCells:
    """Running mean and variance of each cell of each map, in constant memory.

    Attributes:
        mean: ``(maps, rows, columns)``; empty before the first frame, NaN for cells that were never measured.
        variance: of the same shape.
        count: frames that were learned.
    """

    mean: Cells = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.float32))
    variance: Cells = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.float32))
    count: int = 0

    def deviations(self, maps: Cells) -> Cells:
        """How far the maps are from their means, in spreads; 0 where a cell is not measured, or never was."""
        if self.count == 0:
            return np.zeros_like(maps)
        return np.asarray(np.nan_to_num((maps - self.mean) / self._spread(), nan=0.0))

    def learn(self, maps: Cells, seconds: float) -> None:
        """Take one frame, which counts for ``seconds``, into the means, robustly; NaN where a cell is not measured."""
        if self.count == 0:
            self.mean, self.variance = maps.copy(), np.full_like(maps, FIRST_VARIANCE)
        self.count += 1
        rate = max(1 / (self.count + 1), seconds / MEMORY_SECONDS)
        self.mean = np.where(np.isnan(self.mean), maps, self.mean)  # cells that are measured for the first time
        change = maps - self.mean
        if self.count > LEARNING_FRAMES:
            most = CLIP * self._spread()
            change = change.clip(-most, most)
        measured = ~np.isnan(maps)
        self.mean = np.where(measured, self.mean + rate * change, self.mean)
        self.variance = np.where(measured, self.variance + rate * (change**2 - self.variance), self.variance)

    def copy(self) -> "UsualCells":
        """The same statistics, which go on on their own."""
        return UsualCells(self.mean.copy(), self.variance.copy(), self.count)

    def _spread(self) -> Cells:
        floors = np.array(MAP_FLOORS, dtype=np.float32)[:, None, None]
        return np.asarray(np.sqrt(self.variance) + floors)


def feature_vector(observed: Observation, deviations: Cells) -> Vector:
    """The features of a frame, in the order of ``MEASURED``."""
    flat = deviations.reshape(len(MAPS), -1)
    ordered = np.sort(flat, axis=1)
    pooled = {
        "all cells": np.abs(flat).mean(axis=1),
        "mean": flat.mean(axis=1),
        "top cells": ordered[:, -TOP_CELLS:].mean(axis=1),
        "top area": ordered[:, -AREA_CELLS:].mean(axis=1),
        "bottom cells": ordered[:, :TOP_CELLS].mean(axis=1),
    }
    values = [pooled[pool][MAPS.index(name)] for name, pool in POOLS]
    return np.concatenate([observed.values, values]).astype(np.float64)


class FeatureMeans:
    """Adds means over the last frames to the features of each frame.

    Args:
        fps: frames per second.
    """

    def __init__(self, fps: float) -> None:
        self._share = 1 - math.exp(-1 / (fps * MEAN_SECONDS))
        self._averaged = [MEASURED.index(name) for name in AVERAGED]
        self.reset()

    def reset(self) -> None:
        """Forget the last frames."""
        self._mean: Vector | None = None

    def copy(self) -> "FeatureMeans":
        """The same means, which go on on their own."""
        return copy.copy(self)

    def add(self, vector: Vector) -> Vector:
        """All features of the next frame, in the order of ``FEATURES``, from those in the order of ``MEASURED``."""
        values = vector[self._averaged]
        self._mean = values if self._mean is None else self._mean + self._share * (values - self._mean)
        return np.concatenate([vector, self._mean])


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


def counted_features(tails: Tails) -> NDArray[np.bool_]:
    """Which of the ``FEATURES`` count: those of colour only where the normal footage has colour."""
    colourless = (tails.lower == 0) & (tails.upper == 0)
    return np.asarray(~(_OF_COLOUR & colourless))


def scores_of(vectors: Vector, tails: Tails, fps: float, counted: NDArray[np.bool_] | None = None) -> ScoredFrames:
    """The scores of frames, one after the other.

    Args:
        vectors: features of the frames, ``(t, n)``.
        tails: of the features.
        fps: frames per second.
        counted: which features are averaged, ``(n,)``; None for all.
    """
    chosen = np.ones(vectors.shape[1], dtype=np.bool_) if counted is None else counted
    tails, trace = tails.copy(), ScoreTrace(fps)
    held, current = [], []
    for vector in vectors:
        held.append(trace.add(tails.rareness(vector)[chosen]))
        current.append(trace.current)
        tails.drift(vector, 1 / fps)
    return ScoredFrames(np.array(held), np.array(current))
