"""Cameras and live streams as tensors."""

from collections.abc import Iterator

import torch
from torch import Tensor

from framepred.media.camera import LivePictures, live_pictures
from framepred.media.frames import FrameStream
from framepred.media.pixels import GRAY_WITHIN


def live_frames(source: str) -> FrameStream:
    """The frames of a camera, given by its number, or of a URL, uint8 RGB, until it ends.

    Raises:
        MediaError: if it cannot be opened; while reading, if its frames change size.
    """
    live = live_pictures(source)
    return FrameStream(_tensors(live), live.fps, gray_within=GRAY_WITHIN, endless=live.endless, times=live.times)


def _tensors(live: LivePictures) -> Iterator[Tensor]:
    for picture in live.frames:
        yield torch.from_numpy(picture)
