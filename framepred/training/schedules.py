"""Schedules over a training: learning rate, teacher forcing and clip length as functions of the step."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from typing import Any, TypeAlias

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from framepred.errors import ConfigError

LRSchedulerFactory: TypeAlias = Callable[[Optimizer], LRScheduler]


@dataclass(frozen=True)
class TeacherForcing:
    """Scheduled sampling: beyond the context, true input frames give way to predicted ones.

    An input frame is the true one with a probability that falls linearly from ``start`` at step 0 to 0 at the share
    ``fade`` of the budget (Bengio et al. 2015, arXiv:1506.03099).

    Args:
        start: probability at step 0, in [0, 1].
        fade: share of the budget after which all input frames beyond the context are predictions, in [0, 1].

    Raises:
        ConfigError: if an argument is outside [0, 1].

    Example:
        >>> TeacherForcing(start=1.0, fade=0.5).probability(step=25, budget=100)
        0.5
    """

    start: float = 1.0
    fade: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.start <= 1 and 0 <= self.fade <= 1):
            raise ConfigError(f"Teacher forcing's start and fade lie in [0, 1], not {self.start} and {self.fade}.")

    def probability(self, step: int, budget: int) -> float:
        """Return the probability in [0, 1] that an input frame beyond the context is the true one."""
        end = self.fade * budget
        return self.start * (1 - step / end) if step < end else 0.0


@dataclass(frozen=True)
class Curriculum:
    """Curriculum of clip lengths: training begins with short clips, which cost less per step.

    Each training clip is cut to its first frames; context and horizon keep their ratio. The share of the clip grows
    linearly from ``start`` at step 0 to the whole clip at the share ``grow`` of the budget (Bengio et al. 2009,
    "Curriculum learning").

    Args:
        start: share of the clip at step 0, in (0, 1]; 1 trains on whole clips from the start.
        grow: share of the budget after which clips are whole, in [0, 1].

    Raises:
        ConfigError: if an argument is outside its range.

    Example:
        >>> Curriculum(start=0.2, grow=0.5).share(step=50, budget=100)
        1.0
    """

    start: float = 1.0
    grow: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.start <= 1 and 0 <= self.grow <= 1):
            raise ConfigError(
                f"A curriculum's start lies in (0, 1] and its grow in [0, 1], not {self.start} and {self.grow}."
            )

    def share(self, step: int, budget: int) -> float:
        """Return the share in (0, 1] of each clip that is trained on."""
        end = self.grow * budget
        return self.start + (1 - self.start) * step / end if step < end else 1.0


def learning_rate_factor(step: int, budget: int, warmup: int) -> float:
    """Return the factor in [0, 1] on the learning rate: linear warm-up, then half a cosine down to zero at ``budget``.

    Source: Loshchilov & Hutter 2017 (arXiv:1608.03983, eq. 5) without restarts.

    Example:
        >>> [round(learning_rate_factor(step, budget=110, warmup=10), 2) for step in (0, 10, 60, 110)]
        [0.09, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = min((step - warmup) / max(budget - warmup, 1), 1.0)
    return (1 + cos(pi * progress)) / 2


class BudgetLR(LRScheduler):
    """Base class of learning-rate schedulers that depend on the length of the training.

    The task sets ``budget`` after it has made the scheduler. A resumed training uses its own budget, not the one in
    the checkpoint, so a schedule is stretched when the budget is raised.

    Attributes:
        budget: optimizer steps of the whole training.
    """

    budget: int = 1

    def state_dict(self) -> dict[str, Any]:
        """Return the state without the budget."""
        return {name: value for name, value in super().state_dict().items() if name != "budget"}


class WarmupCosine(BudgetLR):
    """Learning rate with a linear warm-up, then half a cosine down to zero at the end of the budget.

    See :func:`learning_rate_factor`.

    Args:
        optimizer: the optimizer whose learning rates are scaled.
        warmup: optimizer steps of the linear increase, at least 0.

    Raises:
        ConfigError: if ``warmup`` is negative, or differs from that of a resumed training.
    """

    def __init__(self, optimizer: Optimizer, warmup: int = 100) -> None:
        if warmup < 0:
            raise ConfigError(f"The warm-up takes 0 steps or more, not {warmup}.")
        self.warmup = warmup
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        """Return the learning rate of each parameter group at the current step."""
        factor = learning_rate_factor(self.last_epoch, self.budget, self.warmup)
        return [rate * factor for rate in self.base_lrs]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint; the next step takes the learning rate of the budget of this training.

        Raises:
            ConfigError: if its warm-up has another length.
        """
        if state_dict.get("warmup") != self.warmup:
            raise ConfigError(
                f"The checkpoint follows a warm-up of {state_dict.get('warmup')} steps and this run asks for "
                f"{self.warmup}; resume with the first, or start a new run from its weights."
            )
        super().load_state_dict(state_dict)
        self._last_lr = self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate
