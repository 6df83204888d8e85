"""How forecasters learn: the LightningModule, its schedules, and the equipment of a run."""

from framepred.training.losses import CrossEntropy
from framepred.training.optimizers import Muon
from framepred.training.restore_task import Gaps, RestoreTask
from framepred.training.run import fit, make_trainer
from framepred.training.schedules import Curriculum, TeacherForcing
from framepred.training.task import ForecastTask

__all__ = [
    "CrossEntropy",
    "Curriculum",
    "ForecastTask",
    "Gaps",
    "Muon",
    "RestoreTask",
    "TeacherForcing",
    "fit",
    "make_trainer",
]
