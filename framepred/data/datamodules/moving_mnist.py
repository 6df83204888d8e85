"""Moving MNIST for training: endless training clips, fixed validation and test clips."""

from framepred.data.datamodules.base import SPLITS_OF_STAGE, ClipData
from framepred.data.digits import Split
from framepred.data.moving_mnist import MovingMNIST


class MovingMNISTData(ClipData):
    """Loads Moving MNIST as uint8 ``ClipBatch``es.

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
        super().__init__(context, horizon, batch_size, num_workers)
        self.clips: dict[Split, int] = {"train": clips_per_epoch, "val": val_clips, "test": test_clips}
        self.seed = seed
        self.frame_size = frame_size
        self.digits_per_clip = digits_per_clip
        self.speed = speed
        self.digits = digits
        self.root = root
        self.download = download
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

    def count(self, split: Split) -> int:
        """Clips of a split; of training, those of an epoch."""
        return self.clips[split]
