"""Data sets and data modules: Moving MNIST, videos, arrays, and their division into splits.

Every data set is a PyTorch ``Dataset`` of clips ``(t, c, h, w)`` and works in a plain ``DataLoader``. The data modules
add splits, shuffling and exact resume for training with Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from framepred.data.arrays import ClipArray, VideoWindows
from framepred.data.clip_dataset import ClipDataset, ShuffledClips
from framepred.data.digits import DigitBank, Split, find_digits
from framepred.data.loading import ClipLoader, EpochBatches, OrderedBatches
from framepred.data.moving_mnist import MovingMNIST
from framepred.data.moving_mnist_paths import MovingMNISTPaths, PathBatch
from framepred.data.shards import BlockShuffledClips, ClipShards, write_shards
from framepred.data.video_folder import VideoFolder

if TYPE_CHECKING:
    from framepred.data.datamodules.clip_shards import ClipShardsData
    from framepred.data.datamodules.moving_mnist import MovingMNISTData
    from framepred.data.datamodules.moving_mnist_paths import MovingMNISTPathData
    from framepred.data.datamodules.next_word import NextWordData
    from framepred.data.datamodules.video_folder import VideoFolderData

__all__ = [
    "BlockShuffledClips",
    "ClipArray",
    "ClipDataset",
    "ClipLoader",
    "ClipShards",
    "ClipShardsData",
    "DigitBank",
    "EpochBatches",
    "MovingMNIST",
    "MovingMNISTData",
    "MovingMNISTPathData",
    "MovingMNISTPaths",
    "NextWordData",
    "OrderedBatches",
    "PathBatch",
    "ShuffledClips",
    "Split",
    "VideoFolder",
    "VideoFolderData",
    "VideoWindows",
    "find_digits",
    "write_shards",
]

_DATA_MODULES = {
    "ClipShardsData": "framepred.data.datamodules.clip_shards",
    "MovingMNISTData": "framepred.data.datamodules.moving_mnist",
    "MovingMNISTPathData": "framepred.data.datamodules.moving_mnist_paths",
    "NextWordData": "framepred.data.datamodules.next_word",
    "VideoFolderData": "framepred.data.datamodules.video_folder",
}


def __getattr__(name: str) -> Any:
    """Import the data modules on first use, because Lightning takes seconds to import."""
    if name not in _DATA_MODULES:
        raise AttributeError(f"module 'framepred.data' has no attribute {name!r}")
    return getattr(import_module(_DATA_MODULES[name]), name)
