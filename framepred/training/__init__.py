"""How forecasters learn: the LightningModule, its schedules, and the equipment of a run."""

from framepred.training.losses import CrossEntropy
from framepred.training.muon import Muon
from framepred.training.path_task import PathNoise, PathTask
from framepred.training.restoration import Gaps, RestoreTask
from framepred.training.run import fit, make_trainer
from framepred.training.schedules import Curriculum, TeacherForcing
from framepred.training.task import ForecastTask

__all__ = [
    "CrossEntropy",
    "Curriculum",
    "ForecastTask",
    "Gaps",
    "Muon",
    "PathNoise",
    "PathTask",
    "RestoreTask",
    "TeacherForcing",
    "fit",
    "make_trainer",
]
