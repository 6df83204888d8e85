"""Signals that stop a process: Ctrl-C (SIGINT), ``kill`` (SIGTERM) and a closed terminal (SIGHUP)."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

Handler: TypeAlias = Callable[[int, FrameType | None], object]

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP

REPEAT_S = 0.5
"""Seconds in which a further signal is the same request: ``timeout`` signals a process, and then its process group."""


class _Request:
    """The newest request to stop; there is one for the process, because a signal has one handler at a time."""

    time = -math.inf


@contextmanager
def handle_stop_signals(handler: Handler) -> Iterator[None]:
    """Call ``handler`` once for each request to stop in the block, also where one is several signals.

    Signals that are ignored, as under ``nohup``, stay ignored. Outside the main thread nothing is handled.
    """
    if threading.current_thread() is not threading.main_thread():  # Python sets handlers in the main thread only
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - _Request.time >= REPEAT_S:
            _Request.time = now
            handler(number, frame)

    _Request.time = -math.inf
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    handled = [number for number in STOP_SIGNALS if previous[number] is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, previous[number] or signal.SIG_DFL)


def send_again(number: int) -> None:
    """Send this process a signal that its handler put off."""
    _Request.time = -math.inf
    os.kill(os.getpid(), number)
