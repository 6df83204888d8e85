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

_SHORTEST = 1e-6  # seconds that a frame is shown; less is rounding

STAMP_TOLERANCE = 0.5
"""Frame lengths by which a time stamp may differ from a constant rate."""


class IntactTimes(NamedTuple):
    """The times of the frames that :func:`~framepred.media.decoding.intact_frames` gives.

    Attributes:
        stamps: time stamps, -1 where a frame has none.
        tick: seconds of one unit of the stamps; 0 where it is not stated.
        last_duration: seconds that the last frame is shown; None where that is not stated.
        damage: the first damage; None where there is none.
    """

    stamps: Int64[np.ndarray, " n"]
    tick: float
    last_duration: float | None
    damage: MediaError | None

    @property
    def seconds(self) -> Float[np.ndarray, " n"] | None:
        """Seconds of each frame after the first; None where the stamps do not increase, or have no unit."""
        if not self.tick or (np.diff(self.stamps) <= 0).any():
            return None
        return np.asarray((self.stamps - self.stamps[0]) * self.tick)


class FrameTimes(NamedTuple):
    """When the frames of a file are shown.

    Attributes:
        seconds: of each frame after the first.
        last_duration: seconds that the last frame is shown; None where that is not stated.
    """

    seconds: Float[np.ndarray, " n"]
    last_duration: float | None


def intact_times(path: Path) -> IntactTimes:
    """The times of the frames that :func:`~framepred.media.decoding.intact_frames` gives, and the first damage.

    Raises:
        MediaError: if the file is no video, or its end is damaged.
    """
    with closing(VideoFile(path, skips_damage=True)) as video:
        stamps = [-1 if frame.pts is None else frame.pts for frame in video.frames()]
        tick = float(video.stream.time_base or 0)
        return IntactTimes(np.array(stamps, np.int64), tick, _last_duration(video), video.damage)


def _last_duration(video: VideoFile) -> float | None:
    """Seconds that the last frame is shown, after decoding; None where that is not stated.

    In MP4, durations belong to frames in the order of coding, so that the end of the film says more.
    """
    stream, last = video.stream, video.shown
    if last is None or last.pts is None or not stream.time_base:
        return None
    seconds = float(last.duration * stream.time_base)
    stated = video.stated_seconds()
    if stream.duration is not None and stream.start_time is not None and stated is not None:
        seconds = stated - float((last.pts - stream.start_time) * stream.time_base)
    return seconds if seconds > _SHORTEST else None


def frame_times(path: Path) -> FrameTimes | None:
    """When the frames of a video file or an animation are shown, by decoding all of it.

    None for other files, and where the file does not state them.

    Raises:
        MediaError: if the file cannot be decoded.
    """
    suffix = path.suffix.lower()
    if suffix in VIDEOS:
        found = intact_times(path)
        return None if found.seconds is None else FrameTimes(found.seconds, found.last_duration)
    if suffix not in (GIF, *IMAGES):
        return None
    from framepred.media.pages import survey_pages  # imports PyTorch

    pages = survey_pages(path)
    return None if pages.seconds is None else FrameTimes(pages.seconds, pages.last_duration)


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
