"""Moving MNIST for training: endless training clips, fixed validation and test clips."""

from lightning.pytorch import LightningDataModule

from framepred.data.digits import Split
from framepred.data.loading import ClipLoader
from framepred.data.moving_mnist import MovingMNIST
from framepred.data.sampling import EpochBatches, OrderedBatches
from framepred.errors import ConfigError

SPLITS_OF_STAGE: dict[str | None, tuple[Split, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": ("test",),
    None: ("train", "val", "test"),
}


class MovingMNISTData(LightningDataModule):
    """Loads Moving MNIST as uint8 ``ClipBatch``es.

    Training goes on where it was killed with the clips it would have seen: the k-th batch of a run is the same
    with and without interruption. With several processes leave the sharing of clips to this class:
    ``use_distributed_sampler: false``.

    Args:
        context: frames that are seen.
        horizon: frames to be predicted.
        batch_size: clips a batch and process.
        clips_per_epoch: training clips in an epoch; no clip ever comes twice.
        val_clips: validation clips.
        test_clips: test clips.
        seed: which stream of clips.
        frame_size: height and width in pixels, each at least 28.
        digits_per_clip: how many digits fly.
        speed: fraction of the free canvas per frame.
        digits: ``mnist``, ``fashion-mnist``, or ``mnist-5k`` for the embedded digits alone.
        root: the folder of the digits; else ``$FRAMEPRED_DATA``, the cache and the embedded digits are tried.
        download: whether missing digits may be fetched.
        num_workers: processes that render ahead; 0 is best where training is slower than thousands of clips a second.

    Raises:
        ConfigError: if an argument is outside its domain.
    """

    def __init__(
        self,
        context: int = 10,
        horizon: int = 10,
        batch_size: int = 16,
        clips_per_epoch: int = 10_000,
        val_clips: int = 200,
        test_clips: int = 1000,
        seed: int = 0,
        frame_size: tuple[int, int] = (64, 64),
        digits_per_clip: int = 2,
        speed: float = 0.1,
        digits: str = "mnist",
        root: str | None = None,
        download: bool = False,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if min(context, horizon) < 1:
            raise ConfigError(f"context and horizon must be at least 1 frame each, not {context} and {horizon}.")
        self.context = context
        self.horizon = horizon
        self.batch_size = batch_size
        self.clips: dict[Split, int] = {"train": clips_per_epoch, "val": val_clips, "test": test_clips}
        self.seed = seed
        self.frame_size = frame_size
        self.digits_per_clip = digits_per_clip
        self.speed = speed
        self.digits = digits
        self.root = root
        self.download = download
        self.num_workers = num_workers
        self._datasets: dict[Split, MovingMNIST] = {}

    def prepare_data(self) -> None:
        """Fetch missing digits where that is allowed: once a machine."""
        if self.download:
            for split in SPLITS_OF_STAGE[None]:
                self.dataset(split)

    def setup(self, stage: str | None = None) -> None:
        """Find the digits, so that what is missing is said before training begins."""
        for split in SPLITS_OF_STAGE[stage]:
            self.dataset(split)

    def dataset(self, split: Split) -> MovingMNIST:
        """The clips of a split; made at the first call."""
        if split not in self._datasets:
            self._datasets[split] = MovingMNIST(
                split,
                clips=self.clips[split],
                seed=self.seed,
                length=self.context + self.horizon,
                frame_size=self.frame_size,
                digits_per_clip=self.digits_per_clip,
                speed=self.speed,
                digits=self.digits,
                root=self.root,
                download=self.download,
            )
        return self._datasets[split]

    def describe(self) -> str:
        """One line on which digits are used for what."""
        banks = {split: self.dataset(split).bank for split in SPLITS_OF_STAGE[None]}
        parts = [f"{split} {len(bank):,} digits of {bank.source}" for split, bank in banks.items()]
        note = next((f". {bank.note}" for bank in banks.values() if bank.note), "")
        return f"Moving digits ({self.digits}): {', '.join(parts)}{note}."

    def train_dataloader(self) -> ClipLoader:
        """Batches of fresh clips, from where training stands."""
        rank, world = self._place()
        batches = EpochBatches(
            self.clips["train"], self.batch_size, rank=rank, world=world, position=self._batches_trained
        )
        return ClipLoader(self.dataset("train"), batches, self.context, self.num_workers)

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
        batches = OrderedBatches(self.clips[split], self.batch_size, rank=rank, world=world)
        return ClipLoader(self.dataset(split), batches, self.context, self.num_workers)

    def _place(self) -> tuple[int, int]:
        """Which process this is, of how many; alone without a trainer."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _batches_trained(self) -> int:
        """Batches trained on since the very start: Lightning restores this count, also within an epoch."""
        if self.trainer is None:
            return 0
        processed: int = self.trainer.fit_loop.epoch_loop.batch_progress.total.processed  # type: ignore[attr-defined]
        return processed
