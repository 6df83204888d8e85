"""The frames of any source as it plays: a camera, a URL, a file, or frames in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from framepred.errors import ClipError
from framepred.inference.sources import OpenSource, Source, SourceForm, open_source, source_name
from framepred.media.formats import is_array
from framepred.media.live import Moment, Player


@dataclass(frozen=True)
class PlayingSource:
    """A source that has been opened.

    Attributes:
        moments: its frames with their times.
        fps: mean number of frames per second.
        steady: whether all frames last equally long.
    """

    moments: Iterator[Moment]
    fps: float
    steady: bool


def play_source(
    source: Source,
    form: SourceForm,
    on_notice: Callable[[str], None] = lambda _: None,
    stop: Event | None = None,
) -> PlayingSource:
    """Open a source to be played once.

    Args:
        source: a camera number, a URL, a path, an array or a tensor.
        form: how the values of arrays are to be understood.
        on_notice: called with a sentence when a live source is lost or back.
        stop: set it to end before the source does.

    Raises:
        MediaError: if it cannot be opened.
        ClipError: if an array holds several clips.
    """
    if isinstance(source, (str, Path)) and not is_array(Path(source)):
        player = Player(str(source), on_notice, form.layout, stop)
        return PlayingSource(iter(player), player.fps, player.steady)
    opened = open_source(source, form)
    return PlayingSource(_moments(opened, source, stop or Event()), opened.fps, opened.steady)


def _moments(opened: OpenSource, source: Source, stop: Event) -> Iterator[Moment]:
    """The frames of an array with one clip, at its rate."""
    for number, frames in enumerate(opened.frames):
        if len(frames) != 1:
            raise ClipError(f"{source_name(source)} holds {len(frames)} clips but a stream is one; give one clip.")
        if stop.is_set():
            return
        yield Moment(frames[0], number / opened.fps, fresh=number == 0)
