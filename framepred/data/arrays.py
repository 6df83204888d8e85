"""Clips of an array by index, and the consecutive windows of a video."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framepred.clips import ClipBatch
from framepred.data.clip_dataset import ClipDataset, check_counts
from framepred.errors import ClipError
from framepred.media.arrays import CHANNELS, open_array, to_frames
from framepred.media.ranges import RangeChoice, with_missing
from framepred.media.reading import open_frames
from framepred.media.values import chosen_range

OFFICIAL_SHAPE = (20, 10_000, 64, 64)  # mnist_test_seq.npy (Srivastava et al. 2015), time axis first


class ClipArray(ClipDataset):
    """Clips of equal length from an array: the first frames of each clip, or consecutive windows of one long clip.

    Args:
        source: a .npy or .npz file of clips ``(n, t, c, h, w)`` or of one clip, in any layout that ``framepred.media``
            reads; or the official Moving MNIST test set, ``mnist_test_seq.npy``, uint8 ``(20, 10000, 64, 64)``; or an
            array in memory, ``(n, t, c, h, w)``.
        length: frames per clip.
        layout: order of the array's axes, such as ``ntchw``, where its shape is ambiguous.
        channels: numbers of channels by which the layout is found.
        array_name: which array of a file that holds several.
        value_range: the values that become 0 and 1; None for those that the type states.
        keep_nan: whether missing values stay NaN in clips; see :class:`framepred.data.VideoFolder`.

    Attributes:
        value_range: the range in use; None for the one that the type states.

    Raises:
        MediaError: if the file cannot be read.
        ClipError: if the array holds no clips or shorter ones; also on access, if floats are NaN or outside [0, 1].
        ConfigError: if ``length`` is less than 1.
    """

    def __init__(
        self,
        source: str | Path | NDArray[Any],
        length: int,
        layout: str | None = None,
        *,
        channels: tuple[int, ...] = CHANNELS,
        array_name: str | None = None,
        value_range: RangeChoice = None,
        keep_nan: bool = False,
    ) -> None:
        check_counts(length=length)
        self.name: Path | str
        if isinstance(source, (str, Path)):
            self.name = Path(source)
            self._array = open_array(self.name, layout or _official_layout(self.name), channels, array_name)
        else:
            self.name, self._array = "The array", source
        clips, frames = self._array.shape[:2]
        if frames < length:
            raise ClipError(
                f"{self.name} has clips of {frames} frames but {length} are needed; lower the context or the horizon."
            )
        self.length = length
        self.windows = frames // length if clips == 1 else 1
        self.value_range = chosen_range(value_range, lambda: map(self._clip, range(len(self))))
        self._keep_nan = keep_nan

    def __len__(self) -> int:
        return len(self._array) * self.windows

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        """Return the clips at these indices, each 0 or more."""
        chosen = self.value_range and self.value_range.with_missing() if self._keep_nan else self.value_range
        return [to_frames(self._clip(index), self.name, chosen)[0] for index in indices]

    def _clip(self, index: int) -> NDArray[Any]:
        clip, window = divmod(index, self.windows)
        return self._array[clip : clip + 1, window * self.length : (window + 1) * self.length]


def _official_layout(path: Path) -> str | None:
    if path.suffix != ".npy":
        return None
    try:
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, EOFError):
        return None  # open_array raises the error
    return "tnhw" if shape == OFFICIAL_SHAPE else None


@dataclass(frozen=True)
class VideoWindows:
    """Consecutive windows of a video file, pictures or a folder of frames, as batches of one clip; videos give RGB.

    One window is in memory at a time. Frames that do not fill the last window are left out.

    Attributes:
        path: the video.
        context: observed frames of each window.
        horizon: frames to predict after them.
        clips: maximum number of windows.
        value_range: the values of pictures with more than 8 bits that become 0 and 1.
    """

    path: Path
    context: int
    horizon: int
    clips: int
    value_range: RangeChoice = None

    def __iter__(self) -> Iterator[ClipBatch]:
        """Decode the windows.

        Raises:
            MediaError: if the video cannot be read.
            ClipError: if it is shorter than one window.
        """
        length = self.context + self.horizon
        stream = open_frames(self.path, value_range=with_missing(self.value_range))
        filler = None if stream.value_range is None else stream.value_range.filler_in_unit
        for number in range(self.clips):
            window = list(islice(stream.frames, length))
            if len(window) < length:
                if number == 0:
                    raise ClipError(
                        f"{self.path} has {len(window)} frames but one window needs {self.context} + {self.horizon}; "
                        "lower the context or the horizon."
                    )
                return
            yield ClipBatch.cut(torch.stack(window)[None], self.context, filler)
