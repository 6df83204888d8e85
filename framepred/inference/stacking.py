"""Weights of a blend: products of the members' errors by lead time and region, and the weights that follow."""

from collections.abc import Sequence
from copy import copy
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

NEGLIGIBLE = 1e-6
"""Squared error of a pixel in [0, 1] that does not differ from none: a quarter of a level of 255."""

PREFERENCE = 1e-3
"""Pull of the whole frame's weights towards the preferred member, as a share of the least squared error of a member."""

SHRINKAGE = 0.05
"""Pull of a region's weights towards those of the whole frame, as a share of the least squared error there."""

SMALLEST = 5e-3
"""Weights below this are set to zero, so that where a member is useless the others stay exact."""

Products = Float[Tensor, "*r m m"]
Weights = Float[Tensor, "*r m"]


class ErrorProducts:
    """Sums of products of the errors of several forecasters, by lead time and region.

    The weights with the least squared error depend on nothing else (stacking; Wolpert 1992, Neural Networks 5:241-259),
    so memory does not grow with what is added.

    Args:
        horizon: lead times k.
        members: forecasters m.
        regions: regions q that every frame is divided into.
        decay: factor by which older products count less with each one that is added; 1 counts all alike.
    """

    def __init__(self, horizon: int, members: int, regions: int = 1, decay: float = 1.0) -> None:
        self._sums = torch.zeros(horizon, regions, members, members, dtype=torch.float64)
        self._counts = torch.zeros(horizon, dtype=torch.float64)
        self._decay = decay

    def add(
        self,
        lead: int,
        predictions: Float[Tensor, "m c h w"],
        truth: Float[Tensor, "c h w"],
        regions: Float[Tensor, "q h w"] | None = None,
    ) -> None:
        """Add one predicted frame of each forecaster for the lead time ``lead`` + 1.

        Products are counted relative to the least of the errors, so that a nearly still clip counts like one that
        moves. A frame of which no pixel is measured does not count.

        Args:
            lead: frames between the last observed frame and the predicted one.
            predictions: the predicted frames.
            truth: the true frame.
            regions: share of each pixel in each region, adding up to 1, or to 0 where a pixel is not measured; None for
                a single region.
        """
        errors = predictions - truth
        if regions is None:
            regions = torch.ones_like(errors[:1, 0])
        if not regions.any():
            return
        products = torch.stack([torch.einsum("ichw,jchw->ij", errors * share, errors) for share in regions])
        products = products.cpu().double() / truth.numel()
        products /= products.sum(dim=0).diagonal().min() + NEGLIGIBLE
        self._sums[lead] = self._decay * self._sums[lead] + products
        self._counts[lead] = self._decay * self._counts[lead] + 1

    def __add__(self, other: "ErrorProducts") -> "ErrorProducts":
        """The products of both, with the decay of the first."""
        total = copy(self)
        total._sums, total._counts = self._sums + other._sums, self._counts + other._counts
        return total

    @property
    def means(self) -> Float[Tensor, "k q m m"]:
        """The mean product at each measured lead time in each region."""
        return self._sums[: self.measured] / self._counts[: self.measured, None, None, None]

    def means_with_prior(self, prior: Float[Tensor, "k q m m"], count: float) -> Float[Tensor, "k q m m"]:
        """The mean products, averaged with a prior.

        In each region the prior is scaled so that the least error of a member is that of the clip: it says how much
        worse the other members are. A region where a member is exact, or which was not seen, has no prior. A lead time
        that was not measured gets the products of the last one that was. Where nothing was measured, the prior is
        returned.

        Args:
            prior: mean products at every lead time, as :attr:`means` gives them.
            count: pseudo-count of the prior: how many of the added products it weighs as much as.
        """
        if not self.measured:
            return prior
        held = torch.arange(self.horizon).clamp(max=self.measured - 1)
        own, counts = self.means[held], self._counts[held, None, None, None]
        scale = _least(own) / _least(prior).clamp(min=torch.finfo(prior.dtype).tiny)
        return (counts * own + count * scale[..., None, None] * prior) / (counts + count)

    @property
    def horizon(self) -> int:
        """Lead times k."""
        return len(self._counts)

    @property
    def members(self) -> int:
        """Forecasters m."""
        return self._sums.shape[-1]

    @property
    def measured(self) -> int:
        """Lead times with at least one product, from the first on."""
        return int((self._counts > 0).long().cumprod(0).sum())

    def best_weights(
        self,
        shrinkage: float | Sequence[float] = SHRINKAGE,
        preferred: Sequence[int] = (-1,),
        preference: float = PREFERENCE,
    ) -> Float[Tensor, "k q m"]:
        """The weights with the least error at each measured lead time; see :func:`best_weights`."""
        return best_weights(self.means, shrinkage, preferred, preference)


def best_weights(
    means: Float[Tensor, "k q m m"],
    shrinkage: float | Sequence[float] = SHRINKAGE,
    preferred: Sequence[int] = (-1,),
    preference: float = PREFERENCE,
) -> Float[Tensor, "k q m"]:
    """The weights with the least error at each lead time in each region; they add up to 1.

    Among near equals, the preferred members get more. A region's weights are drawn to those of the whole frame, the
    more the less its own errors say.

    Args:
        means: mean products of the errors.
        shrinkage: strength of that, as a share of the least of the members' squared errors in the region; one for
            all regions, or one for each.
        preferred: indices of the preferred members.
        preference: strength of the preference, as a share of the least of the members' squared errors.
    """
    simplest = torch.zeros(means.shape[-1], dtype=torch.float64)
    simplest[list(preferred)] = 1 / len(preferred)
    whole = least_squares_weights(means.sum(dim=1), simplest, preference)
    if means.shape[1] == 1:
        return whole[:, None].float()
    pull = torch.tensor(shrinkage, dtype=torch.float64)[..., None]
    return least_squares_weights(means, whole[:, None], pull).float()


def _least(products: Products) -> Float[Tensor, "*r"]:
    """The least squared error of a member."""
    return products.diagonal(dim1=-2, dim2=-1).amin(dim=-1)


def least_squares_weights(products: Products, prior: Float[Tensor, "*_p m"], pull: float | Tensor) -> Weights:
    """Weights ``w`` from 0 to 1, adding up to 1, that minimize ``wᵀ P w + pull · min(diag P) · |w - prior|²``.

    The pull vanishes where a member is exact. With few members the exact solution is found by trying every set of
    members that get a weight.

    Args:
        products: symmetric products of errors P, one matrix per problem.
        prior: weights to fall back to where the errors do not decide.
        pull: strength of the prior; a tensor ``(*r, 1)`` for one that differs.
    """
    members = products.shape[-1]
    strength = pull * (_least(products)[..., None] + NEGLIGIBLE)
    matrix = products + strength[..., None] * torch.eye(members, dtype=products.dtype)
    vector = (strength * prior).expand(products.shape[:-1])
    weights = _solve(matrix, vector, _subsets(members))
    cost = torch.einsum("s...i,...ij,s...j->s...", weights, matrix, weights) - 2 * (vector * weights).sum(dim=-1)
    least, index = cost.where((weights >= 0).all(dim=-1), torch.inf).min(dim=0)
    best = weights.take_along_dim(index[None, ..., None], dim=0)[0]
    best = best.where(least.isfinite()[..., None], prior)  # a member may have predicted NaN
    best = best.where(best >= SMALLEST, 0)
    return best / best.sum(dim=-1, keepdim=True)


def _subsets(members: int) -> Float[Tensor, "s m"]:
    """All sets of at least one member: 1 for those in the set, 0 for the others."""
    return torch.tensor(list(product((0.0, 1.0), repeat=members))[1:], dtype=torch.float64)


def _solve(matrix: Products, vector: Weights, chosen: Float[Tensor, "s m"]) -> Float[Tensor, "s *r m"]:
    """The minimum over weights of each set of members that add up to 1; others get 0 (Lagrange multiplier)."""
    chosen = chosen.view(len(chosen), *(1,) * (vector.ndim - 1), -1)
    inner = matrix * chosen[..., :, None] * chosen[..., None, :] + torch.diag_embed(1 - chosen)
    sides = torch.stack([vector * chosen, chosen.expand(len(chosen), *vector.shape)], dim=-1)
    free, direction = torch.linalg.solve(inner, sides).unbind(dim=-1)
    step = (1 - free.sum(dim=-1, keepdim=True)) / direction.sum(dim=-1, keepdim=True)
    weights: Weights = free + step * direction
    return weights
