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

_PRIOR_MEMBERS = {4: (0, 1, 2, 3), 5: (0, 0, 1, 2, 3)}
"""For each number of members, the index in the file of the errors that each member gets: of five, the first is the mean
of the network over mirror images, whose errors are nearly those of the network."""


def weigh_members(
    products: ErrorProducts, shrinkage: float | Sequence[float] = SHRINKAGE, *, large: bool = False
) -> Float[Tensor, "k q m"]:
    """The weights with the least error in a clip's past, regularised by a prior.

    The prior holds the errors of ``natural-small``, two optical flows and last frame; four members are taken for these,
    five for these with the mean of the network over mirror images before them. Without a past the weights follow from
    the prior alone, and are equal for another number of members.

    Args:
        products: what the members got wrong in the past.
        shrinkage: pull of a region's weights towards those of the whole frame; see
            :func:`~framepred.inference.stacking.best_weights`.
        large: whether the frames are larger than those that the blend itself predicts.
    """
    if products.members in _PRIOR_MEMBERS:
        indices = list(_PRIOR_MEMBERS[products.members])
        prior = _prior_products()[LARGE if large else SMALL][..., indices, :][..., indices]
        return best_weights(products.means_with_prior(prior[: products.horizon], PRIOR_COUNT), shrinkage)
    if not products.measured:
        return torch.full((1, 1, products.members), 1 / products.members)
    return products.best_weights(shrinkage)


@lru_cache
@torch.inference_mode(mode=False)
def _prior_products() -> dict[str, Float[Tensor, "k q m m"]]:
    """The products of the file by the size of the frames."""
    stored = json.loads(FILE.read_text())["products"]
    return {size: torch.tensor(stored[size], dtype=torch.float64) for size in (SMALL, LARGE)}
