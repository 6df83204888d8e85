"""Data module of digit paths, for training the path network, and of clips, for validation and test."""

from typing import Any

import torch
from torch.utils.data import DataLoader

from framepred.data.datamodules.moving_mnist import MovingMNISTData
from framepred.data.loading import pins_memory
from framepred.data.moving_mnist import MovingMNIST
from framepred.data.moving_mnist_paths import MovingMNISTPaths, PathBatch


class MovingMNISTPathData(MovingMNISTData):
    """Data module with batches of digit paths for training, and of clips for validation and test.

    Args:
        path_frame_sizes: frame sizes of the training paths, height and width in pixels; successive paths cycle through
            them.
        settings: arguments of :class:`MovingMNISTData`; ``clips_per_epoch`` is the number of paths per epoch.

    Raises:
        ConfigError: if an argument is outside its domain.
    """

    def __init__(self, path_frame_sizes: list[tuple[int, int]], **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.path_frame_sizes = path_frame_sizes

    def train_dataloader(self) -> "DataLoader[PathBatch]":  # type: ignore[override]
        """Return a loader of path batches that starts at the current training position."""
        paths = MovingMNISTPaths([self._single_digits((size[0], size[1])) for size in self.path_frame_sizes])
        return PathLoader(
            paths,
            batch_sampler=self._epoch_batches(),
            collate_fn=_identity,
            num_workers=self.num_workers,
            pin_memory=pins_memory(self._device),
            generator=torch.Generator().manual_seed(0),  # as in ClipLoader
        )

    def _single_digits(self, frame_size: tuple[int, int]) -> MovingMNIST:
        return MovingMNIST(
            "train",
            seed=self.seed,
            length=self.context + self.horizon,
            frame_size=frame_size,
            digits_per_clip=1,
            speed=self.speed,
            digits=self.digits,
            root=self.root,
            download=self.download,
        )


class PathLoader(DataLoader[PathBatch]):
    """Data loader without own state; see :class:`framepred.data.loading.ClipLoader`."""

    def state_dict(self) -> dict[str, object]:
        """Return an empty dictionary: the sampler gets its position from the trainer."""
        return {}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Do nothing; see ``state_dict``."""


def _identity(batch: Any) -> PathBatch:
    assert isinstance(batch, PathBatch)
    return batch
