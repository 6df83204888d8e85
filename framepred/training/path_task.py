"""Train the path network on simulated object positions in whole pixels, without rendering frames."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from typing_extensions import override

from framepred.clips import to_unit
from framepred.data.moving_mnist_paths import PathBatch
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.models.tracking.bounds import measure_bounds
from framepred.models.tracking.forecaster import TrackingForecaster
from framepred.training.forecast_task import ForecastTask
from framepred.training.losses import one_loss

WRONG_EXTENT_SHARE = 0.5
"""Share of outliers whose measured extent is wrong as well as their centre."""

JITTER = 0.3
"""Probability that a position of a jittered path is wrong by one pixel."""


@dataclass(frozen=True)
class PathNoise:
    """Simulated tracker errors, sampled anew at each training step.

    Args:
        centre_px: standard deviation of the error of the measured brightness centroid, pixels.
        outlier_share: share of objects whose layer still contains pixels of other objects, in [0, 1].
        outlier_px: standard deviation of the centroid error of these outliers, pixels.
        extent_px: standard deviation of the error of each edge of an outlier's extent, pixels; only a share
            ``WRONG_EXTENT_SHARE`` of the outliers has this error.
        misplaced_share: share of positions that are wrong by one pixel, in [0, 1].
        jittered_share: share of paths in which each position is wrong by one pixel with probability ``JITTER``, in
            [0, 1]. It imitates a history of predicted positions.
        short_share: share of paths with fewer observed positions than the network reads, in [0, 1].

    Raises:
        ConfigError: if an argument is outside its domain.
    """

    centre_px: float = 0.02
    outlier_share: float = 0.02
    outlier_px: float = 0.5
    extent_px: float = 2.0
    misplaced_share: float = 0.001
    jittered_share: float = 0.05
    short_share: float = 0.05

    def __post_init__(self) -> None:
        shares = (self.outlier_share, self.misplaced_share, self.jittered_share, self.short_share)
        if min(self.centre_px, self.outlier_px, self.extent_px) < 0 or not all(0 <= share <= 1 for share in shares):
            raise ConfigError(f"PathNoise needs deviations of at least 0 and shares in [0, 1], not {self}.")


class PathInputs(NamedTuple):
    """Inputs and targets of the path network for b objects."""

    positions: Float[Tensor, "b 1 t 2"]
    observed: Bool[Tensor, "b 1 t"]
    distances: Float[Tensor, "b 1 2 4"]
    displacements: Float[Tensor, "b 2 l"]
    """True displacements from the last observed position, along each axis and for each lead time, pixels."""


class PathTask(ForecastTask):
    """Train only the path network of a tracking forecaster, on simulated paths.

    The loss compares the predicted displacement distributions with the true displacements. Validation is that of
    :class:`ForecastTask`: the complete network on complete clips. The noise of a step depends only on (seed, step,
    rank).

    Args:
        net: the network whose ``path`` is trained.
        paths: errors of the simulated tracker.
        settings: arguments of :class:`ForecastTask`; the loss takes log-probabilities ``(m, d)`` and classes ``(m,)``.

    Raises:
        ConfigError: as :class:`ForecastTask`, or if the network is not a :class:`TrackingForecaster`.
    """

    training_metrics = ("train/loss",)

    def __init__(self, net: Forecaster, paths: PathNoise = PathNoise(), **settings: Any) -> None:
        super().__init__(net, **settings)
        if not isinstance(net, TrackingForecaster):
            raise ConfigError(f"{type(net).__name__} has no path network; leave model.paths out.")
        self.path = net.path
        self.paths = paths
        net.requires_grad_(False)
        net.path.requires_grad_(True)

    @override
    def training_step(self, batch: PathBatch) -> Tensor:  # type: ignore[override]
        """Return the mean loss over all lead times and both axes.

        Raises:
            ConfigError: if the paths have at most as many frames as the path network reads, or as ``one_loss``.
        """
        if batch.corners.shape[1] <= self.path.history:
            raise ConfigError(
                f"The path network reads {self.path.history} positions and predicts later ones, but the paths have "
                f"{batch.corners.shape[1]} frames; raise the context or the horizon of the data."
            )
        inputs = simulate(batch, self.path.history, self.paths, self._generator)
        log_probabilities = self.path(inputs.positions, inputs.observed, inputs.distances)[:, 0]
        lead_times = min(self.path.lead_times, inputs.displacements.shape[-1])
        reach = self.path.reach
        classes = inputs.displacements[..., :lead_times].long().clamp(-reach, reach) + reach
        loss = one_loss(self.loss, log_probabilities[..., :lead_times, :].flatten(0, 2), classes.flatten())
        self.log("train/loss", loss, prog_bar=True)
        return loss

    @property
    def _generator(self) -> torch.Generator:
        """Random number generator of this step and process."""
        seed = np.random.default_rng([self.seed, self.global_step, self.global_rank]).integers(2**62)
        return torch.Generator().manual_seed(int(seed))

    @override
    def schedule(self) -> dict[str, Any]:
        """Return what must stay the same when a run is resumed."""
        return super().schedule() | {"paths": asdict(self.paths)}


def simulate(batch: PathBatch, history: int, noise: PathNoise, generator: torch.Generator) -> PathInputs:
    """Simulate tracker output on each path after ``history`` frames; return it with the true displacements."""
    count = len(batch.corners)
    corners, current = batch.corners.float(), history - 1
    displacements = (corners[:, current + 1 :] - corners[:, current, None]).mT
    first = torch.where(
        torch.rand(count, generator=generator) < noise.short_share,
        torch.randint(1, history, (count,), generator=generator),
        0,
    ).to(corners.device)
    observed = torch.arange(history, device=corners.device) >= first[:, None]
    jittered = torch.rand(count, 1, 1, generator=generator) < noise.jittered_share
    share = torch.where(jittered, JITTER, noise.misplaced_share)
    misplaced = torch.rand(count, history, 2, generator=generator) < share
    direction = torch.randint(0, 2, misplaced.shape, generator=generator) * 2.0 - 1
    positions = corners[:, :history] + (misplaced * direction).to(corners.device)
    positions = (positions - positions[:, current, None])[:, None]
    return PathInputs(
        positions, observed[:, None], _distances(batch, corners[:, current], noise, generator)[:, None], displacements
    )


def _distances(batch: PathBatch, corners: Tensor, noise: PathNoise, generator: torch.Generator) -> Tensor:
    """Measured distances of each object to the frame edges, with noise, ``(b, 2, 4)``, pixels."""
    brightness = to_unit(batch.images)[:, None]
    square = brightness.shape[-1]
    inside = measure_bounds(brightness, (square, square))[:, 0]
    outlier = torch.rand(len(brightness), 1, generator=generator) < noise.outlier_share
    deviation = torch.where(outlier, noise.outlier_px, noise.centre_px)
    centre = (
        inside[..., 0] + corners + (deviation * torch.randn(len(brightness), 2, generator=generator)).to(corners.device)
    )
    wrong = outlier & (torch.rand(len(brightness), 1, generator=generator) < WRONG_EXTENT_SHARE)
    extent_errors = (wrong * noise.extent_px)[..., None] * torch.randn(len(brightness), 2, 2, generator=generator)
    extent_errors = extent_errors.round().to(corners.device)
    sizes = batch.sizes.float()
    first = inside[..., 2] + corners + extent_errors[..., 0]
    last = sizes - square - corners + inside[..., 3] + extent_errors[..., 1]
    return torch.stack([centre, sizes - centre, first, last], dim=-1)
