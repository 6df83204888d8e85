"""Weights of a blend from the errors in a clip's past and a prior: the mean errors in films."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from framepred.inference.stacking import SHRINKAGE, ErrorProducts, best_weights

FILE = Path(__file__).with_name("error_prior.json")
"""Mean products of the errors of network, two optical flows and last frame, by lead time and region, in small and in
large frames; ``scripts/benchmark.py error-prior`` measures them on the first two thirds of films."""

SMALL, LARGE = "small", "large"
"""Entries of the file: frames that the blend itself predicts, and larger ones."""

PRIOR_COUNT = 0.5
"""Pseudo-count of the prior, in windows of a clip. More would cost where the clip's past is the better guide."""

_MEMBERS = 4
"""Members that the prior holds the errors of."""


def weigh_members(
    products: ErrorProducts,
    shrinkage: float | Sequence[float] = SHRINKAGE,
    *,
    large: bool = False,
    error_factor: Float[Tensor, " _k"] | None = None,
) -> Float[Tensor, "k q m"]:
    """The weights with the least error in a clip's past, regularised by a prior.

    The prior holds the errors of ``natural-small``, two optical flows and last frame; four members are taken for these.
    Without a past the weights follow from the prior alone, and are equal for another number of members.

    Args:
        products: what the members got wrong in the past.
        shrinkage: pull of a region's weights towards those of the whole frame; see
            :func:`~framepred.inference.stacking.best_weights`.
        large: whether the frames are larger than those that the blend itself predicts.
        error_factor: how many times as large the error of the first member is now as it was in the past, by lead time;
            the last factor holds for all that follow. None if it is as it was.
    """
    if products.members == _MEMBERS:
        prior = _prior_products()[LARGE if large else SMALL]
        means = products.means_with_prior(prior[: products.horizon], PRIOR_COUNT)
    elif products.measured:
        means = products.means
    else:
        return torch.full((1, 1, products.members), 1 / products.members)
    if error_factor is not None:
        means = _with_first_scaled(means, error_factor)
    return best_weights(means, shrinkage)


def _with_first_scaled(means: Float[Tensor, "k q m m"], factor: Float[Tensor, " _k"]) -> Float[Tensor, "k q m m"]:
    """The products if the errors of the first member are multiplied by a factor."""
    lead_times, _, members, _ = means.shape
    factors = means.new_ones(lead_times, 1, members)
    factors[:, 0, 0] = factor[torch.arange(lead_times).clamp(max=len(factor) - 1)]
    return means * factors[..., None] * factors[..., None, :]


@lru_cache
@torch.inference_mode(mode=False)
def _prior_products() -> dict[str, Float[Tensor, "k q m m"]]:
    """The products of the file by the size of the frames."""
    stored = json.loads(FILE.read_text())["products"]
    return {size: torch.tensor(stored[size], dtype=torch.float64) for size in (SMALL, LARGE)}
