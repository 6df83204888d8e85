"""Samplers and loaders: which clips a batch holds, as a function of the training position alone."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from framepred.clips import ClipBatch
from framepred.errors import ConfigError


class EpochBatches(Sampler[list[int]]):
    """Batches of an endless stream of generated clips, none of them ever repeated.

    Batch number p (counted from the start of training, not of the epoch) on rank r of w holds the clips
    ``(p · w + r) · batch_size`` and the ``batch_size − 1`` that follow. An epoch is only a stretch of the stream.

    Args:
        clips_per_epoch: clips in an epoch over all ranks, rounded up to whole batches.
        batch_size: clips a batch and rank.
        rank: this process, 0 to ``world`` − 1.
        world: how many processes share the stream.
        position: gives the number of batches trained on so far; it is asked whenever iteration starts.

    Raises:
        ConfigError: if a size is less than 1.
    """

    def __init__(
        self,
        clips_per_epoch: int,
        batch_size: int,
        *,
        rank: int = 0,
        world: int = 1,
        position: Callable[[], int] = int,
    ) -> None:
        _check_sizes(clips_per_epoch=clips_per_epoch, batch_size=batch_size)
        self.batches = math.ceil(clips_per_epoch / (batch_size * world))
        self.batch_size = batch_size
        self.rank = rank
        self.world = world
        self.position = position

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        start = self.position()
        for batch in range(start, start + self.batches):
            first = (batch * self.world + self.rank) * self.batch_size
            yield list(range(first, first + self.batch_size))


class OrderedBatches(Sampler[list[int]]):
    """Every clip once, in order: rank r of w takes the clips r, r + w, r + 2w, …, and nothing is padded.

    Args:
        clips: how many there are.
        batch_size: clips a batch; the last may be smaller.
        rank: this process, 0 to ``world`` − 1.
        world: how many processes share the clips.

    Raises:
        ConfigError: if a size is less than 1.
    """

    def __init__(self, clips: int, batch_size: int, *, rank: int = 0, world: int = 1) -> None:
        _check_sizes(clips=clips, batch_size=batch_size)
        self.share = range(rank, clips, world)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.share) / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for first in range(0, len(self.share), self.batch_size):
            yield list(self.share[first : first + self.batch_size])


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ConfigError(f"{name} must be at least 1, not {size}.")


class ClipLoader(DataLoader[Any]):
    """Loads ``ClipBatch`` after ``ClipBatch`` from a data set that gives whole batches (``__getitems__``).

    Args:
        dataset: clips ``(t, c, h, w)``, a batch ``(b, t, c, h, w)``.
        batches: gives the clip numbers of each batch.
        context: how many frames are seen; those that follow are the target.
        workers: processes that read ahead; 0 reads in this one.

    Raises:
        ConfigError: if ``context`` or ``workers`` is outside its domain.
    """

    def __init__(self, dataset: Dataset[Tensor], batches: Sampler[list[int]], context: int, workers: int = 0) -> None:
        if context < 1:
            raise ConfigError(f"context must be at least 1 frame, not {context}.")
        if workers < 0:
            raise ConfigError(f"num_workers must be 0 or more, not {workers}.")
        super().__init__(
            dataset,
            batch_sampler=batches,
            collate_fn=partial(ClipBatch.cut, context=context),
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    def state_dict(self) -> dict[str, Any]:
        """Nothing: where training stands is the trainer's to keep, and the sampler asks it.

        With ``load_state_dict`` it tells Lightning that training may go on in the middle of an epoch.
        """
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore; see ``state_dict``."""
