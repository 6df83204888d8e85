"""The windows of a video, one after the other, decoded as they are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from framepred.clips import ClipBatch
from framepred.errors import ClipError
from framepred.media.reading import open_frames


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
