"""A source as it plays: frames with their times; a camera or URL that is lost is opened again."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread, main_thread
from typing import NamedTuple, TypeAlias

from torch import Tensor

from framepred.errors import MediaError
from framepred.media.reading import open_frames

FIRST_DELAY = 1.0  # seconds before a lost source is tried again; each try doubles them
LONGEST_DELAY = 60.0
_GLANCE = 0.2  # seconds between looks at whether it is time to end, while no frame comes

_Slot: TypeAlias = "Queue[Tensor | Exception | None]"  # None: there are no more


class Moment(NamedTuple):
    """A frame of a source, ``(c, h, w)``; its time in seconds from the first; whether it follows from no other."""

    frame: Tensor
    time: float
    fresh: bool


class Player:
    """The frames of a file to its end, or of a camera or URL until told to end.

    A file is read frame by frame. What plays on its own is not waited for: frames that come while the last is still
    being worked on are passed over.

    Args:
        source: a file or folder of frames, a camera number, or a URL.
        tell: is given a sentence when the source is lost and when it is back.
        layout: the order of an array file's axes, such as ``thwc``; None where its shape tells.
        ended: set it to end before the source does.
        clock: seconds, for the times of what plays on its own.

    Raises:
        MediaError: if the source cannot be opened.
        ClipError: if it is an array with several clips.
        ConfigError: if ``layout`` does not fit.
    """

    def __init__(
        self,
        source: str | Path,
        tell: Callable[[str], None],
        layout: str | None = None,
        ended: Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = str(source)
        self._tell = tell
        self._ended = ended or Event()
        self._clock = clock
        self._stream = open_frames(source, layout=layout)
        self._delay = FIRST_DELAY
        self.fps = self._stream.fps
        self.steady = self._stream.steady

    def __iter__(self) -> Iterator[Moment]:
        if not self._stream.endless:
            yield from self._to_its_end()
            return
        start = self._clock()
        while not self._ended.is_set():
            for count, frame in enumerate(newest(self._stream.frames, self._ended)):
                self._delay = FIRST_DELAY
                yield Moment(frame, self._clock() - start, fresh=count == 0)
            self._reopen()

    def _to_its_end(self) -> Iterator[Moment]:
        for count, frame in enumerate(self._stream.frames):
            if self._ended.is_set():
                return
            yield Moment(frame, count / self.fps, fresh=count == 0)

    def _reopen(self) -> None:
        """Try until the source is back or it is time to end, waiting longer each time."""
        name = f"Camera {self.source}" if self.source.isdecimal() else self.source
        while not self._ended.is_set():
            self._tell(f"{name} is lost; trying again in {self._delay:g} s.")
            self._ended.wait(self._delay)
            self._delay = min(2 * self._delay, LONGEST_DELAY)
            with suppress(MediaError):
                self._stream = open_frames(self.source)
                self._tell(f"{name} is back.")
                return


def newest(frames: Iterator[Tensor], ended: Event) -> Iterator[Tensor]:
    """The last frame that came, each once, read by a thread of its own; those that nobody took in time are lost.

    Args:
        frames: what comes on its own.
        ended: ends it, also while no frame comes.
    """
    slot: _Slot = Queue(maxsize=1)
    left = Event()

    def wanted() -> bool:
        return not left.is_set() and not ended.is_set() and main_thread().is_alive()

    # No daemon: Python would end one inside OpenCV, which aborts the process.
    Thread(target=_read, args=(frames, slot, wanted)).start()
    try:
        yield from _taken(slot, ended)
    finally:
        left.set()


def _read(frames: Iterator[Tensor], slot: _Slot, wanted: Callable[[], bool]) -> None:
    last: Exception | None = None
    try:
        for frame in frames:
            with suppress(Empty):
                slot.get_nowait()
            slot.put(frame)
            if not wanted():
                break
    except Exception as error:
        last = error
    while wanted():
        with suppress(Full):
            slot.put(last, timeout=_GLANCE)
            return


def _taken(slot: _Slot, ended: Event) -> Iterator[Tensor]:
    while not ended.is_set():
        with suppress(Empty):
            found = slot.get(timeout=_GLANCE)
            if isinstance(found, Exception):
                raise found
            if found is None:
                return
            yield found
