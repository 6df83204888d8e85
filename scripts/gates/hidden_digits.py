"""A data set of digits that are hidden for some frames; predicting their return needs memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from framepred.data import Split, find_digits
from framepred.data.datamodules.base import ClipData

SHOWN, FLASH = 2, 128
"""Frames for which a digit is visible, and the brightness of the frame before its return."""
SIDE = 14
STREAMS: dict[Split, int] = {"train": 0, "val": 1, "test": 2}


class HiddenDigits(Dataset[Tensor]):
    """Clips of 14×14 pixels: a digit for two frames, black frames, a gray frame, the digit again; then the next digit.

    Clip i depends on the split and on i alone.

    Args:
        split: which digit images are used.
        context: frames before a digit returns, at least 4.
        digits: number of digits, one after another.
        root: folder of MNIST's IDX files; without it the embedded digits are used.
    """

    def __init__(self, split: Split, context: int, digits: int = 1, root: str | None = None) -> None:
        self.stream = STREAMS[split]
        self.context = context
        self.digits = digits
        images = find_digits("mnist" if root else "mnist-5k", split, Path(root) if root else None).images
        self.pictures = images.reshape(-1, SIDE, 2, SIDE, 2).mean(axis=(2, 4)).astype(np.uint8)

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """The clips ``(b, digits · (context + 1), 1, 14, 14)``, uint8."""
        clips = np.zeros((len(indices), self.digits, self.context + 1, 1, SIDE, SIDE), np.uint8)
        clips[:, :, -2] = FLASH
        chosen = np.stack([self._chosen(index) for index in indices])
        for frame in (*range(SHOWN), -1):
            clips[:, :, frame, 0] = self.pictures[chosen]
        return torch.from_numpy(clips).flatten(1, 2)

    def _chosen(self, index: int) -> np.ndarray:
        return np.random.default_rng([self.stream, index]).integers(len(self.pictures), size=self.digits)

    @property
    def blank_error(self) -> float:
        """Mean squared error per pixel of the best prediction without memory, the mean of all digits."""
        return float((self.pictures / 255).var(axis=0).mean())


class HiddenDigitData(ClipData):
    """Loads ``HiddenDigits`` for training; the target is the last return.

    Args:
        context: frames before a digit returns, at least 4.
        digits: number of digits, one after another.
        batch_size: clips per batch.
        root: folder of MNIST's IDX files.
    """

    def __init__(self, context: int, digits: int = 1, batch_size: int = 16, root: str | None = None) -> None:
        super().__init__(digits * (context + 1) - 1, 1, batch_size, num_workers=0)
        self.frames = context
        self.digits = digits
        self.root = root

    def dataset(self, split: Split) -> HiddenDigits:
        """The clips of a split."""
        return HiddenDigits(split, self.frames, self.digits, self.root)

    def count(self, split: Split) -> int:  # noqa: ARG002
        """Clips of an epoch."""
        return 10_000
