"""Lightning data module of clips in shards: one folder or address per split, training clips shuffled."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset, Subset
from typing_extensions import override

from framepred.data.clip_dataset import check_counts, check_seed
from framepred.data.datamodules.base import ClipData
from framepred.data.digits import Split
from framepred.data.shards import BLOCK, CACHE, BlockShuffledClips, ClipShards
from framepred.data.video_folder import evenly_spread
from framepred.errors import DataError
from framepred.media.ranges import ValueRange


class ClipShardsData(ClipData):
    """Loads clips of shards on a disk or in cloud storage; see :mod:`framepred.data.shards`.

    Args:
        train: folder or address of the training shards.
        val: folder or address of the validation shards; None trains without validation.
        test: folder or address of the test shards.
        context: number of observed frames.
        horizon: number of frames to predict.
        batch_size: clips per batch and process.
        cache: disk space for downloaded shards of each split.
        block: consecutive clips that stay together in the random order.
        clips_per_epoch: training clips per epoch; None for all.
        val_clips: maximum number of validation clips, evenly spread.
        test_clips: maximum number of test clips, evenly spread.
        seed: seed of the order of the training clips.
        num_workers: processes that read ahead; 0 reads in this process.

    Raises:
        ConfigError: if an argument is outside its domain.
    """

    free_arguments = ClipData.free_arguments | {"train", "val", "test", "cache"}

    def __init__(
        self,
        train: str | None = None,
        val: str | None = None,
        test: str | None = None,
        context: int = 10,
        horizon: int = 10,
        batch_size: int = 16,
        cache: str = CACHE,
        block: int = BLOCK,
        clips_per_epoch: int | None = None,
        val_clips: int = 200,
        test_clips: int = 1000,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(context, horizon, batch_size, num_workers)
        check_seed(seed)
        check_counts(block=block, clips_per_epoch=clips_per_epoch, val_clips=val_clips, test_clips=test_clips)
        self.addresses: dict[Split, str | None] = {"train": train, "val": val, "test": test}
        self.cache = cache
        self.block = block
        self.clips_per_epoch = clips_per_epoch
        self.clips: dict[Split, int] = {"val": val_clips, "test": test_clips}
        self.seed = seed

    @property
    @override
    def scaled_range(self) -> ValueRange | None:
        ranges = [shards.value_range for shards in self._shards.values()]
        return ranges[0] if ranges else None

    def course(self) -> dict[str, Any]:
        """As ``ClipData`` does; shards count by their index."""
        fitted: tuple[Split, ...] = ("train", "val")
        indices = {split: self._shards[split].index_sha256 if split in self._shards else None for split in fitted}
        return super().course() | {f"{split}_shards": index for split, index in indices.items()}

    def dataset(self, split: Split) -> Dataset[Tensor]:
        """Return the clips of a split by index; the training stream has no end.

        Raises:
            DataError: if the split has no shards.
        """
        shards = self._shards.get(split)
        if shards is None:
            raise DataError(f"{split} is not set; set it to the folder or address of its shards.")
        if split == "train":
            return BlockShuffledClips(shards, self.seed, self.block)
        return Subset(shards, evenly_spread(len(shards), self.clips[split]))

    def count(self, split: Split) -> int:
        """Return the number of clips of a split; of training, those of one epoch."""
        if split not in self._shards:
            return 0
        clips = len(self._shards[split])
        return self.clips_per_epoch or clips if split == "train" else min(clips, self.clips[split])

    def describe(self) -> str:
        """Return a line on the clips of each split."""
        counts = (f"{split} {self.count(split):,} clips of {self.addresses[split]}" for split in self._shards)
        return "; ".join(counts)

    @cached_property
    def _shards(self) -> dict[Split, ClipShards]:
        length = self.context + self.horizon
        shards = {
            split: ClipShards(address, length, cache=self.cache)
            for split, address in self.addresses.items()
            if address is not None
        }
        _check_ranges({str(self.addresses[split]): part.value_range for split, part in shards.items()})
        return shards


def _check_ranges(ranges: Mapping[str, ValueRange | None]) -> None:
    """Refuse shards on different scales."""
    stated = {address: "no range of values" if known is None else known.summary for address, known in ranges.items()}
    (first, expected), *others = stated.items() or [("", "")]
    for address, found in others:
        if found != expected:
            raise DataError(
                f"The shards of {first} were written with {expected} as 0 to 1, and those of {address} with {found}; "
                "write both with one value_range."
            )
