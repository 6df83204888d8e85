"""The path network: where a rigid object that is seen in whole pixels will be, as a distribution."""

import math
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from framepred.models.tracking.straight import SpeedBounds, speed_bounds, steady_velocity

BINS_PER_PIXEL = 4
"""Resolution at which a distance to a frame edge selects its embedding."""

FAR_PX = 64
"""Distances to a frame edge beyond this, in pixels, share one embedding."""

EDGE_BINS = BINS_PER_PIXEL * FAR_PX + 1
"""Embeddings of the distance to one edge."""

UNIT_PX = 16.0
"""Pixels: the unit in which the network reads positions and distances."""

UNIT_SPEED = 4.0
"""Pixels a frame: the unit in which the network reads velocities."""

DIRECTION_STEPS = 2
"""Last steps whose sum says which way an object moves."""

NEAR_STEADY_PX = 6
"""Displacements at most this far from steady motion have a score of their own, relative to steady motion."""

PRIOR_WEIGHT = 3.0
"""Initial exponent of the Student-t prior around steady motion, which an untrained network predicts."""


class PathNetwork(nn.Module):
    """Predicts the displacement of an object along each axis, a distribution over whole pixels for each lead time.

    A multilayer perceptron reads the recent positions along both axes; it runs once for each axis, which it reads
    first. Axes are mirrored so that the object moves right and down, and the prediction is mirrored back. Beside the
    positions and their differences it reads the velocities that agree with them: a point that moves steadily and is
    seen in whole pixels traces a digital straight line, so each pair of positions bounds its velocity (see
    :mod:`framepred.models.tracking.straight`). Distances to the frame edges select embeddings.

    The score of a displacement is the sum of a Student-t prior around steady motion, a score of the displacement itself
    and one relative to steady motion. The latter two are products of features of the lead time with learned embeddings.

    Args:
        history: positions T that are read, at least 2.
        lead_times: frames ahead L that are predicted.
        reach: largest displacement in pixels.
        hidden_features: width of the hidden layers.
        hidden_layers: how many there are, at least 1.
        rank: size of the embeddings of displacements.
        edge_features: size of the embeddings of distances to frame edges.
    """

    horizon_frames: Tensor
    displacements: Tensor
    nearby: Tensor

    def __init__(
        self,
        history: int = 10,
        lead_times: int = 10,
        reach: int = 64,
        hidden_features: int = 384,
        hidden_layers: int = 3,
        rank: int = 16,
        edge_features: int = 8,
    ) -> None:
        super().__init__()
        self.history, self.lead_times, self.reach, self.rank = history, lead_times, reach, rank
        self.centre_edges = nn.Embedding(4 * EDGE_BINS, edge_features)  # behind or ahead, in both directions
        self.extent_edges = nn.Embedding(4 * EDGE_BINS, edge_features)
        per_axis = 9 * (history - 1) + 5 + 4 * edge_features
        widths = [2 * per_axis] + [hidden_features] * hidden_layers
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.scores = nn.Linear(hidden_features, lead_times * 2 * rank)
        self.absolute = nn.Parameter(torch.randn(rank, 2 * reach + 1) / math.sqrt(rank))
        self.relative = nn.Parameter(torch.randn(rank, 2 * NEAR_STEADY_PX + 1) / math.sqrt(rank))
        self.prior_weight = nn.Parameter(torch.full((lead_times,), PRIOR_WEIGHT))
        self.register_buffer("horizon_frames", torch.arange(1.0, lead_times + 1), persistent=False)
        self.register_buffer("displacements", torch.arange(-reach, reach + 1.0), persistent=False)
        self.register_buffer("nearby", torch.arange(-NEAR_STEADY_PX, NEAR_STEADY_PX + 1), persistent=False)
        with torch.no_grad():
            self.scores.weight.mul_(0.1)

    def forward(
        self,
        positions: Float[Tensor, "n k t 2"],
        observed: Bool[Tensor, "n k t"],
        distances: Float[Tensor, "n k 2 4"],
    ) -> Float[Tensor, "n k 2 l d"]:
        """Log-probabilities of each displacement from the last position, along each axis and for each lead time.

        Args:
            positions: the last T positions (right, down), whole pixels relative to the last, which is 0.
            observed: which of them were observed; the last always is.
            distances: to the frame edges at the last position, pixels: see :func:`measure_bounds`.
        """
        direction = _direction(positions.mT, observed)
        paths = positions.mT * direction[..., None]  # (n, k, 2, t)
        mask = observed[:, :, None].expand(paths.shape)
        bounds = speed_bounds(paths, mask)
        velocity = steady_velocity(bounds)
        inputs = self._inputs(paths, mask, bounds, distances, direction)
        hidden = torch.cat([inputs, inputs.flip(2)], dim=-1)
        for layer in self.hidden:
            hidden = layer(hidden).relu()
        scores = self.scores(hidden).unflatten(-1, (self.lead_times, 2, self.rank))
        logits = scores[..., 0, :] @ self.absolute + self._prior(velocity)
        logits = self._add_near_steady(logits, scores[..., 1, :] @ self.relative, velocity)
        return torch.where(direction[..., None, None] < 0, logits.flip(-1), logits).log_softmax(dim=-1)

    def _inputs(self, paths: Tensor, mask: Tensor, bounds: SpeedBounds, distances: Tensor, direction: Tensor) -> Tensor:
        known = mask[..., :-1]
        recent = torch.where(known, paths[..., :-1], 0.0)
        steps = torch.where(known, paths.diff(dim=-1), 0.0)
        speeds = torch.cat(bounds[:4], dim=-1)
        plain = [recent / UNIT_PX, steps / UNIT_SPEED, known, direction[..., None], speeds / UNIT_SPEED, *bounds[4:]]
        return torch.cat([*plain, *self._edges(distances, direction)], dim=-1)

    def _edges(self, distances: Tensor, direction: Tensor) -> list[Tensor]:
        """Distances to the frame edges behind and ahead, plainly and as embeddings.

        Embedded are those of the centre of light and of the middle of the light's extent; the direction selects the
        table, because pixels are rounded down whichever way an object moves.
        """
        reverse = direction[..., None] < 0
        distances = torch.where(reverse, distances[..., [1, 0, 3, 2]], distances)
        centre, first, last = distances[..., :2], distances[..., 2], distances[..., 3]
        size = centre.sum(dim=-1)
        middle = torch.stack([first + size - last, last + size - first], dim=-1) / 2
        side = torch.arange(2, device=distances.device) + 2 * reverse
        parts = [distances / UNIT_PX]
        for values, table in ((centre, self.centre_edges), (middle, self.extent_edges)):
            bins = (values.clamp(0, FAR_PX) * BINS_PER_PIXEL).floor().long()
            parts.append(table(bins + EDGE_BINS * side).flatten(-2))
        return parts

    def _prior(self, velocity: Tensor) -> Tensor:
        """Scores of a Student-t distribution around steady motion, its scale a pixel."""
        ahead = velocity[..., None] * self.horizon_frames
        distance = self.displacements - ahead[..., None]
        return -self.prior_weight[:, None] * torch.log1p(distance.square())

    def _add_near_steady(self, logits: Tensor, near: Tensor, velocity: Tensor) -> Tensor:
        steady = (velocity[..., None] * self.horizon_frames).round().long()
        index = (steady[..., None] + self.nearby + self.reach).clamp(0, 2 * self.reach)
        return logits.scatter_add(-1, index, near)


def _direction(paths: Float[Tensor, "n k 2 t"], observed: Bool[Tensor, "n k t"]) -> Float[Tensor, "n k 2"]:
    """1 for motion right or down, and for none; -1 for motion left or up: that of the last observed steps."""
    steps = paths.diff(dim=-1) * (observed[..., :-1] & observed[..., 1:])[:, :, None]
    recent = steps[..., -DIRECTION_STEPS:].sum(dim=-1)
    return torch.where(recent < 0, -1.0, 1.0).to(paths.dtype)
