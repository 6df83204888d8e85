"""How unusual an error is among the ones before it."""

from collections import deque
from statistics import median

from framepred.errors import ConfigError

WINDOW = 256  # errors that are remembered: about ten seconds of video
FEWEST = 10  # errors that are needed to know what is usual
SPREAD_OF_MAD = 1.4826  # standard deviation of a normal distribution over its median absolute deviation
LEAST_SPREAD = 1 / (12 * 255**2)  # of a mean squared error in [0, 1]: what rounding to 8 bits alone adds
LEAST_PART = 0.05  # of the median: errors so close together drift by more than they spread


class Surprise:
    """A robust z-score: (error - median) / spread over the last errors, the spread estimated by 1.4826 MAD.

    Half of the remembered errors may be outliers before they count as usual (Leys et al. 2013, J. Exp. Soc. Psychol.
    49:764). The spread is never taken to be less than what rounding to 8 bits makes, nor less than a twentieth of the
    median, so that neither a picture which stands still nor one whose error hardly varies turns trifles into surprise.
    Memory is bounded by the window.

    Args:
        window: how many errors are remembered.

    Raises:
        ConfigError: if ``window`` is less than ``FEWEST``.
    """

    def __init__(self, window: int = WINDOW) -> None:
        if window < FEWEST:
            raise ConfigError(f"The window of errors to judge by must be at least {FEWEST} frames, not {window}.")
        self._errors: deque[float] = deque(maxlen=window)

    def judge(self, error: float) -> float | None:
        """The z-score of an error by those before it, then remember it; None while these are too few."""
        score = self._score(error) if len(self._errors) >= FEWEST else None
        self._errors.append(error)
        return score

    def forget(self) -> None:
        """Start anew: what was usual is so no longer."""
        self._errors.clear()

    def _score(self, error: float) -> float:
        usual = median(self._errors)
        spread = SPREAD_OF_MAD * median(abs(each - usual) for each in self._errors)
        return (error - usual) / max(spread, LEAST_PART * usual, LEAST_SPREAD)


class Alarm:
    """Rings when surprise passes a threshold, and again only after it was back.

    Args:
        threshold: in standard deviations.

    Raises:
        ConfigError: if it is not a positive number.
    """

    def __init__(self, threshold: float) -> None:
        if not 0 < threshold < float("inf"):
            raise ConfigError(f"The surprise that rings the alarm must be a positive number, not {threshold:g}.")
        self._threshold = threshold
        self._beyond = False

    def rings(self, surprise: float | None) -> bool:
        """Whether the alarm rings at the surprise of this frame; None, unknown, is not beyond the threshold."""
        before, self._beyond = self._beyond, surprise is not None and surprise > self._threshold
        return self._beyond and not before
