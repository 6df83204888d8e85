"""Sources as they play: timestamped frames of cameras, addresses, files and arrays."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import NamedTuple

from framepred.errors import ClipError
from framepred.inference.sources import OpenSource, Source, SourceForm, open_source, source_name
from framepred.media.formats import is_array
from framepred.media.live import Moment, Player
from framepred.media.values import scaling_note


class Moments(NamedTuple):
    """The frames of a source with their times.

    Attributes:
        frames: the timestamped frames.
        fps: mean number of frames per second.
        notes: one sentence for each property of the source that a viewer should know.
        limits: the values that became 0 and 1; None where the type states them.
        filler: what stands for missing pixels, which are NaN, in [0, 1]; None where NaN is not read.
    """

    frames: Iterator[Moment]
    fps: float
    notes: tuple[str, ...]
    limits: tuple[float, float] | None
    filler: float | None


def open_moments(
    source: Source, form: SourceForm, on_notice: Callable[[str], None], stop: Event | None = None
) -> Moments:
    """Open a source that plays: a camera, an address, a video or picture file, an array file or an array.

    Args:
        source: the source, with one clip.
        form: how the values are to be understood.
        on_notice: called with sentences on a live source.
        stop: set it to end before the source does.

    Raises:
        MediaError: if the source cannot be read.
        ClipError: if an array is no clip, holds several clips, or its values do not fit.
        ConfigError: if the layout does not fit.
    """
    opened: Player | OpenSource
    if isinstance(source, (str, Path)) and not is_array(Path(source)):
        opened = Player(
            str(source),
            on_notice,
            form.layout,
            stop,
            value_range=form.range_of_files,
            array_name=form.array_name,
        )
        frames = iter(opened)
    else:
        opened = open_source(source, form)
        frames = _array_moments(opened, source_name(source), stop or Event())
    known = opened.value_range
    if known is None:
        return Moments(frames, opened.fps, opened.notes, None, None)
    said = scaling_note(known, source_name(source)) if isinstance(opened, Player) else ()
    return Moments(frames, opened.fps, (*opened.notes, *said), known.limits, known.filler_in_unit)


def _array_moments(opened: OpenSource, name: str, stop: Event) -> Iterator[Moment]:
    """The frames of an array with one clip, with their times at its rate.

    Args:
        opened: the array.
        name: what an error calls it.
        stop: set it to end before the array does.

    Raises:
        ClipError: if it holds several clips.
    """
    for number, frames in enumerate(opened.frames):
        if len(frames) != 1:
            raise ClipError(f"{name} holds {len(frames)} clips but a stream is one; give one clip.")
        if stop.is_set():
            return
        yield Moment(frames[0], number / opened.fps, fresh=number == 0)
