"""Learning to restore: gaps drawn at random, the missing frames scored alone."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framepred.clips import ClipBatch, to_unit
from framepred.errors import ConfigError
from framepred.evaluation.formulas import frame_mse
from framepred.forecaster import Forecaster
from framepred.restorer import MiddleGap, Missing, Restorer, middle
from framepred.training.path_task import PathNoise, PathTask
from framepred.training.task import ForecastTask


@dataclass(frozen=True)
class Gaps:
    """Which frames of a training clip are taken away, drawn anew for each step.

    Most steps lose one run of frames or two, of any length up to ``longest``, anywhere, also at the ends. A share of
    them keeps only every k-th frame, k from 2 to 4, as raising a frame rate does.

    Args:
        longest: most frames that a run takes away, at least 1.
        thinned: share of the steps that are thinned, in [0, 1].

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
        """Which of ``length`` frames, at least 2, are missing: some, and never all."""
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


class RestoreTask(ForecastTask):
    """Train a restorer on gaps anywhere; validate it on as many frames in the middle as the data hold back.

    Of the data's clips, ``horizon`` frames in the middle are what validation takes away. Schedules, optimizer and
    checkpoints are those of :class:`ForecastTask`; the gap of a step depends on (seed, step, rank) alone.

    Args:
        net: the restorer to train.
        gaps: which frames a step takes away.
        settings: as :class:`ForecastTask` takes them; there is no teacher, because every frame seen is true.

    Raises:
        ConfigError: as :class:`ForecastTask`, or if the network does not restore.
    """

    def __init__(self, net: Forecaster, gaps: Gaps = Gaps(), **settings: Any) -> None:
        super().__init__(net, **settings)
        if not isinstance(net, Restorer):
            raise ConfigError(f"{type(net).__name__} does not restore missing frames; leave model.gaps out.")
        self.restorer: Restorer = net
        self.gaps = gaps

    @property
    def predictor(self) -> Forecaster:
        """Fills a gap in the middle of a context."""
        return MiddleGap(self.restorer)

    def training_step(self, batch: ClipBatch) -> Tensor:
        """Loss over the frames that a gap took away."""
        clips = to_unit(self._shortened(batch).clips)
        missing = self.gaps.draw(self._random, clips.shape[1]).to(clips.device)
        restored, truth = self.restorer.fill(clips, missing), clips[:, missing]
        loss: Tensor = self.loss(restored, truth)
        with torch.no_grad():
            mse = frame_mse(restored, truth).mean()
        self.log("train/loss", loss)
        self.log("train/mse", mse, prog_bar=True)
        return loss

    def validation_step(self, batch: ClipBatch) -> None:
        """Mean squared error of the frames missing in the middle, protocol openstl."""
        super().validation_step(cut_middle(batch.clips, batch.target.shape[1]))

    @property
    def _schedule(self) -> dict[str, Any]:
        return super()._schedule | {"gaps": asdict(self.gaps)}


def cut_middle(clips: Tensor, missing: int) -> ClipBatch:
    """Clips ``(b, t, c, h, w)`` without so many frames in their middle, which are the target: for ``MiddleGap``."""
    place = middle(clips.shape[1] - missing, missing)
    return ClipBatch(torch.cat([clips[:, : place.start], clips[:, place.stop :]], dim=1), clips[:, place])


def make_task(
    net: Forecaster, gaps: Gaps | None = None, paths: PathNoise | None = None, **settings: Any
) -> ForecastTask:
    """The task that a network learns by: restoring, if it restores, its path network alone, or forecasting.

    Args:
        net: the network to train.
        gaps: which frames are taken away from a network that restores.
        paths: what the simulated tracker gets wrong, if the path network of a tracking forecaster is trained alone.
        settings: as :class:`ForecastTask` takes them.

    Raises:
        ConfigError: if gaps are given to a network that forecasts, or paths to one that has no path network.
    """
    if paths is not None:
        return PathTask(net, paths, **settings)
    if isinstance(net, Restorer) or gaps is not None:
        return RestoreTask(net, gaps or Gaps(), **settings)
    return ForecastTask(net, **settings)
