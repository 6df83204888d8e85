"""What changes over a training budget, each a pure function of the step: a resumed run continues it exactly."""

from dataclasses import dataclass
from math import cos, pi

from framepred.errors import ConfigError


@dataclass(frozen=True)
class TeacherForcing:
    """Scheduled sampling (Bengio et al. 2015, arXiv:1506.03099): the truth as input gives way to predictions.

    Beyond the context, an input frame is the true one with a probability that falls in a straight line from
    ``start`` at step 0 to 0 at ``fade`` of the budget.

    Args:
        start: probability at step 0, in [0, 1].
        fade: share of the budget after which no truth is left, in [0, 1].

    Raises:
        ConfigError: if either is outside [0, 1].
    """

    start: float = 1.0
    fade: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.start <= 1 and 0 <= self.fade <= 1):
            raise ConfigError(f"Teacher forcing's start and fade lie in [0, 1], not {self.start} and {self.fade}.")

    def probability(self, step: int, budget: int) -> float:
        """Probability in [0, 1] that an input frame beyond the context is the true one."""
        end = self.fade * budget
        return self.start * (1 - step / end) if step < end else 0.0


@dataclass(frozen=True)
class Curriculum:
    """Short clips first (Bengio et al. 2009): a step costs less, and a motion is learned before its long future.

    Training sees the beginning of each clip; context and horizon keep their proportion. The share of the clip
    grows in a straight line from ``start`` at step 0 to the whole at ``grow`` of the budget.

    Args:
        start: share at step 0, in (0, 1]; 1 for whole clips always.
        grow: share of the budget after which clips are whole, in [0, 1].

    Raises:
        ConfigError: if either is outside its range.
    """

    start: float = 1.0
    grow: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.start <= 1 and 0 <= self.grow <= 1):
            raise ConfigError(
                f"A curriculum's start lies in (0, 1] and its grow in [0, 1], not {self.start} and {self.grow}."
            )

    def share(self, step: int, budget: int) -> float:
        """Share in (0, 1] of each clip that is trained on."""
        end = self.grow * budget
        return self.start + (1 - self.start) * step / end if step < end else 1.0


def learning_rate_factor(step: int, budget: int, warmup: int) -> float:
    """Factor in [0, 1] on the learning rate: a linear warm-up, then half a cosine down to zero at ``budget``.

    Source: Loshchilov & Hutter 2017 (arXiv:1608.03983, eq. 5) without restarts.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = min((step - warmup) / max(budget - warmup, 1), 1.0)
    return (1 + cos(pi * progress)) / 2
