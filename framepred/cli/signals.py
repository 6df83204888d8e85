"""Signals that ask the command to stop: Ctrl-C (SIGINT), a polite kill (SIGTERM), a closed terminal (SIGHUP)."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

Handler: TypeAlias = Callable[[int, FrameType | None], object]

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP


class Stopped(KeyboardInterrupt):
    """The user or the system asked the command to stop.

    Args:
        number: the signal, which gives the exit code: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.
        sentence: what was kept and how to go on.
    """

    def __init__(self, number: int = signal.SIGINT, sentence: str = "Stopped; nothing half-written is left.") -> None:
        super().__init__(sentence)
        self.code = 128 + number
        self.sentence = sentence


class StopRequest(threading.Event):
    """An event that the first stop signal sets.

    Attributes:
        number: the signal that set it; None as long as there was none.
    """

    number: int | None = None

    def receive(self, number: int, _: FrameType | None = None) -> None:
        """Note a signal; a second one raises ``Stopped`` at once."""
        if self.number is not None:
            raise Stopped(number)
        self.number = number
        self.set()

    def raise_if_set(self, sentence: str) -> None:
        """Raise ``Stopped`` with ``sentence`` if a signal came."""
        if self.number is not None:
            raise Stopped(self.number, sentence)


@contextmanager
def stop_at_once() -> Iterator[StopRequest]:
    """Raise ``Stopped`` in the main thread at every stop signal, so that drafts and half results are removed.

    The request that the block gets knows the signal also where a library turns the exception into something else.
    """
    request = StopRequest()

    def stop(number: int, _: FrameType | None) -> None:
        request.number = number
        raise Stopped(number)

    with _handled_by(stop):
        yield request


@contextmanager
def stop_when_ready() -> Iterator[StopRequest]:
    """Set an event at the first stop signal, so that the loop of the block ends where its files are complete.

    The event is also set at the end of the block. A second signal does not wait.
    """
    request = StopRequest()
    try:
        with _handled_by(request.receive):
            yield request
    finally:
        request.set()


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    """Install a handler of all stop signals; those that are ignored, as under ``nohup``, stay ignored."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield
        return
    former = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    heeded = [number for number in STOP_SIGNALS if former[number] is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, former[number] or signal.SIG_DFL)
