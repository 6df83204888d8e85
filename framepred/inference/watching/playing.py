"""The frames of any source as it plays, as arrays: a camera, a URL, a file, or frames in memory.

Cameras, URLs, video files and ``.npy`` of uint8 are read without PyTorch; other sources are read as tensors first.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from framepred.inference.onnx_only import is_readable, open_film
from framepred.media.camera import live_pictures
from framepred.media.formats import is_array, is_live
from framepred.media.live import Moment, Player
from framepred.media.pictures import Picture, as_picture
from framepred.media.video_file import VideoFile
from framepred.media.video_header import frames_of_one_size, read_header, upright_frames, video_times

if TYPE_CHECKING:
    from framepred.inference.sources import Source
    from framepred.media.ranges import StatedRange


@dataclass(frozen=True)
class PlayingSource:
    """A source that has been opened.

    Attributes:
        moments: its frames, arrays ``(c, h, w)``, with their times.
        fps: mean number of frames per second.
        notes: one sentence for each property of the source that a viewer should know.
        limits: the values that became 0 and 1; None where the type states them.
    """

    moments: Iterator[Moment]
    fps: float
    notes: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class _Pictures:
    """An open source of arrays."""

    frames: Iterator[Picture]
    fps: float
    endless: bool = False
    notes: tuple[str, ...] = ()
    times: Iterator[float] | None = None


def play_source(
    source: "Source",
    layout: str | None = None,
    channels: int | None = None,
    on_notice: Callable[[str], None] = lambda _: None,
    stop: Event | None = None,
    value_range: "StatedRange" = None,
    array_name: str | None = None,
) -> PlayingSource:
    """Open a source to be played once.

    Args:
        source: a camera number, a URL, a path, an array or a tensor.
        layout: the order of an array's axes, such as ``thwc``; None where its shape determines it.
        channels: channels by which the layout of an array is found; None for gray or RGB.
        on_notice: called with a sentence when a live source is lost or back.
        stop: set it to end before the source does.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1; see
            :func:`framepred.predict`.
        array_name: which array of a file that holds several.

    Raises:
        MediaError: if it cannot be opened.
        ClipError: if an array holds several clips.
    """
    plain = layout is None and value_range is None and array_name is None
    if plain and isinstance(source, (str, Path)) and needs_no_torch(source):
        name = str(source)
        player = Player(name, on_notice, ended=stop, opened=lambda: _open_pictures(name))
        return PlayingSource(_as_arrays(player), player.fps, player.notes)
    from framepred.inference.moments import open_moments  # imports PyTorch
    from framepred.inference.sources import SourceForm

    form = SourceForm(layout, channels, value_range, array_name, keeps_nan=True)
    opened = open_moments(source, form, on_notice, stop)
    return PlayingSource(_as_arrays(opened.frames, opened.filler), opened.fps, opened.notes, opened.limits)


def needs_no_torch(source: str | Path) -> bool:
    """Whether a source is read without PyTorch: a camera, a URL, a video file, or ``.npy`` of uint8."""
    return is_live(str(source)) or is_readable(source)


def _open_pictures(source: str) -> _Pictures:
    if is_live(source):
        live = live_pictures(source)
        return _Pictures(live.frames, live.fps, live.endless, times=live.times)
    path = Path(source)
    if is_array(path):
        film = open_film(path)
        return _Pictures(film.frames, film.fps)
    header = read_header(path)
    video = VideoFile(path)
    frames = (frame.transpose(2, 0, 1) for frame in frames_of_one_size(upright_frames(video, header), path))
    return _Pictures(frames, header.fps, notes=header.notes, times=video_times(video, header))


def _as_arrays(moments: Iterable[Moment], filler: float | None = None) -> Iterator[Moment]:
    """The moments with arrays as frames, and with the filler where pixels are missing, which are NaN."""
    for moment in moments:
        picture = as_picture(moment.frame)
        missing = np.isnan(picture) if filler is not None and picture.dtype.kind == "f" else None
        if missing is None or not missing.any():
            yield moment._replace(frame=picture)
        else:
            yield moment._replace(frame=np.where(missing, np.float32(filler), picture), missing=missing)
