"""Paths of single digits of Moving MNIST: what the path network learns from, without rendering a frame."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from framepred.data.digit_files import SIDE
from framepred.data.moving_mnist import MovingMNIST


class PathBatch(NamedTuple):
    """Paths of b digits through t frames."""

    corners: Int64[Tensor, "b t 2"]
    """How far right and down the upper left corner of the digit's square lies, pixels."""
    images: UInt8[Tensor, "b s s"]
    """The digits."""
    sizes: Int64[Tensor, "b 2"]
    """Width and height of the frames, pixels."""


class MovingMNISTPaths(Dataset[PathBatch]):
    """Paths by number; path i flies through frames of size ``i mod`` the number of sizes.

    Args:
        variants: clips of one digit, one data set for each frame size.
    """

    def __init__(self, variants: Sequence[MovingMNIST]) -> None:
        self.variants = variants

    def __getitem__(self, index: int) -> PathBatch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> PathBatch:
        """A batch at once, as a ``DataLoader`` asks for it; any index from 0 on."""
        length = self.variants[0].length
        corners = torch.zeros(len(indices), length, 2, dtype=torch.int64)
        images = torch.zeros(len(indices), SIDE, SIDE, dtype=torch.uint8)
        sizes = torch.zeros(len(indices), 2, dtype=torch.int64)
        for which, data in enumerate(self.variants):
            rows = [row for row, index in enumerate(indices) if index % len(self.variants) == which]
            if rows:
                paths = [indices[row] for row in rows]
                corners[rows] = data.corners(paths)[:, :, 0].flip(-1)
                images[rows] = torch.from_numpy(data.images(paths)[:, 0])
                sizes[rows] = torch.tensor(data.frame_size).flip(0)
        return PathBatch(corners, images, sizes)
