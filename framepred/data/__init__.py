"""Data: digits, Moving MNIST, arrays, videos, and how their clips reach training."""

from typing import TYPE_CHECKING, Any

from framepred.data.arrays import ClipArray
from framepred.data.digits import DigitBank, Split, find_digits
from framepred.data.loading import ClipLoader
from framepred.data.moving_mnist import MovingMNIST
from framepred.data.sampling import EpochBatches, OrderedBatches
from framepred.data.windows import VideoWindows

if TYPE_CHECKING:
    from framepred.data.moving_mnist_data import MovingMNISTData

__all__ = [
    "ClipArray",
    "ClipLoader",
    "DigitBank",
    "EpochBatches",
    "MovingMNIST",
    "MovingMNISTData",
    "OrderedBatches",
    "Split",
    "VideoWindows",
    "find_digits",
]


def __getattr__(name: str) -> Any:
    """Import Lightning, which takes seconds, only for the data modules."""
    if name != "MovingMNISTData":
        raise AttributeError(f"module 'framepred.data' has no attribute {name!r}")
    from framepred.data.moving_mnist_data import MovingMNISTData

    return MovingMNISTData
