"""How a command answers to signals that stop it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from framepred.media import atomic
from framepred.stop_signals import handle_stop_signals, send_again

UNINTERRUPTED = ("<frozen importlib", atomic.__file__)
"""Files whose functions no signal interrupts: some modules catch all exceptions during an import, and an output that is
being renamed or removed must not stay in pieces."""

RETRY_S = 0.1
"""Delay in seconds after which a signal that arrives in one of these files is sent again."""


class Stopped(KeyboardInterrupt):
    """The user or the system asked the command to stop.

    Args:
        number: the signal number. The exit code is 128 + number: SIGINT 130, SIGTERM 143, SIGHUP 129.
        sentence: message for the user: what was saved and how to resume.
    """

    def __init__(self, number: int = signal.SIGINT, sentence: str = "Stopped; nothing half-written is left.") -> None:
        super().__init__(sentence)
        self.code = 128 + number
        self.sentence = sentence


class StopRequest(threading.Event):
    """An event that the first request to stop sets.

    Attributes:
        number: number of the first signal; None before any signal.
        over: whether the command is over, so that signals of :func:`stop_at_once` have no effect any more.
    """

    number: int | None = None
    over = False

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """Record the first request; raise ``Stopped`` at the second one."""
        if self.number is not None:
            _stop(number, frame)
        self.number = number
        self.set()

    def raise_if_set(self, sentence: str) -> None:
        """Raise ``Stopped`` with ``sentence`` if a signal was received."""
        if self.number is not None:
            raise Stopped(self.number, sentence)


@contextmanager
def stop_at_once() -> Iterator[StopRequest]:
    """Raise ``Stopped`` in the main thread at each request to stop, so that cleanup code removes incomplete files.

    The yielded request keeps the signal number, because a library may replace the exception with another one.
    """
    request = StopRequest()

    def stop(number: int, frame: FrameType | None) -> None:
        if not request.over:
            request.number = number
            _stop(number, frame)

    with handle_stop_signals(stop):
        yield request


@contextmanager
def stop_when_ready() -> Iterator[StopRequest]:
    """Set an event at the first request to stop, so that the block can stop after it has completed its files.

    The event is also set at the end of the block. A second request raises ``Stopped`` immediately; signals within
    ``REPEAT_S`` of the first one belong to it.
    """
    request = StopRequest()
    try:
        with handle_stop_signals(request.receive):
            yield request
    finally:
        request.set()


def _stop(number: int, frame: FrameType | None) -> None:
    """Raise ``Stopped``, or send the signal again later if ``frame`` must not be interrupted."""
    if not _is_uninterrupted(frame):
        raise Stopped(number)
    retry = threading.Timer(RETRY_S, send_again, (number,))
    retry.daemon = True
    retry.start()


def _is_uninterrupted(frame: FrameType | None) -> bool:
    """Whether a function of ``UNINTERRUPTED`` runs in the stack that ends in ``frame``."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(UNINTERRUPTED):
            return True
        frame = frame.f_back
    return False
