"""Position sequences of single Moving MNIST digits, as training data of the path network; no frames are rendered."""

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
    """Column and row of the upper left corner of the digit image, pixels."""
    images: UInt8[Tensor, "b s s"]
    """Digit images, s = 28 pixels."""
    sizes: Int64[Tensor, "b 2"]
    """Width and height of the frames, pixels."""


class MovingMNISTPaths(Dataset[PathBatch]):
    """Map-style data set of digit paths; path ``i`` uses variant ``i % len(variants)``.

    Args:
        variants: data sets of clips with one digit and equal length, one data set per frame size.
    """

    def __init__(self, variants: Sequence[MovingMNIST]) -> None:
        self.variants = variants

    def __getitem__(self, index: int) -> PathBatch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> PathBatch:
        """Return the paths at these indices as one batch; any index of at least 0 is valid."""
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
