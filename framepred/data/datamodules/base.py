"""What data modules share: loaders of three splits, training clips by position, nothing padded."""

from abc import ABC, abstractmethod

from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import Dataset

from framepred.data.digits import Split
from framepred.data.loading import ClipLoader, EpochBatches, OrderedBatches
from framepred.errors import ConfigError

SPLITS_OF_STAGE: dict[str | None, tuple[Split, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": ("test",),
    None: ("train", "val", "test"),
}


class ClipData(LightningDataModule, ABC):
    """Loads ``ClipBatch``es of three splits.

    Training goes on where it was killed with the clips it would have seen: the k-th batch of a run is the same
    with and without interruption. With several processes leave the sharing of clips to this class:
    ``use_distributed_sampler: false``.

    Args:
        context: frames that are seen.
        horizon: frames to be predicted.
        batch_size: clips a batch and process.
        num_workers: processes that read ahead; 0 reads in this one.

    Raises:
        ConfigError: if an argument is outside its domain.
    """

    def __init__(self, context: int, horizon: int, batch_size: int, num_workers: int) -> None:
        super().__init__()
        if min(context, horizon) < 1:
            raise ConfigError(f"context and horizon must be at least 1 frame each, not {context} and {horizon}.")
        self.context = context
        self.horizon = horizon
        self.batch_size = batch_size
        self.num_workers = num_workers

    @abstractmethod
    def dataset(self, split: Split) -> Dataset[Tensor]:
        """The clips of a split, by number; training's never end."""

    @abstractmethod
    def count(self, split: Split) -> int:
        """Clips of a split; of training, those of an epoch."""

    def train_dataloader(self) -> ClipLoader:
        """Batches of training clips, from where training stands."""
        rank, world = self._place()
        clips = self.dataset("train")
        batches = EpochBatches(
            self.count("train"), self.batch_size, rank=rank, world=world, position=self._batches_trained
        )
        return ClipLoader(clips, batches, self.context, self.num_workers)

    def val_dataloader(self) -> ClipLoader:
        """The validation clips in order."""
        return self._in_order("val")

    def test_dataloader(self) -> ClipLoader:
        """The test clips in order."""
        return self._in_order("test")

    def predict_dataloader(self) -> ClipLoader:
        """The test clips in order."""
        return self._in_order("test")

    def _in_order(self, split: Split) -> ClipLoader:
        rank, world = self._place()
        clips = self.dataset(split)
        batches = OrderedBatches(self.count(split), self.batch_size, rank=rank, world=world)
        return ClipLoader(clips, batches, self.context, self.num_workers)

    def _place(self) -> tuple[int, int]:
        """Which process this is, of how many; alone without a trainer."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _batches_trained(self) -> int:
        """Batches trained on since the very start: Lightning restores this count, also within an epoch."""
        if self.trainer is None:
            return 0
        processed: int = self.trainer.fit_loop.epoch_loop.batch_progress.total.processed  # type: ignore[attr-defined]
        return processed
