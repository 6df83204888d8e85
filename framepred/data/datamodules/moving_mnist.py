"""Lightning data module of Moving MNIST: an endless stream of training clips, fixed validation and test clips."""

from typing import Any

from torch import Tensor
from torch.utils.data import Dataset
from typing_extensions import override

from framepred.data.clip_dataset import check_counts
from framepred.data.datamodules.base import ClipData
from framepred.data.digits import DigitBank, Split
from framepred.data.loading import pins_memory
from framepred.data.moving_mnist import MovingMNIST, UnrenderedClips
from framepred.errors import ConfigError, DataError


class MovingMNISTData(ClipData):
    """Loads Moving MNIST as uint8 ``ClipBatch``es.

    In training on a CUDA GPU, digits and their positions are copied to the GPU, which renders the clips.

    Args:
        context: number of observed frames.
        horizon: number of frames to predict.
        batch_size: clips per batch and process.
        clips_per_epoch: training clips per epoch; no clip is repeated in later epochs.
        val_clips: validation clips; 0 trains without validation.
        test_clips: test clips.
        seed: seed of the streams of clips.
        frame_size: height and width in pixels, each at least 28.
        digits_per_clip: number of digits in each clip.
        speed: fraction of the free canvas per frame.
        digits: ``mnist``, ``fashion-mnist``, or ``mnist-5k`` for the embedded digits alone.
        root: folder of the digit files; else ``$FRAMEPRED_DATA``, the cache and the embedded digits are tried.
        download: whether to download missing digits.
        num_workers: processes that render ahead; 0, the fastest choice unless a training step takes less time than
            rendering its batch (thousands of clips per second), renders in this process.

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
        if val_clips < 0:
            raise ConfigError(f"val_clips must be 0 or more, not {val_clips}.")
        check_counts(clips_per_epoch=clips_per_epoch, test_clips=test_clips)
        self.clips: dict[Split, int] = {"train": clips_per_epoch, "val": val_clips, "test": test_clips}
        self.seed = seed
        self.frame_size = frame_size
        self.digits_per_clip = digits_per_clip
        self.speed = speed
        self.digits = digits
        self.root = root
        self.download = download
        self._datasets: dict[Split, MovingMNIST] = {}

    def course(self) -> dict[str, Any]:
        """As ``ClipData`` does; digits count by their content."""
        banks = {split: self.bank(split) for split in self._used_splits("fit")}
        return super().course() | {f"{split}_digits": f"{bank.name}, {bank.sha256}" for split, bank in banks.items()}

    def prepare_data(self) -> None:
        """Download missing digits where that is allowed, once per machine."""
        if self.download:
            self.setup()

    def dataset(self, split: Split) -> MovingMNIST:
        """Return the clips of a split, created at the first call; the training stream has no end.

        Raises:
            DataError: if the split has no clips, or digits are missing or damaged.
        """
        if not self.count(split):
            raise DataError(f"There are no {split} clips; set {split}_clips above 0.")
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

    def _training_stream(self) -> Dataset[Tensor]:
        clips = self.dataset("train")
        return UnrenderedClips(clips) if pins_memory(self._device) else clips

    def count(self, split: Split) -> int:
        """Return the number of clips of a split; of training, those of one epoch."""
        return self.clips[split]

    @override
    def bank(self, split: Split) -> DigitBank:
        return self.dataset(split).bank

    def describe(self) -> str:
        """Return one line on the digits of each split."""
        banks = {split: self.bank(split) for split in self._used_splits(None)}
        parts = [f"{split} {len(bank):,} digits of {bank.source}" for split, bank in banks.items()]
        note = next((f". {bank.note}" for bank in banks.values() if bank.note), "")
        return f"Moving digits ({self.digits}): {', '.join(parts)}{note}."
