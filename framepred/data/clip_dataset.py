"""The base class of the data sets of clips, and the training stream that shuffles them."""

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


class ClipDataset(Dataset[Tensor], ABC):
    """Clips by index, each ``(t, c, h, w)``, for any ``torch.utils.data.DataLoader``.

    ``dataset[i]`` accepts indices from ``-len(dataset)`` to ``len(dataset) - 1``, as a list does, and raises
    ``IndexError`` beyond, so that iteration ends.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Number of clips; of a training stream, those of one epoch."""

    @abstractmethod
    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        """Return the clips at these indices, each 0 or more; a ``DataLoader`` fetches batches by this method."""

    def __getitem__(self, index: SupportsIndex) -> Shaped[Tensor, "t c h w"]:
        count, position = len(self), operator.index(index)
        if not -count <= position < count:
            raise IndexError(f"Clip {position} is out of range: there are {count} clips.")
        return self.__getitems__([position % count])[0]


class ShuffledClips(ClipDataset):
    """An endless training stream of a data set's clips: each epoch holds every clip once, in its own order.

    Clip ``i`` of the stream is a function of (seed, i) alone, so a resumed run sees the same clips.

    Args:
        clips: the data set, with at least one clip.
        seed: seed of the orders.
    """

    def __init__(self, clips: ClipDataset, seed: int = 0) -> None:
        self.clips = clips
        self.seed = seed

    def __len__(self) -> int:
        return len(self.clips)

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        """Return the clips at these indices of the stream, which has no end."""
        positions = (divmod(index, len(self.clips)) for index in indices)
        return self.clips.__getitems__([self._shuffled(epoch, position) for epoch, position in positions])

    def _shuffled(self, epoch: int, position: int) -> int:
        return int(_order(len(self.clips), self.seed, epoch)[position])


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def check_counts(**counts: int | None) -> None:
    """Check that every argument is at least 1; None passes.

    Raises:
        ConfigError: if one is not.
    """
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ConfigError(f"{name} must be at least 1, not {count}.")
