"""Training of networks from scratch for the same time on the same clips, for comparisons."""

import copy
import tempfile
import time
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import torch

from framepred.clips import to_unit
from framepred.data import MovingMNISTData
from framepred.evaluation.formulas import frame_mse
from framepred.forecaster import Forecaster
from framepred.training import Curriculum, ForecastTask, Muon, TeacherForcing, fit, make_trainer

CURRICULUM = Curriculum(start=0.3, grow=0.5)

TRIED_SECONDS = 20.0
"""Busy seconds of the longest of the short trainings from which the time of a step is estimated, at least."""

Precision: TypeAlias = Literal["32-true", "bf16-mixed"]


class Spent(NamedTuple):
    """Steps of a training, and its minutes as :func:`_busy_seconds` counts them."""

    steps: int
    minutes: float


def moving_mnist(batch_size: int, clips: int, root: str | None) -> MovingMNISTData:
    """Return the data: endless training clips and ``clips`` test clips, 10 context and 10 predicted frames."""
    return MovingMNISTData(batch_size=batch_size, val_clips=8, test_clips=clips, root=root)


def clip_task(net: Forecaster, steps: int, teacher_forcing: TeacherForcing) -> ForecastTask:
    """Return the training on clips that all recurrent networks share: Muon and a curriculum of clip lengths."""
    return ForecastTask(net, steps, torch.nn.MSELoss(), Muon, teacher_forcing=teacher_forcing, curriculum=CURRICULUM)


def train_for(
    minutes: float,
    data: MovingMNISTData,
    task_of: Callable[[int], ForecastTask],
    precision: Precision = "32-true",
) -> Spent:
    """Train for about ``minutes``; the number of steps, which the schedules need, is estimated from short trainings.

    Args:
        minutes: time of the training, in minutes of as many busy cores as PyTorch has threads.
        data: the training clips, or batches of another kind that the task takes.
        task_of: makes the training for a number of steps.
        precision: of the training.
    """
    initial = copy.deepcopy(task_of(1).net.state_dict())
    tried = [_train(steps, data, task_of, precision) for steps in (1, 2, 4)]  # the first one also warms up
    while 60 * tried[-1].minutes < TRIED_SECONDS:
        tried.append(_train(2 * tried[-1].steps, data, task_of, precision))
    shorter, longest = tried[-2:]
    minutes_per_step = (longest.minutes - shorter.minutes) / (longest.steps - shorter.steps)  # without the start
    task_of(1).net.load_state_dict(initial)
    return _train(max(1, int(minutes / minutes_per_step)), data, task_of, precision)


def _train(steps: int, data: MovingMNISTData, task_of: Callable[[int], ForecastTask], precision: Precision) -> Spent:
    """Train for a number of steps, through the whole schedule."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(
            folder,
            steps,
            val_check_interval=steps,
            precision=precision,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        start = _busy_seconds()
        fit(trainer, task_of(steps), data)
        return Spent(steps, (_busy_seconds() - start) / 60)


def _busy_seconds() -> float:
    """Return the processor time of this process per thread, so that other work on the machine does not count."""
    return time.process_time() / torch.get_num_threads()


@torch.inference_mode()
def score(net: Forecaster, data: MovingMNISTData) -> list[float]:
    """Return the mean squared error of each lead time over the test clips, protocol openstl."""
    data.setup("test")
    errors = [
        frame_mse(net(batch.context, batch.target.shape[1]), to_unit(batch.target)) for batch in data.test_dataloader()
    ]
    scores: list[float] = torch.cat(errors).mean(dim=0).tolist()
    return scores
