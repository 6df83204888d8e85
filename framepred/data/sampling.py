"""Which clips a batch holds: a function of where training stands, so that a killed run goes on exactly."""

import math
from collections.abc import Callable, Iterator

from torch.utils.data import Sampler

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
