"""Clips of array files by index, and the consecutive windows of a video."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from framepred.clips import ClipBatch, RawClip
from framepred.errors import ClipError
from framepred.media.arrays import open_array, to_frames
from framepred.media.reading import open_frames

OFFICIAL_SHAPE = (20, 10_000, 64, 64)  # mnist_test_seq.npy (Srivastava et al. 2015): frames first


class ClipArray(Dataset[Tensor]):
    """Clips of one length: the beginning of each clip of a file, or a single long clip window by window.

    Args:
        path: a .npy or .npz file of clips ``(n, t, c, h, w)`` or of one clip, in any layout that ``framepred.media``
            reads; or Moving MNIST's official test set, ``mnist_test_seq.npy``, uint8 ``(20, 10000, 64, 64)``.
        length: frames of the clips wanted.
        layout: order of the array's axes, where its shape does not tell.

    Raises:
        MediaError: if the file cannot be read.
        ClipError: if the array holds no clips or shorter ones; for floats also when a batch is read that holds NaN
            or values outside [0, 1].
    """

    def __init__(self, path: str | Path, length: int, layout: str | None = None) -> None:
        self.path = Path(path)
        self._array = open_array(self.path, layout or _official_layout(self.path))
        clips, frames = self._array.shape[:2]
        if frames < length:
            raise ClipError(
                f"{path} has clips of {frames} frames but {length} are asked for; lower --context or --horizon."
            )
        self.length = length
        self.windows = frames // length if clips == 1 else 1

    def __len__(self) -> int:
        return len(self._array) * self.windows

    def __getitem__(self, index: int) -> Shaped[Tensor, "t c h w"]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> RawClip:
        """A batch at once.

        Raises:
            IndexError: if an index is negative or beyond the last clip.
        """
        return torch.cat([to_frames(self._clip(index), self.path) for index in indices])

    def _clip(self, index: int) -> NDArray[Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"Clip {index} of {len(self)}.")
        clip, window = divmod(index, self.windows)
        return self._array[clip : clip + 1, window * self.length : (window + 1) * self.length]


def _official_layout(path: Path) -> str | None:
    if path.suffix != ".npy":
        return None
    try:
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, EOFError):
        return None  # open_array says what is wrong
    return "tnhw" if shape == OFFICIAL_SHAPE else None


@dataclass(frozen=True)
class VideoWindows:
    """Consecutive windows of a video file or a folder of frames, as batches of one window; files give RGB.

    Memory holds one window, however long the video; frames that do not fill the last window are left out.

    Attributes:
        path: the video.
        context: frames seen in each window.
        horizon: frames to be predicted after them.
        clips: how many windows at most.
    """

    path: Path
    context: int
    horizon: int
    clips: int

    def __iter__(self) -> Iterator[ClipBatch]:
        """Decode the windows.

        Raises:
            MediaError: if the video cannot be read.
            ClipError: if it is shorter than one window.
        """
        length = self.context + self.horizon
        frames = open_frames(self.path).frames
        for number in range(self.clips):
            window = list(islice(frames, length))
            if len(window) < length:
                if number == 0:
                    raise ClipError(
                        f"{self.path} has {len(window)} frames but one window needs {self.context} + {self.horizon}; "
                        "lower --context or --horizon."
                    )
                return
            yield ClipBatch.cut(torch.stack(window)[None], self.context)
