"""End live work on Ctrl-C: what is at hand is finished first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event


@contextmanager
def stop_on_signals() -> Iterator[Event]:
    """Yield an event that SIGINT (Ctrl-C) or SIGTERM sets; a second signal raises KeyboardInterrupt.

    The event is also set, and the former handlers are restored, when the block ends.
    """
    stop = Event()

    def handle(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    former = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        stop.set()
        for number, handler in former.items():
            signal.signal(number, handler)
