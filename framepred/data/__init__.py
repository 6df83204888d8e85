"""Data: digits, Moving MNIST, arrays, and how their clips reach training."""

from framepred.data.digits import DigitBank, Split, find_digits
from framepred.data.loading import ClipLoader
from framepred.data.moving_mnist import MovingMNIST
from framepred.data.moving_mnist_data import MovingMNISTData
from framepred.data.sampling import EpochBatches, OrderedBatches

__all__ = [
    "ClipLoader",
    "DigitBank",
    "EpochBatches",
    "MovingMNIST",
    "MovingMNISTData",
    "OrderedBatches",
    "Split",
    "find_digits",
]
