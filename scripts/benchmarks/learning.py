"""Training of networks from scratch for the same time on the same clips, for comparisons."""

import statistics
import tempfile
import time
from typing import Literal, NamedTuple, TypeAlias

import torch

from framepred.clips import ClipBatch, to_unit
from framepred.data import MovingMNISTData
from framepred.evaluation.formulas import frame_mse
from framepred.forecaster import Forecaster
from framepred.training import Curriculum, ForecastTask, Muon, TeacherForcing, fit, make_trainer

CURRICULUM = Curriculum(start=0.3, grow=0.5)
MEAN_SHARE = 1 - (1 - CURRICULUM.start) * CURRICULUM.grow / 2
"""Mean share of a clip that a step trains on, over the budget."""


Precision: TypeAlias = Literal["32-true", "bf16-mixed"]


class Spent(NamedTuple):
    """Steps and minutes of a training."""

    steps: int
    minutes: float


def moving_mnist(batch_size: int, clips: int, root: str | None) -> MovingMNISTData:
    """Return the data: endless training clips and ``clips`` test clips, 10 context and 10 predicted frames."""
    return MovingMNISTData(batch_size=batch_size, val_clips=8, test_clips=clips, root=root)


def train_for(
    minutes: float,
    net: Forecaster,
    data: MovingMNISTData,
    teacher_forcing: TeacherForcing,
    precision: Precision = "32-true",
) -> Spent:
    """Train for about ``minutes``; the number of steps, which the schedules need, is estimated from a few steps."""
    data.setup("fit")
    steps = max(
        1, int(60 * minutes / (MEAN_SHARE * _seconds_per_step(net, next(iter(data.train_dataloader())), precision)))
    )
    task = ForecastTask(net, steps, torch.nn.MSELoss(), Muon, teacher_forcing=teacher_forcing, curriculum=CURRICULUM)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(
            folder,
            steps,
            val_check_interval=steps,
            precision=precision,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        start = time.perf_counter()
        fit(trainer, task, data)
        return Spent(steps, (time.perf_counter() - start) / 60)


def _seconds_per_step(net: Forecaster, batch: ClipBatch, precision: Precision) -> float:
    """Return the time of a step on whole clips with its optimizer; the network does not change."""
    initial = {name: value.clone() for name, value in net.state_dict().items()}
    task = ForecastTask(net, 1, torch.nn.MSELoss(), Muon, teacher_forcing=TeacherForcing(fade=0.0))
    task.log = task.log_dict = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    optimizer = Muon(net.parameters())
    times = []
    for _ in range(6):
        start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = task.training_step(batch)
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    net.load_state_dict(initial)
    return statistics.median(times[1:])


@torch.inference_mode()
def score(net: Forecaster, data: MovingMNISTData) -> list[float]:
    """Return the mean squared error of each lead time over the test clips, protocol openstl."""
    data.setup("test")
    errors = [
        frame_mse(net(batch.context, batch.target.shape[1]), to_unit(batch.target)) for batch in data.test_dataloader()
    ]
    scores: list[float] = torch.cat(errors).mean(dim=0).tolist()
    return scores
