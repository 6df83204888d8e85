"""Data: digits, Moving MNIST, arrays, videos, and how their clips reach training."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from framepred.data.arrays import ClipArray
from framepred.data.digits import DigitBank, Split, find_digits
from framepred.data.loading import ClipLoader
from framepred.data.moving_mnist import MovingMNIST
from framepred.data.moving_mnist_paths import MovingMNISTPaths, PathBatch
from framepred.data.sampling import EpochBatches, OrderedBatches
from framepred.data.video_folder import VideoFolder
from framepred.data.windows import VideoWindows

if TYPE_CHECKING:
    from framepred.data.moving_mnist_data import MovingMNISTData
    from framepred.data.moving_mnist_path_data import MovingMNISTPathData
    from framepred.data.next_word_data import NextWordData
    from framepred.data.video_folder_data import VideoFolderData

__all__ = [
    "ClipArray",
    "ClipLoader",
    "DigitBank",
    "EpochBatches",
    "MovingMNIST",
    "MovingMNISTData",
    "MovingMNISTPathData",
    "MovingMNISTPaths",
    "NextWordData",
    "OrderedBatches",
    "PathBatch",
    "Split",
    "VideoFolder",
    "VideoFolderData",
    "VideoWindows",
    "find_digits",
]

_DATA_MODULES = {
    "MovingMNISTData": "framepred.data.moving_mnist_data",
    "MovingMNISTPathData": "framepred.data.moving_mnist_path_data",
    "NextWordData": "framepred.data.next_word_data",
    "VideoFolderData": "framepred.data.video_folder_data",
}


def __getattr__(name: str) -> Any:
    """Import Lightning, which takes seconds, only for the data modules."""
    if name not in _DATA_MODULES:
        raise AttributeError(f"module 'framepred.data' has no attribute {name!r}")
    return getattr(import_module(_DATA_MODULES[name]), name)
