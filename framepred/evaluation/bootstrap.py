"""The bootstrap over clips in constant memory.

Instead of drawing clips again, every clip counts a Poisson(1) number of times in every replicate (Oza and Russell
2001; Chamandy et al. 2012, "Estimating uncertainty for massive data streams"), so no clip has to be kept.
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor


@lru_cache(maxsize=1)  # metrics updated with the same clips share one draw
def poisson_weights(seed: int, rank: int, first: int, clips: int, replicates: int) -> UInt8[Tensor, "clips replicates"]:
    """How often clips ``first``, ``first + 1``, … count in each replicate; do not write into the result.

    A clip's weights depend on the seed, the process and its place in the order alone: not on the batch size.

    Args:
        seed: of the whole bootstrap, at least 0.
        rank: of the process, whose clips are others than its neighbours'.
        first: place of the first of these clips among those the process has seen.
        clips: how many clips.
        replicates: how many replicates.
    """
    rows = [np.random.default_rng((seed, rank, clip)).poisson(size=replicates) for clip in range(first, first + clips)]
    return torch.from_numpy(np.asarray(rows, dtype=np.uint8).reshape(clips, replicates))
