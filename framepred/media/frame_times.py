"""When the frames of a file are shown; PyTorch is needed for animations alone."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from framepred.errors import MediaError
from framepred.media.formats import GIF, IMAGES, VIDEOS
from framepred.media.video_file import VideoFile

STAMP_TOLERANCE = 0.5
"""Frame lengths by which a time stamp may differ from a constant rate."""


class IntactTimes(NamedTuple):
    """The times of the frames that :func:`~framepred.media.decoding.intact_frames` gives.

    Attributes:
        stamps: time stamps, -1 where a frame has none.
        tick: seconds of one unit of the stamps; 0 where it is not stated.
        damage: the first damage; None where there is none.
    """

    stamps: Int64[np.ndarray, " n"]
    tick: float
    damage: MediaError | None

    @property
    def seconds(self) -> Float[np.ndarray, " n"] | None:
        """Seconds of each frame after the first; None where the stamps do not increase, or have no unit."""
        if not self.tick or (np.diff(self.stamps) <= 0).any():
            return None
        return np.asarray((self.stamps - self.stamps[0]) * self.tick)


def intact_times(path: Path) -> IntactTimes:
    """The times of the frames that :func:`~framepred.media.decoding.intact_frames` gives, and the first damage.

    Raises:
        MediaError: if the file is no video, or its end is damaged.
    """
    with closing(VideoFile(path, skips_damage=True)) as video:
        stamps = [-1 if frame.pts is None else frame.pts for frame in video.frames()]
        return IntactTimes(np.array(stamps, np.int64), float(video.stream.time_base or 0), video.damage)


def frame_times(path: Path) -> Float[np.ndarray, " n"] | None:
    """Seconds of each frame of a video file or an animation after the first, by decoding all of it.

    None for other files, and where the file does not state them.

    Raises:
        MediaError: if the file cannot be decoded.
    """
    suffix = path.suffix.lower()
    if suffix in VIDEOS:
        return intact_times(path).seconds
    if suffix not in (GIF, *IMAGES):
        return None
    from framepred.media.pages import survey_pages  # imports PyTorch

    return survey_pages(path).seconds


def stamped_times(stamp: Callable[[], float | None], fps: float, steady: bool = False) -> Iterator[float]:
    """Seconds of each frame after the first; read it after each frame.

    A frame without a time stamp, or whose stamp is not later than the time of the frame before, comes one frame length
    after that. At a rate that seemed constant, stamps within half a frame of it are taken for rounded: a film may pause
    later on.

    Args:
        stamp: gives the time stamp of the frame that was read last, in seconds; None where it has none.
        fps: mean number of frames per second.
        steady: whether the first frames keep to it.
    """
    start, seconds = stamp(), 0.0
    for number in count(1):
        yield seconds
        now = stamp()
        stamped = seconds if start is None or now is None else now - start
        if steady and (start is None or now is None or abs(stamped - number / fps) < STAMP_TOLERANCE / fps):
            stamped = number / fps
        seconds = stamped if stamped > seconds else seconds + 1 / fps


def even_times(fps: float) -> Iterator[float]:
    """Seconds of each frame after the first at a constant rate."""
    return (number / fps for number in count())


def varying_rate(name: str, fps: float, use: str) -> str:
    """The sentence on a source whose frames do not last equally long.

    Args:
        name: the source.
        fps: mean number of frames per second.
        use: what becomes of the mean, such as "is written".
    """
    return f"The frame rate of {name} varies; its mean, {fps:.3g}, {use}."
