"""Base class of clip data sets, and a shuffled training stream over one."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import SupportsIndex

import numpy as np
from jaxtyping import Shaped
from torch import Tensor
from torch.utils.data import Dataset

from framepred.errors import ConfigError
from framepred.media.ranges import ValueRange


class ClipDataset(Dataset[Tensor], ABC):
    """Map-style data set of clips ``(t, c, h, w)`` for ``torch.utils.data.DataLoader``.

    ``dataset[i]`` accepts indices from ``-len(dataset)`` to ``len(dataset) - 1``, as a list does. Other indices
    raise ``IndexError``, which ends iteration.

    Attributes:
        value_range: the values of files that became 0 and 1 in the clips; None where the types of the files state them.
    """

    value_range: ValueRange | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Number of clips; for a training stream, the number of clips per epoch."""

    @abstractmethod
    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        """Return the clips at these non-negative indices; ``DataLoader`` calls this method to fetch a batch."""

    def __getitem__(self, index: SupportsIndex) -> Shaped[Tensor, "t c h w"]:
        count, position = len(self), operator.index(index)
        if not -count <= position < count:
            raise IndexError(f"Clip {position} is out of range: there are {count} clips.")
        return self.__getitems__([position % count])[0]


class ShuffledClips(ClipDataset):
    """Infinite training stream over a data set: each epoch contains every clip once, in a new random order.

    Clip ``i`` of the stream depends only on (seed, i), so a resumed run gets the same clips.

    Args:
        clips: the data set, with at least one clip.
        seed: seed of the random orders, 0 or more.

    Raises:
        ConfigError: if ``seed`` is negative.
    """

    def __init__(self, clips: ClipDataset, seed: int = 0) -> None:
        check_seed(seed)
        self.clips = clips
        self.seed = seed
        self.value_range = clips.value_range

    def __len__(self) -> int:
        return len(self.clips)

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        """Return the clips at these indices of the stream; any index of at least 0 is valid."""
        positions = (divmod(index, len(self.clips)) for index in indices)
        return self.clips.__getitems__([int(self.order(epoch)[position]) for epoch, position in positions])

    def order(self, epoch: int) -> np.ndarray:
        """Return the indices of all clips in the order of an epoch."""
        return _order(len(self.clips), self.seed, epoch)


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def check_seed(seed: int) -> None:
    """Check that a seed is one that NumPy takes.

    Raises:
        ConfigError: if it is negative.
    """
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more, not {seed}.")


def check_counts(**counts: int | None) -> None:
    """Check that every argument is at least 1; None passes.

    Raises:
        ConfigError: if an argument is less than 1.
    """
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ConfigError(f"{name} must be at least 1, not {count}.")
