"""The base class of the data modules: loaders of three splits, training clips by position, no padding."""

from abc import ABC, abstractmethod
from inspect import signature
from typing import Any, ClassVar, TypeVar

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import Dataset
from typing_extensions import override

from framepred.clips import ClipBatch
from framepred.data.digits import DigitBank, Split
from framepred.data.loading import CPU, ClipLoader, EpochBatches, OrderedBatches, Unrendered, fetched
from framepred.errors import ConfigError, DataError
from framepred.media.memory import check_memory
from framepred.media.ranges import ValueRange

SPLITS_OF_STAGE: dict[str | None, tuple[Split, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": ("test",),
    None: ("train", "val", "test"),
}


MAX_BATCH = 1_000_000
"""Clips of a batch, at most: more than any memory holds."""

MAX_WORKERS = 1_000
"""Processes that read clips, at most: more than any machine has cores."""

FLOAT_BYTES = 4
"""Bytes of a value of a batch that it takes in training beside the clips themselves: as float32."""

_Data = TypeVar("_Data", bound="ClipData")


class ClipData(LightningDataModule, ABC):
    """Loads three splits as ``ClipBatch``es.

    The training clips form one endless stream. ``w`` processes train ``w · batch_size`` different clips a step, in
    the order of the stream; see ``EpochBatches``. Checkpoints keep the number of clips trained, so a resumed run
    continues at the next clip, also with another number of processes or another batch size. With ``overfit_batches``
    of the trainer, every epoch repeats the first batches of the stream. Validation and test
    clips are shared out without repeats; see ``OrderedBatches``. Set ``use_distributed_sampler: false`` in the
    trainer, because this class shares the clips out.

    Args:
        context: number of observed frames.
        horizon: number of frames to predict.
        batch_size: clips per batch and process.
        num_workers: processes that read ahead; 0 reads in this process.

    Attributes:
        arguments: those of ``__init__``, by name.

    Raises:
        ConfigError: if an argument is outside its domain.
    """

    arguments: dict[str, Any]
    free_arguments: ClassVar[frozenset[str]] = frozenset(
        {"batch_size", "clips_per_epoch", "test_clips", "num_workers", "root", "download"}
    )
    """Arguments that are not compared when a run is resumed."""

    def __new__(cls: type[_Data], *args: Any, **kwargs: Any) -> _Data:
        """Note the arguments."""
        data: _Data = super().__new__(cls)
        vars(data)["arguments"] = _arguments(cls, data, args, kwargs)
        return data

    def __init__(self, context: int, horizon: int, batch_size: int, num_workers: int) -> None:
        super().__init__()
        if empty := [name for name, value in self.arguments.items() if value == ""]:
            raise ConfigError(f"{empty[0]} is empty; set it, or leave it out.")
        if min(context, horizon) < 1:
            raise ConfigError(f"context and horizon must be at least 1 frame each, not {context} and {horizon}.")
        if num_workers < 0:
            raise ConfigError(f"num_workers must be 0 or more, not {num_workers}.")
        if batch_size > MAX_BATCH or num_workers > MAX_WORKERS:
            raise ConfigError(
                f"batch_size is at most {MAX_BATCH:,} and num_workers at most {MAX_WORKERS:,}, not {batch_size:,} and "
                f"{num_workers:,}."
            )
        self.context = context
        self.horizon = horizon
        self.batch_size = batch_size
        self.num_workers = num_workers
        self._resumed_clips = self._resumed_batches = 0

    @abstractmethod
    def dataset(self, split: Split) -> Dataset[Tensor]:
        """Return the clips of a split by index, with ``__getitems__``; the training stream has no end."""

    @abstractmethod
    def count(self, split: Split) -> int:
        """Return the number of clips of a split; of training, those of one epoch."""

    def bank(self, split: Split) -> DigitBank | None:  # noqa: ARG002
        """Return the digits that the clips of a split are made of; None where they are made of none."""
        return None

    @property
    def scaled_range(self) -> ValueRange | None:
        """The values of files that became 0 and 1 in the clips; None where the types of the files state them."""
        return None

    @property
    def filler(self) -> float | None:
        """The value in [0, 1] that stands for missing pixels of the clips; None where none can be missing."""
        return None if self.scaled_range is None else self.scaled_range.filler_in_unit

    def course(self) -> dict[str, Any]:
        """Return what decides which clips a run trains on and validates; it stays the same when a run is resumed.

        Subclasses that find their data in files add what identifies these, so that files may be moved but not replaced.
        """
        return {name: value for name, value in self.arguments.items() if name not in self.free_arguments}

    def setup(self, stage: str | None = None) -> None:
        """Find the data, so that errors in them appear before training begins; skip validation without clips."""
        for split in self._used_splits(stage):
            self.dataset(split)
        if "train" in self._used_splits(stage):
            self._check_memory(self.dataset("train"))  # before the first validation
        if self.trainer and not self.count("val"):
            self.trainer.limit_val_batches = 0

    def train_dataloader(self) -> ClipLoader:
        """Return the batches of training clips, from the current training position on."""
        clips, batches = self._training_stream(), self._epoch_batches()
        return ClipLoader(clips, batches, self.context, self.num_workers, self.filler, self._device)

    def _epoch_batches(self) -> EpochBatches:
        """Return the clip indices of the batches of an epoch, from the current training position on."""
        rank, world = self._rank_and_world()
        return EpochBatches(self.count("train"), self.batch_size, rank=rank, world=world, position=self._position)

    def _training_stream(self) -> Dataset[Tensor]:
        """Return the data set of the training loader."""
        return self.dataset("train")

    @override
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Render a batch on the device where it is not rendered yet."""
        return ClipBatch.cut(batch.render(), self.context, self.filler) if isinstance(batch, Unrendered) else batch

    def val_dataloader(self) -> ClipLoader | list[ClipLoader]:
        """Return the validation clips in order; an empty list, which skips validation, where there are none."""
        return self._in_order("val") if self.count("val") else []

    def test_dataloader(self) -> ClipLoader:
        """Return the test clips in order."""
        return self._in_order("test")

    def predict_dataloader(self) -> ClipLoader:
        """Return the test clips in order."""
        return self._in_order("test")

    def state_dict(self) -> dict[str, Any]:
        """Return the number of clips trained by all processes, and of batches trained by each."""
        return {"clips": self._clips_trained(), "batches": batches_trained(self.trainer)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the training stream after the clips of a checkpoint.

        Raises:
            DataError: if the state does not come from ``state_dict``.
        """
        clips, batches = state_dict.get("clips"), state_dict.get("batches")
        if not (isinstance(clips, int) and isinstance(batches, int) and min(clips, batches) >= 0):
            raise DataError(f"The checkpoint counts {clips} clips and {batches} batches; resume from another one.")
        self._resumed_clips, self._resumed_batches = clips, batches

    def _check_memory(self, clips: Dataset[Tensor]) -> None:
        """Refuse batches that do not fit the memory, by the size of the first clip."""
        clip = fetched(clips, [0])[0]
        check_memory(
            self.batch_size * clip.numel() * (clip.itemsize + FLOAT_BYTES),
            f"{self.batch_size:,} clips at a time, of {' × '.join(map(str, clip.shape))} values,",
            "lower batch_size, the frame size or the horizon",
        )

    def _used_splits(self, stage: str | None) -> list[Split]:
        return [split for split in SPLITS_OF_STAGE[stage] if self.count(split)]

    def _in_order(self, split: Split) -> ClipLoader:
        rank, world = self._rank_and_world()
        clips = self.dataset(split)
        batches = OrderedBatches(self.count(split), self.batch_size, rank=rank, world=world)
        return ClipLoader(clips, batches, self.context, self.num_workers, self.filler, self._device)

    def _rank_and_world(self) -> tuple[int, int]:
        """Return the index of this process and the number of processes; without a trainer there is one."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    @property
    def _device(self) -> torch.device:
        """The device that the trainer moves batches to; without a trainer the CPU."""
        device: torch.device = self.trainer.strategy.root_device if self.trainer else CPU
        return device

    def _position(self) -> int:
        """Return the index of the next clip of the training stream; ``overfit_batches`` repeats its first batches."""
        overfit = self.trainer.overfit_batches if self.trainer else 0  # type: ignore[attr-defined]
        if not overfit:
            return self._clips_trained()
        _, world = self._rank_and_world()
        batches = len(self._epoch_batches())
        repeated = min(overfit, batches) if isinstance(overfit, int) else int(overfit * batches)  # as Lightning does
        return batches_trained(self.trainer) % repeated * self.batch_size * world

    def _clips_trained(self) -> int:
        """Return the number of clips trained since the first start, by all processes."""
        _, world = self._rank_and_world()
        return self._resumed_clips + (batches_trained(self.trainer) - self._resumed_batches) * self.batch_size * world


def _arguments(cls: type, data: object, args: Any, kwargs: Any) -> dict[str, Any]:
    """Return the arguments of a call of a class by name, with the defaults of the class and of its base classes."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__[: cls.__mro__.index(ClipData)]):
        parameters = signature(base.__init__).parameters.values()  # type: ignore[misc]
        found |= {one.name: one.default for one in parameters if one.default is not one.empty}
    given = signature(cls.__init__).bind_partial(data, *args).arguments  # type: ignore[misc]
    found |= dict(list(given.items())[1:]) | kwargs
    return found


def batches_trained(trainer: Any) -> int:
    """Return the batches that a Lightning trainer trained since the first start, also within an epoch; 0 for None."""
    if trainer is None:
        return 0
    processed: int = trainer.fit_loop.epoch_loop.batch_progress.total.processed
    return processed
