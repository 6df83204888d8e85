"""Training: Lightning tasks, schedules, optimizers, losses, and runs. Names are imported when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framepred.training.configuration import make_task
    from framepred.training.forecast_task import ForecastTask
    from framepred.training.losses import ChangeScaledMSE, CrossEntropy
    from framepred.training.optimizers import Muon
    from framepred.training.path_task import PathNoise, PathTask
    from framepred.training.restore_task import Gaps, RestoreTask
    from framepred.training.run import TrainingResult, fit, make_trainer
    from framepred.training.schedules import Curriculum, TeacherForcing, WarmupCosine

_HOMES = {
    "ChangeScaledMSE": "losses",
    "CrossEntropy": "losses",
    "Curriculum": "schedules",
    "ForecastTask": "forecast_task",
    "Gaps": "restore_task",
    "Muon": "optimizers",
    "PathNoise": "path_task",
    "PathTask": "path_task",
    "RestoreTask": "restore_task",
    "TeacherForcing": "schedules",
    "TrainingResult": "run",
    "WarmupCosine": "schedules",
    "fit": "run",
    "make_task": "configuration",
    "make_trainer": "run",
}

__all__ = [
    "ChangeScaledMSE",
    "CrossEntropy",
    "Curriculum",
    "ForecastTask",
    "Gaps",
    "Muon",
    "PathNoise",
    "PathTask",
    "RestoreTask",
    "TeacherForcing",
    "TrainingResult",
    "WarmupCosine",
    "fit",
    "make_task",
    "make_trainer",
]


def __getattr__(name: str) -> Any:
    """Import a public name of this package."""
    if name not in _HOMES:
        raise AttributeError(f"module 'framepred.training' has no attribute {name!r}")
    return getattr(import_module(f"framepred.training.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
