"""Path network: predicts a distribution over the future positions of a rigid object, in whole pixels."""

import math
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from framepred.models.tracking.straight import SpeedBounds, speed_bounds, steady_velocity

BINS_PER_PIXEL = 4
"""Number of embeddings per pixel of distance to a frame edge."""

FAR_PX = 64
"""Larger distances to a frame edge, in pixels, share one embedding."""

EDGE_BINS = BINS_PER_PIXEL * FAR_PX + 1
"""Number of embeddings of the distance to one edge."""

UNIT_PX = 16.0
"""Divisor of positions and distances in the network input, pixels."""

UNIT_SPEED = 4.0
"""Divisor of velocities in the network input, pixels per frame."""

DIRECTION_STEPS = 2
"""Number of last steps whose sum gives the direction of motion."""

NEAR_STEADY_PX = 6
"""Displacements at most this far from constant-velocity motion get an additional score relative to it, pixels."""

PRIOR_WEIGHT = 3.0
"""Initial exponent of the Student-t prior, which is centred on constant-velocity motion."""


class PathNetwork(nn.Module):
    """Predict the displacement of an object: a distribution over whole pixels for each axis and lead time.

    A multilayer perceptron reads the recent positions along both axes. It runs once per axis, with the features of that
    axis first. Axes are mirrored so that the object moves right and down, and predictions are mirrored back. The inputs
    are the positions, their differences, the bounds of a constant velocity that fits them (see
    :mod:`framepred.models.tracking.straight`), and the distances to the frame edges, plain and as learned embeddings.

    The logit of a displacement is the sum of a Student-t prior around constant-velocity motion, a learned score of the
    displacement, and a learned score of its difference from constant-velocity motion. The learned scores are inner
    products of features of the lead time and embeddings of displacements.

    Args:
        history: number of positions t that are read, at least 2.
        lead_times: number of frames ahead l that are predicted.
        reach: largest displacement r in pixels; d = 2·r + 1.
        hidden_features: width of the hidden layers.
        hidden_layers: number of hidden layers, at least 1.
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
        self.centre_edges = nn.Embedding(4 * EDGE_BINS, edge_features)  # edge behind or ahead, per direction
        self.extent_edges = nn.Embedding(4 * EDGE_BINS, edge_features)
        per_axis = 9 * (history - 1) + 5 + 4 * edge_features
        widths = [2 * per_axis] + [hidden_features] * hidden_layers
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.scores = nn.Linear(hidden_features, lead_times * 2 * rank)
        self.absolute = nn.Parameter(torch.randn(rank, 2 * reach + 1) / math.sqrt(rank))
        self.relative = nn.Parameter(torch.randn(rank, 2 * NEAR_STEADY_PX + 1) / math.sqrt(rank))
        self.prior_weight = nn.Parameter(torch.full((lead_times,), PRIOR_WEIGHT))
        # Integers, because half precision cannot represent all displacements.
        self.register_buffer("horizon_frames", torch.arange(1, lead_times + 1), persistent=False)
        self.register_buffer("displacements", torch.arange(-reach, reach + 1), persistent=False)
        self.register_buffer("nearby", torch.arange(-NEAR_STEADY_PX, NEAR_STEADY_PX + 1), persistent=False)
        with torch.no_grad():
            self.scores.weight.mul_(0.1)

    def forward(
        self,
        positions: Float[Tensor, "n k t 2"],
        observed: Bool[Tensor, "n k t"],
        distances: Float[Tensor, "n k 2 4"],
        first: int = 0,
    ) -> Float[Tensor, "n k 2 l d"]:
        """Return log-probabilities of the displacements from the last position, for each axis and lead time.

        Args:
            positions: the last t positions (right, down), whole pixels, relative to the last position.
            observed: True for known positions; the last position must be known.
            distances: distances to the frame edges at the last position, pixels: see :func:`measure_bounds`.
            first: index of the first lead time that is predicted; a negative one counts from the end.
        """
        direction = _direction(positions.mT, observed)
        paths = positions.mT * direction[..., None]  # (n, k, 2, t)
        mask = observed[:, :, None].expand(paths.shape)
        bounds = speed_bounds(paths, mask)
        velocity = steady_velocity(bounds)
        inputs = self._inputs(paths, mask, bounds, distances, direction)
        hidden = torch.cat([inputs, inputs.flip(2)], dim=-1).to(self.scores.weight.dtype)
        for layer in self.hidden:
            hidden = layer(hidden).relu()
        rows = slice(first * 2 * self.rank, None)  # each lead time has 2 · rank scores
        scores = functional.linear(hidden, self.scores.weight[rows], self.scores.bias[rows])
        absolute, relative = scores.view(-1, 2, self.rank).unbind(dim=1)
        ahead = velocity[..., None] * self.horizon_frames[first:]  # (n, k, 2, l)
        logits = (absolute @ self.absolute).view(*ahead.shape, -1).to(positions.dtype)
        logits = logits + self._prior(ahead, self.prior_weight[first:])
        near = (relative @ self.relative).view(*ahead.shape, -1).to(positions.dtype)
        logits = self._add_near_steady(logits, near, ahead)
        return torch.where(direction[..., None, None] < 0, logits.flip(-1), logits).log_softmax(dim=-1)

    def _inputs(self, paths: Tensor, mask: Tensor, bounds: SpeedBounds, distances: Tensor, direction: Tensor) -> Tensor:
        known = mask[..., :-1].to(paths.dtype)
        recent, steps = paths[..., :-1] * known, paths.diff(dim=-1) * known
        speeds = torch.cat(bounds[:4], dim=-1)
        features = [recent / UNIT_PX, steps / UNIT_SPEED, known, direction[..., None], speeds / UNIT_SPEED, *bounds[4:]]
        return torch.cat([*features, *self._edges(distances, direction)], dim=-1)

    def _edges(self, distances: Tensor, direction: Tensor) -> list[Tensor]:
        """Return the distances to the frame edges behind and ahead, in pixel units and as embeddings.

        The distances of the centroid and of the middle of the extent are embedded. Each direction of motion has its own
        embedding table, because positions are rounded down in both directions.
        """
        mirrored = direction[..., None] < 0
        swapped = distances.view(*distances.shape[:-1], 2, 2).flip(-1).flatten(-2)
        distances = torch.where(mirrored, swapped, distances)
        centre, first, last = distances[..., :2], distances[..., 2:3], distances[..., 3:]
        size = centre.sum(dim=-1, keepdim=True)
        middle = [(first + size - last) / 2, (last + size - first) / 2]
        bins = (torch.cat([centre, *middle], dim=-1).clamp(0, FAR_PX) * BINS_PER_PIXEL).long()
        side = torch.arange(2, device=distances.device) + 2 * mirrored
        centre_bins, middle_bins = (bins.view(*bins.shape[:-1], 2, 2) + EDGE_BINS * side[..., None, :]).unbind(dim=-2)
        return [
            distances / UNIT_PX,
            self.centre_edges(centre_bins).flatten(-2),
            self.extent_edges(middle_bins).flatten(-2),
        ]

    def _prior(self, ahead: Tensor, weight: Tensor) -> Tensor:
        """Logits of a Student-t distribution around constant-velocity motion, with a scale of 1 pixel."""
        distance = self.displacements - ahead[..., None]
        return -weight[:, None] * torch.log1p(distance.square())

    def _add_near_steady(self, logits: Tensor, near: Tensor, ahead: Tensor) -> Tensor:
        steady = ahead.round().long()
        index = (steady[..., None] + self.nearby + self.reach).clamp(0, 2 * self.reach)
        return logits.scatter_add(-1, index, near)


def _direction(paths: Float[Tensor, "n k 2 t"], observed: Bool[Tensor, "n k t"]) -> Float[Tensor, "n k 2"]:
    """Direction of the last observed steps: -1 for left or up, 1 for right, down or no motion."""
    last, known = paths[..., -DIRECTION_STEPS - 1 :], observed[:, :, None, -DIRECTION_STEPS - 1 :]
    recent = (last.diff(dim=-1) * (known[..., :-1] & known[..., 1:])).sum(dim=-1)
    return 1 - 2 * (recent < 0).to(paths.dtype)
