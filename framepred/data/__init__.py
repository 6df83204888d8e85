"""Data: digits, Moving MNIST, arrays, videos, and how their clips reach training."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from framepred.data.arrays import ClipArray, VideoWindows
from framepred.data.digits import DigitBank, Split, find_digits
from framepred.data.loading import ClipLoader, EpochBatches, OrderedBatches
from framepred.data.moving_mnist import MovingMNIST
from framepred.data.video_folder import VideoFolder

if TYPE_CHECKING:
    from framepred.data.datamodules.moving_mnist import MovingMNISTData
    from framepred.data.datamodules.next_word import NextWordData
    from framepred.data.datamodules.video_folder import VideoFolderData

__all__ = [
    "ClipArray",
    "ClipLoader",
    "DigitBank",
    "EpochBatches",
    "MovingMNIST",
    "MovingMNISTData",
    "NextWordData",
    "OrderedBatches",
    "Split",
    "VideoFolder",
    "VideoFolderData",
    "VideoWindows",
    "find_digits",
]

_DATA_MODULES = {
    "MovingMNISTData": "framepred.data.datamodules.moving_mnist",
    "NextWordData": "framepred.data.datamodules.next_word",
    "VideoFolderData": "framepred.data.datamodules.video_folder",
}


def __getattr__(name: str) -> Any:
    """Import Lightning, which takes seconds, only for the data modules."""
    if name not in _DATA_MODULES:
        raise AttributeError(f"module 'framepred.data' has no attribute {name!r}")
    return getattr(import_module(_DATA_MODULES[name]), name)
