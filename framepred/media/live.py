"""Read a source as it plays: frames with their times; a camera or URL that is lost is opened again."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BufferedIOBase
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from framepred.errors import MediaError
from framepred.media.formats import is_live, is_pipe, is_standard_input, spoken_name
from framepred.media.frame_times import even_times
from framepred.media.live_buffer import Frame, LiveBuffer, TimedFrame, live_times
from framepred.media.pipes import endable

if TYPE_CHECKING:
    from framepred.media.frames import FrameStream
    from framepred.media.ranges import RangeChoice, ValueRange

FIRST_DELAY = 1.0  # seconds before a lost source is tried again; each try doubles it
LONGEST_DELAY = 60.0  # seconds


class Playable(Protocol):
    """An open source, such as a :class:`framepred.media.frames.FrameStream`."""

    @property
    def frames(self) -> Iterator[Frame]:
        """The frames in order."""

    @property
    def fps(self) -> float:
        """Mean number of frames per second."""

    @property
    def times(self) -> Iterator[float] | None:
        """Seconds of each frame after the first, to be read after the frame; None where they follow from the rate.

        Of an endless source: its time stamps as it states them, which may repeat and jump; None for none.
        """

    @property
    def endless(self) -> bool:
        """Whether frames arrive in real time."""

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each property of the source that a viewer should know."""


class Moment(NamedTuple):
    """A timestamped frame of a source.

    Attributes:
        frame: ``(c, h, w)``.
        time: seconds from the first frame.
        fresh: whether the frame does not follow from the one before: the first, also after a lost connection.
        missing: which of its pixels nobody measured, ``(c, h, w)``, where the frame has a filler; None for none, and
            where the frame has NaN instead.
    """

    frame: Frame
    time: float
    fresh: bool
    missing: Any = None


def play(
    source: str | Path,
    layout: str | None = None,
    value_range: "RangeChoice" = None,
    array_name: str | None = None,
    ended: Event | None = None,
) -> "FrameStream":
    """The frames of a source as it plays, as tensors; standard input and named pipes are decoded as their bytes arrive.

    Args:
        source: a file, a folder of pictures, an array file, ``-``, a named pipe, a camera number or a URL; an existing
            path is a path, also ``0``.
        layout: the order of an array's axes, such as ``thwc``; None to find it by the shape.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1.
        array_name: which array of a file that holds several.
        ended: set it to end standard input or a named pipe, also while no byte arrives.

    Raises:
        MediaError: if it cannot be opened.
        ConfigError: if a layout, range or name is stated for a source that has none, such as a camera.
    """
    from framepred.media.capture import live_frames  # these import PyTorch, which a player of arrays does not need
    from framepred.media.decoding import stream_frames
    from framepred.media.ranges import refuse_range
    from framepred.media.reading import open_frames, refuse_form

    if is_standard_input(source) or is_live(str(source)) or is_pipe(source):
        name = spoken_name(source)
        refuse_form(name, layout, array_name)
    if is_standard_input(source):
        stream = endable(cast(BufferedIOBase, sys.stdin.buffer), ended or Event())
        return stream_frames(spoken_name(source), stream, value_range)
    if is_live(str(source)):
        refuse_range(value_range, name)
        return live_frames(str(source))
    if is_pipe(source):
        return stream_frames(str(source), endable(Path(source).open("rb"), ended or Event()), value_range)
    return open_frames(source, layout=layout, array_name=array_name, value_range=value_range)


class _Nothing:
    """A source that was ended before it was open."""

    frames: Iterator[Frame] = iter(())
    fps = 1.0
    times: Iterator[float] | None = None
    endless = False
    notes: tuple[str, ...] = ()


class Player:
    """The frames of a file to its end, or of a camera or URL until ``ended`` is set.

    A file is read frame by frame. The frames of a live source wait in a :class:`LiveBuffer`, which drops some where
    processing is too slow, and have the times of :func:`live_times`.

    Args:
        source: see :func:`play`.
        tell: called with a sentence when a live source is lost, when it is back, when the first of its frames is
            dropped, and with the number of those that were.
        layout: the order of an array's axes, such as ``thwc``; None to find it by the shape.
        ended: set it to end before the source does.
        clock: seconds, for the times of live sources.
        value_range: see :func:`play`.
        array_name: see :func:`play`.
        opened: opens the source, at first and when it was lost; None for :func:`play`.

    Attributes:
        dropped: number of frames of a live source that were dropped so far.

    Raises:
        MediaError: if the source cannot be opened.
        ClipError: if it is an array with several clips.
        ConfigError: if ``layout``, ``value_range`` or ``array_name`` does not fit.
    """

    def __init__(
        self,
        source: str | Path,
        tell: Callable[[str], None],
        layout: str | None = None,
        ended: Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        value_range: "RangeChoice" = None,
        array_name: str | None = None,
        opened: Callable[[], Playable] | None = None,
    ) -> None:
        self.source = str(source)
        self.dropped = 0
        self._name = f"Camera {source}" if self.source.isdecimal() else self.source
        self._tell = tell
        self._ended = ended or Event()
        self._clock = clock
        self._opened = opened
        self._stream: Playable
        try:
            self._stream = opened() if opened else play(source, layout, value_range, array_name, self._ended)
        except MediaError:
            if not self._ended.is_set():  # else the bytes ended because they are no longer wanted
                raise
            self._stream = _Nothing()
        self._delay = FIRST_DELAY
        self.fps = self._stream.fps
        self.notes = self._stream.notes
        self.value_range: ValueRange | None = getattr(self._stream, "value_range", None)  # pictures of cameras: none

    def __iter__(self) -> Iterator[Moment]:
        return (moment for moment in self.with_losses() if moment is not None)

    def with_losses(self) -> Iterator[Moment | None]:
        """The frames, and None each time that a live source is lost, before it is tried again."""
        if not self._stream.endless:
            yield from self._to_its_end()
            return
        start, begin = self._clock(), 0.0
        while not self._ended.is_set():
            for number, timed in enumerate(self._received(lambda: self._clock() - start, begin)):
                self._delay = FIRST_DELAY
                yield Moment(timed.frame, timed.time, fresh=number == 0)
                begin = timed.time + 1 / self.fps
            if not self._ended.is_set():
                yield None
            self._reopen()
        if self.dropped:
            self._tell(f"{self._name}: {self.dropped} frames were left out, because processing was too slow for them.")

    def _received(self, clock: Callable[[], float], begin: float) -> Iterator[TimedFrame]:
        """The frames of one connection, of which the first has a time of at least ``begin``."""
        buffer, former = LiveBuffer(clock), self.dropped
        timed = map(TimedFrame, self._stream.frames, live_times(self._stream.times, clock, begin))
        for frame in buffer.play(timed, self._ended):
            if buffer.dropped and not self.dropped:
                self._tell(f"{self._name}: processing is too slow for all frames, so that some are left out.")
            self.dropped = former + buffer.dropped
            yield frame

    def _to_its_end(self) -> Iterator[Moment]:
        times = self._stream.times or even_times(self.fps)
        try:
            for number, (frame, seconds) in enumerate(zip(self._stream.frames, times, strict=False)):
                if self._ended.is_set():
                    return
                yield Moment(frame, seconds, fresh=number == 0)
        except MediaError:
            if not self._ended.is_set():  # else the bytes ended within a frame, because they are no longer wanted
                raise

    def _reopen(self) -> None:
        """Try again with growing delays until the source is back or ``ended`` is set."""
        while not self._ended.is_set():
            self._tell(f"{self._name} is lost; trying again in {self._delay:g} s.")
            self._ended.wait(self._delay)
            self._delay = min(2 * self._delay, LONGEST_DELAY)
            with suppress(MediaError):
                self._stream = self._opened() if self._opened else play(self.source)
                self._tell(f"{self._name} is back.")
                return
