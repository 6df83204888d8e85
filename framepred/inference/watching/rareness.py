"""Rareness: how improbable a value is under what is usual, on one scale for all features."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from framepred.errors import ClipError, ConfigError

TAIL = 0.1
"""Share of the usual values that each of the two tails holds."""

MOST = 8.0
"""Rareness in nats at which one feature counts in full, so that none speaks for all."""

DRIFT_RATE = 0.1
"""How fast the edges of the tails follow the values, in tail scales a second: an event of seconds moves them little."""

LEAST_SCALE = 0.125
"""Scale of a tail, at least, in units of the distance between the edges: few values may happen to lie close."""

LEAST_PEAK_SCALE = 0.1
"""Mean distance of the peaks from their median, at least, in nats: footage that hardly varies cannot prove that nothing
else is usual."""

BLOCK_SECONDS = 1.0
"""Seconds of which only the largest score counts, because neighbouring frames resemble each other."""

CERTAINTY = 0.9
"""Probability of the interval in which the rate of false alarms is expected."""

HOUR = 3600.0  # seconds
_BLOCKS_ABOVE = HOUR / BLOCK_SECONDS / 2  # blocks of an hour whose peak is above the median

Vector = NDArray[np.float64]


@dataclass
class Tails:
    """Both tails of each of n features: rareness grows linearly beyond the edges (exponential tails).

    Attributes:
        lower: edge of the lower tail, ``(n,)``.
        upper: edge of the upper tail.
        lower_scale: mean distance of the values beyond the edge from it.
        upper_scale: the same for the upper tail.
    """

    lower: Vector
    upper: Vector
    lower_scale: Vector
    upper_scale: Vector

    @classmethod
    def fit(cls, values: Vector, floors: Vector | float = 1e-4) -> "Tails":
        """Fit the tails to usual values ``(t, n)``.

        Args:
            values: of usual frames.
            floors: scale of a tail, at least, for each feature in its unit: smaller changes mean nothing. A still scene
                hardly varies, so that without floors every cloud would be rare, and too fast to follow.
        """
        lower, upper = np.quantile(values, (TAIL, 1 - TAIL), axis=0)
        least = np.maximum(LEAST_SCALE * (upper - lower), floors)
        below = np.maximum(lower - values, 0).mean(axis=0) / TAIL
        above = np.maximum(values - upper, 0).mean(axis=0) / TAIL
        return cls(lower, upper, np.maximum(below, least), np.maximum(above, least))

    def copy(self) -> "Tails":
        """Tails that drift on their own."""
        return Tails(self.lower.copy(), self.upper.copy(), self.lower_scale, self.upper_scale)

    def sides(self, values: Vector) -> tuple[Vector, Vector]:
        """Nats by which the values ``(n,)`` lie beyond the edges, below and above; negative inside."""
        return (self.lower - values) / self.lower_scale, (values - self.upper) / self.upper_scale

    def rareness(self, values: Vector) -> Vector:
        """Nats beyond the nearer edge, from 0 to ``MOST``."""
        return np.maximum(*self.sides(values)).clip(0, MOST)

    def drift(self, values: Vector, seconds: float) -> None:
        """Let the edges follow: each keeps its share of the values beyond it, by steps of bounded size.

        Args:
            values: of the next frame.
            seconds: that the frame counts for.
        """
        rate = DRIFT_RATE * seconds
        self.upper += rate * self.upper_scale * ((values > self.upper) / TAIL - 1)
        self.lower -= rate * self.lower_scale * ((values < self.lower) / TAIL - 1)


@dataclass(frozen=True)
class Calibration:
    """The scores of usual footage, from which thresholds for any rate of false alarms follow.

    Attributes:
        peaks: the largest score of each block of ``BLOCK_SECONDS``.
        highest: the score of a black or a white picture after the footage; hardly any frame is more unusual.
    """

    peaks: Vector
    highest: float = MOST

    def __post_init__(self) -> None:
        if len(self.peaks) < 2:
            raise ClipError("The normal footage is too short to calibrate alarms; give at least eight seconds.")

    @property
    def largest(self) -> float:
        """The largest score of the normal footage."""
        return float(self.peaks.max())

    @property
    def seconds(self) -> float:
        """Seconds of footage that the scores come from."""
        return len(self.peaks) * BLOCK_SECONDS

    def threshold(self, false_alarms: float) -> float:
        """The score that usual footage is expected to exceed ``false_alarms`` times an hour.

        The peaks above their median follow an exponential distribution. Its scale is not known, only the mean of a few
        peaks; averaged over what the scale may be (prior 1/scale), the next peak exceeds ``x`` with probability
        ``(1 + x / (n * mean)) ** -n``. So the threshold is higher where less footage is known.

        Raises:
            ConfigError: if the rate is not positive.
        """
        if not 0 < false_alarms < math.inf:
            raise ConfigError(f"The rate of false alarms must be a positive number an hour, not {false_alarms:g}.")
        edge, scale, count = self._tail()
        return edge + scale * count * max(0.0, math.expm1(math.log(_BLOCKS_ABOVE / false_alarms) / count))

    def summary(self, false_alarms: float) -> str:
        """One sentence on how sure the threshold is."""
        edge, scale, count = self._tail()
        beyond = self.threshold(false_alarms) - edge
        low, high = (
            _BLOCKS_ABOVE * math.exp(-beyond / (scale * _scale_factor(count, share)))
            for share in ((1 - CERTAINTY) / 2, (1 + CERTAINTY) / 2)
        )
        sentence = (
            f"Calibrated on {self.seconds:.0f} s of normal footage: asked for {false_alarms:g} false alarms an hour, "
            f"expected between {_shown(low)} and {_shown(high)}"
        )
        if self.threshold(false_alarms) >= MOST:
            return f"{sentence}; no frame can reach the threshold, so give more normal footage or allow more of them."
        if self.threshold(false_alarms) >= self.highest:
            return (
                f"{sentence}; not even a black or a white picture (score {self.highest:.1f}) reaches the threshold of "
                f"{self.threshold(false_alarms):.1f}, so give more normal footage or allow more of them."
            )
        if self.seconds * false_alarms < HOUR:
            return f"{sentence}; the footage is shorter than the time between two of them, so this is extrapolated."
        return f"{sentence}."

    def _tail(self) -> tuple[float, float, int]:
        """Edge and scale of the tail of the peaks, and the number of peaks beyond the edge."""
        edge = float(np.median(self.peaks))
        beyond = self.peaks[self.peaks > edge] - edge
        return edge, max(float(beyond.mean()) if len(beyond) else 0.0, LEAST_PEAK_SCALE), max(1, len(beyond))


def block_peaks(scores: Vector, fps: float) -> Vector:
    """The largest score of each block of ``BLOCK_SECONDS``; an incomplete last block is left out."""
    length = max(1, round(BLOCK_SECONDS * fps))
    return np.asarray(scores[: len(scores) // length * length].reshape(-1, length).max(axis=1))


def _scale_factor(count: int, confidence: float) -> float:
    """By how much the true scale exceeds the mean of ``count`` exponential values, with this probability at most.

    The sum of the values has a gamma distribution; its quantile follows Wilson and Hilferty (1931).
    """
    normal = NormalDist().inv_cdf(1 - confidence)
    quantile = count * (1 - 1 / (9 * count) + normal / (3 * math.sqrt(count))) ** 3
    return count / max(quantile, 1e-3)


def _shown(rate: float) -> str:
    return "0" if rate < 0.01 else f"{rate:.2g}" if rate < 100 else f"{rate:.0f}"
