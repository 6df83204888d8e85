"""Reading GIF: transparency laid on black, frame durations turned into a mean rate."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from framepred.media.frames import FrameStream, on_black
from framepred.media.images import decoding

TICK_MS = 10  # durations are kept in hundredths of a second
_BROWSERS_MS = 100  # what browsers make of durations of 0 and 1 tick


def gif_frames(path: Path) -> FrameStream:
    """The frames of a GIF, uint8 RGB.

    Raises:
        MediaError: if the file is damaged.
    """
    durations = _durations(path)
    return FrameStream(
        frames=_each(path),
        fps=1000 * len(durations) / sum(durations),
        steady=max(durations) - min(durations) <= TICK_MS,
        gray_within=0,
    )


def _durations(path: Path) -> list[int]:
    """How long each frame is shown, in milliseconds."""
    with decoding(path), Image.open(path) as image:
        durations = [int(frame.info.get("duration", 0)) for frame in ImageSequence.Iterator(image)]
    return [duration if duration > TICK_MS else _BROWSERS_MS for duration in durations]


def _each(path: Path) -> Iterator[Tensor]:
    with decoding(path), Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            pixels = on_black(np.asarray(frame.convert("RGBA")), axis=-1)
            yield torch.from_numpy(pixels.transpose(2, 0, 1).copy())
