"""Decode the end of a video file in a thread, while PyTorch is imported; PyTorch is not needed."""

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from framepred.media.formats import VIDEOS
from framepred.media.pictures import Picture, shrunk_picture
from framepred.media.video_header import Header, frames_of_one_size, last_upright_frames, read_header

PAST = 80
"""Frames before a prediction in which repeats are looked for and blend weights are measured: enough for three repeats
of every 25th frame."""

PAST_SIDE = 640
"""Longer side, in pixels, of these frames, at least: motion that is measured in smaller ones is too inexact to weigh it
against a network."""

ADAPT_PAST = 500
"""Frames before the end of a clip that are trained on, at most: about 20 seconds."""


class EndSize(NamedTuple):
    """How much is read of the end of a clip.

    Attributes:
        last: number of last frames in full size; fewer where the clip is shorter.
        recent: number of last frames scaled down, at least ``last``.
        max_side: longest side of the latter, in pixels.
    """

    last: int
    recent: int
    max_side: int


def end_size(frames: int, context: int, max_side: int, *, holdout: bool, adapts: bool) -> EndSize:
    """What a prediction reads: the context, the frames that are held out, and the past that it measures or trains on.

    Args:
        frames: number of frames to predict.
        context: number of frames to predict from.
        max_side: longest side, in pixels, of the frames that the network gets.
        holdout: whether the last ``frames`` frames are held out.
        adapts: whether the network is trained on the past.
    """
    hidden = frames if holdout else 0
    if adapts:
        return EndSize(context + hidden, max(context, ADAPT_PAST) + hidden, max_side)
    return EndSize(context + hidden, max(context, PAST) + hidden, max(max_side, PAST_SIDE))


@dataclass(frozen=True)
class DecodedEnd:
    """The last frames of a video file, each ``(3, h, w)``, uint8 RGB.

    Attributes:
        header: what the file states.
        full: frames in full size.
        small: frames scaled down.
    """

    header: Header
    full: list[UInt8[np.ndarray, "3 h w"]]
    small: list[UInt8[np.ndarray, "3 _h _w"]]


def decode_end(path: Path, size: EndSize) -> DecodedEnd | None:
    """Decode the last frames of a video file in one pass; None for a gray film with more than 8 bits.

    Raises:
        MediaError: if the file is no video, or is damaged.
    """
    header = read_header(path)
    if header.white is not None:
        return None
    full: deque[Picture] = deque(maxlen=size.last)
    small: deque[Picture] = deque(maxlen=size.recent)
    for pixels in frames_of_one_size(last_upright_frames(path, header, size.recent), path):
        full.append(pixels.transpose(2, 0, 1))
        small.append(shrunk_picture(full[-1], size.max_side))
    return DecodedEnd(header, list(full), list(small))


class ReadAhead:
    """A video file whose last frames are decoded in a thread of their own.

    The thread does not keep the process alive.

    Args:
        path: the file; :func:`read_ahead` tells whether a path is one.
        size: what is read of it.
    """

    def __init__(self, path: Path, size: EndSize) -> None:
        self.path = path
        self.size = size
        self._decoded: Future[DecodedEnd | None] | None = Future()
        Thread(target=self._decode, args=[self._decoded], daemon=True).start()

    def take(self) -> DecodedEnd | None:
        """Wait for the frames and hand them over: their memory is free when the caller no longer needs them.

        A second call decodes the file again. A gray film with more than 8 bits gives None: it is to be read as values.

        Raises:
            MediaError: if the file is no video, or is damaged.
        """
        decoded, self._decoded = self._decoded, None
        return decoded.result() if decoded else decode_end(self.path, self.size)

    def _decode(self, decoded: "Future[DecodedEnd | None]") -> None:
        try:
            decoded.set_result(decode_end(self.path, self.size))
        except BaseException as error:  # raised where the result is asked for
            decoded.set_exception(error)


def read_ahead(path: Path, size: EndSize) -> ReadAhead | None:
    """Begin to decode the end of a video file; None for sources of other kinds, judged by their names."""
    return ReadAhead(path, size) if path.suffix.lower() in VIDEOS and path.is_file() else None
