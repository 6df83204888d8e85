"""How unusual the error of a frame is among the errors before it, and an alarm on it."""

from collections import deque
from statistics import median

from framepred.errors import ConfigError

WINDOW = 256  # errors that are remembered: about ten seconds of video
MIN_ERRORS = 10  # errors that a z-score needs
SETTLING_FRAMES = 10  # first frames of a scene: their errors depend on how little was observed, not on the scene
MAD_TO_DEVIATION = 1.4826  # standard deviation of a normal distribution over its median absolute deviation
MIN_DEVIATION = 1 / (12 * 255**2)  # of a mean squared error in [0, 1]: what rounding to 8 bits alone adds
MIN_RELATIVE_DEVIATION = 0.05  # of the median: errors that vary less drift by more than they vary


class Surprise:
    """A robust z-score: (error - median) / deviation of the last errors, the deviation estimated as 1.4826 MAD.

    Up to half of the errors may be outliers without changing the score much (Leys et al. 2013, J. Exp. Soc. Psychol.
    49:764). The deviation has two lower bounds, ``MIN_DEVIATION`` and ``MIN_RELATIVE_DEVIATION`` of the median, so that
    neither a still picture nor an error that hardly varies gives large scores. Memory is bounded by the window.

    Args:
        window: number of errors that are remembered.

    Raises:
        ConfigError: if ``window`` is less than ``MIN_ERRORS``.
    """

    def __init__(self, window: int = WINDOW) -> None:
        if window < MIN_ERRORS:
            raise ConfigError(f"The window of errors must be at least {MIN_ERRORS} frames, not {window}.")
        self._errors: deque[float] = deque(maxlen=window)

    def judge(self, error: float) -> float | None:
        """Return the z-score of an error by those before it, then remember it; None while these are too few."""
        score = self._score(error) if len(self._errors) >= MIN_ERRORS else None
        self._errors.append(error)
        return score

    def reset(self) -> None:
        """Forget all errors."""
        self._errors.clear()

    def _score(self, error: float) -> float:
        usual = median(self._errors)
        deviation = MAD_TO_DEVIATION * median(abs(each - usual) for each in self._errors)
        return (error - usual) / max(deviation, MIN_RELATIVE_DEVIATION * usual, MIN_DEVIATION)


class SceneSurprise:
    """:class:`Surprise` that leaves out the first frames of each scene."""

    def __init__(self, window: int = WINDOW) -> None:
        self._surprise = Surprise(window)
        self._age = 0

    def judge(self, error: float | None) -> float | None:
        """Return the z-score of the error of the next frame, None where it is unknown; None is no error."""
        self._age += 1
        return None if error is None or self._age <= SETTLING_FRAMES else self._surprise.judge(error)

    def reset(self) -> None:
        """Begin a scene."""
        self._age = 0
        self._surprise.reset()


class Alarm:
    """Triggers when the surprise exceeds a threshold, and again only after it was below.

    Args:
        threshold: in standard deviations.

    Raises:
        ConfigError: if it is not a positive number.
    """

    def __init__(self, threshold: float) -> None:
        if not 0 < threshold < float("inf"):
            raise ConfigError(f"The surprise that triggers the alarm must be a positive number, not {threshold:g}.")
        self._threshold = threshold
        self._above = False

    def triggers(self, surprise: float | None) -> bool:
        """Return whether the alarm triggers at the surprise of this frame; None counts as below the threshold."""
        before, self._above = self._above, surprise is not None and surprise > self._threshold
        return self._above and not before
