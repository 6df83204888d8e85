"""Frames of live sources, which may arrive in bursts: their times, and the buffer in which they wait."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import repeat
from threading import Condition, Event, Thread, main_thread
from typing import Any, NamedTuple, TypeAlias

from jaxtyping import Shaped

BUFFER_SECONDS = 4.0
"""Seconds of a live source that wait to be processed, at most; most interruptions of a network are shorter."""

BUFFER_BYTES = 256_000_000
"""Bytes of frames that wait to be processed, at most; one frame waits whatever its size."""

MOST_AHEAD = 10.0
"""Seconds that one time stamp may advance more than the clock: a segment of HLS that was left out."""

MOST_DRIFT = 60.0
"""Seconds that the time stamps of a connection may be off the clock; HLS begins with three segments at once."""

_POLL_SECONDS = 0.2  # between checks of whether to end, while nothing happens

Frame: TypeAlias = Shaped[Any, "c h w"]
"""A tensor or an array ``(c, h, w)``; this module only passes it on, so that it needs no PyTorch."""


class TimedFrame(NamedTuple):
    """A frame ``(c, h, w)`` of a live source, and its time in seconds."""

    frame: Frame
    time: float


def live_times(
    stamps: Iterator[float] | None, clock: Callable[[], float] = time.monotonic, begin: float = 0.0
) -> Iterator[float]:
    """Seconds of each frame of one connection to a live source; read it as the frame arrives.

    The first frame has the time at which it arrives. Then the steps of the time stamps count, because frames may arrive
    in bursts, as a segment of HLS at a time. The clock counts instead where a stamp does not advance, or advances more
    than ``MOST_AHEAD`` seconds beyond it, and for good once the stamps have drifted ``MOST_DRIFT`` seconds from it.

    Args:
        stamps: the time stamps of the source in seconds, one a frame; None where it has none.
        clock: seconds.
        begin: time of the first frame, at least.
    """
    stamps = stamps or repeat(0.0)
    stamp, arrived = next(stamps), clock()
    seconds, drift = max(begin, arrived), 0.0
    while True:
        yield seconds
        former_stamp, former_arrival = stamp, arrived
        stamp, arrived = next(stamps), clock()
        step, passed = stamp - former_stamp, arrived - former_arrival
        if abs(drift) > MOST_DRIFT or not 0 < step <= passed + MOST_AHEAD:
            step = passed
        seconds, drift = seconds + step, drift + step - passed


class LiveBuffer:
    """The frames of a live source that wait to be processed, the oldest first; a thread reads them.

    At most ``BUFFER_SECONDS`` and ``BUFFER_BYTES`` wait. While it is full, the source waits with frames that arrive
    before their time, as in a burst. A frame whose time has come shows that processing is too slow: the oldest frames
    are dropped, two for each that arrives, until processing has caught up. Then each frame waits for none but itself.

    Args:
        clock: seconds, by which the frames have their times.

    Attributes:
        dropped: number of frames that were dropped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.dropped = 0
        self._clock = clock
        self._waiting: deque[TimedFrame] = deque()
        self._changed = Condition()
        self._behind = False  # processing was too slow, and has not caught up since
        self._left = self._over = False
        self._error: Exception | None = None

    def play(self, frames: Iterator[TimedFrame], ended: Event) -> Iterator[TimedFrame]:
        """The frames in order, without those that are dropped; to be called once.

        Args:
            frames: the frames of a live source.
            ended: set it to end, also while no frame comes.
        """
        # No daemon thread: Python would stop it inside OpenCV, which aborts the process.
        Thread(target=self._read, args=(frames, ended)).start()
        try:
            while not ended.is_set():
                taken = self._take()
                if taken is not None:
                    yield taken
                elif self._over and not self._waiting:
                    break
            if self._error is not None and not ended.is_set():
                raise self._error
        finally:
            self._left = True

    def _take(self) -> TimedFrame | None:
        """The oldest frame; None if none has come for a while, or none comes any more."""
        with self._changed:
            if not self._waiting:
                self._behind = False
                self._changed.wait_for(lambda: self._waiting or self._over, _POLL_SECONDS)
            taken = self._waiting.popleft() if self._waiting else None
            self._changed.notify_all()
            return taken

    def _read(self, frames: Iterator[TimedFrame], ended: Event) -> None:
        def wanted() -> bool:
            return not self._left and not ended.is_set() and main_thread().is_alive()

        try:
            for timed in frames:
                self._put(timed, wanted)
                if not wanted():
                    break
        except Exception as error:
            self._error = error
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _put(self, timed: TimedFrame, wanted: Callable[[], bool]) -> None:
        with self._changed:
            while self._is_full(timed) and wanted() and (early := timed.time - self._clock()) > 0:
                self._changed.wait(min(early, _POLL_SECONDS))
            if self._is_full(timed):
                self._behind = True
                for _ in range(min(2, len(self._waiting))):
                    self._waiting.popleft()
                    self.dropped += 1
            self._waiting.append(timed)
            self._changed.notify_all()

    def _is_full(self, timed: TimedFrame) -> bool:
        """Whether there is no room for a frame beside those that wait; while processing is behind, none may wait."""
        if not self._waiting or self._behind:
            return bool(self._waiting)
        size = timed.frame.nbytes * (len(self._waiting) + 1)
        return size > BUFFER_BYTES or timed.time - self._waiting[0].time > BUFFER_SECONDS
