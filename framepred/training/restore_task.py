"""Training of a restorer: random frames are removed from each clip and rebuilt; only these are scored."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from framepred.baselines.lost_frames import rebuild_around
from framepred.clips import ClipBatch, fill_missing
from framepred.errors import ConfigError
from framepred.evaluation.formulas import frame_mse
from framepred.restorer import MiddleGap, Missing, Restorer, cut_middle, middle
from framepred.training.course import Settings, class_setting
from framepred.training.losses import measured_loss
from framepred.training.schedules import Curriculum, LRSchedulerFactory, WarmupCosine
from framepred.training.task import OptimizerFactory, Task


@dataclass(frozen=True)
class Gaps:
    """Distribution of the frames that a training step removes.

    Most steps remove one or two runs of frames, of 1 to ``longest`` frames, anywhere in the clip, also at its ends. A
    share ``thinned`` of the steps keeps only every k-th frame, k from 2 to 4, as in raising a frame rate.

    Args:
        longest: most frames in a run, at least 1.
        thinned: share of the steps that keep every k-th frame, in [0, 1].

    Raises:
        ConfigError: if an argument is outside its domain.
    """

    longest: int = 5
    thinned: float = 0.2

    def __post_init__(self) -> None:
        if self.longest < 1 or not 0 <= self.thinned <= 1:
            raise ConfigError(
                f"The longest gap is at least 1 frame and the share thinned lies in [0, 1], not {self.longest} and "
                f"{self.thinned}."
            )

    def draw(self, random: np.random.Generator, length: int) -> Missing:
        """Draw which of ``length`` frames, at least 2, are missing: at least one, and never all."""
        missing = np.zeros(length, dtype=bool)
        if random.random() < self.thinned:
            step = int(random.integers(2, 5))
            missing[np.arange(length) % step != random.integers(min(step, length))] = True
        else:
            for _ in range(random.integers(1, 3)):
                run = int(random.integers(1, min(self.longest, length - 1) + 1))
                start = int(random.integers(length - run + 1))
                missing[start : start + run] = True
        if missing.all():
            missing[random.integers(length)] = False
        return torch.from_numpy(missing)


class RestoreTask(Task):
    """Trains a restorer on gaps anywhere in a clip; validates it on ``horizon`` missing frames in the middle.

    The gap of a step depends on (seed, step) alone.

    Args:
        net: the restorer to train.
        budget: as :class:`framepred.training.task.Task`.
        loss: as ``Task``.
        optimizer: as ``Task``.
        lr_scheduler: as ``Task``.
        gaps: distribution of the frames that a step removes.
        curriculum: as ``Task``.
        seed: as ``Task``.
        protocol: as ``Task``.

    Raises:
        ConfigError: as ``Task``.
    """

    net: Restorer

    def __init__(
        self,
        net: Restorer,
        budget: int,
        loss: nn.Module,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        lr_scheduler: LRSchedulerFactory = WarmupCosine,
        gaps: Gaps = Gaps(),
        curriculum: Curriculum = Curriculum(),  # noqa: B008 (frozen)
        seed: int = 0,
        protocol: str = "openstl",
    ) -> None:
        super().__init__(net, budget, loss, optimizer, lr_scheduler, curriculum, seed, protocol)
        self.gaps = gaps

    @property
    def predictor(self) -> nn.Module:
        """Restores a gap in the middle of a context."""
        return MiddleGap(self.net)

    def validation_batch(self, batch: ClipBatch) -> ClipBatch:
        """Take the target out of the middle of the clip."""
        clips, horizon = batch.clips, batch.target.shape[1]
        gap = torch.zeros(clips.shape[1], dtype=torch.bool)
        gap[middle(clips.shape[1] - horizon, horizon)] = True
        observed = cut_middle(rebuild_around(clips, gap, batch.filler), horizon).context
        return ClipBatch(observed, cut_middle(clips, horizon).target, batch.filler)

    def training_step(self, batch: ClipBatch) -> Tensor:
        """Return the loss over the removed frames."""
        clips = self.to_float(self.shorten(batch).clips)
        missing = self.gaps.draw(self.random, clips.shape[1]).to(clips.device)
        observed = fill_missing(rebuild_around(clips, missing, batch.filler), batch.filler)
        restored, truth = self.net.fill(observed, missing), clips[:, missing]
        loss = measured_loss(self.loss, restored, truth, batch.filler)
        self.log_training(loss, frame_mse(restored.detach(), truth).nanmean())
        return loss

    def schedule(self) -> dict[str, Any]:
        """Return what must stay the same when a run is resumed."""
        return super().schedule() | {"gaps": asdict(self.gaps)}

    def course(self) -> Settings:
        """Return what else decides the course of a run."""
        return super().course() | class_setting("gaps", self.gaps)
