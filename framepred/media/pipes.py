"""Read standard input and pipes so that reading can be ended while no byte arrives."""

import io
import os
import select
from threading import Event
from typing import cast

POLL_SECONDS = 0.2
"""Between checks of whether to end, while no byte arrives."""


class _EndableBytes(io.RawIOBase):
    """The bytes of a stream as they arrive; none any more once ``ended`` is set."""

    def __init__(self, stream: io.BufferedIOBase, ended: Event) -> None:
        super().__init__()
        self._stream = stream  # would close its descriptor when it is no longer referred to
        self._descriptor = stream.fileno()
        self._ended = ended

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        super().close()
        self._stream.close()

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        while not self._ended.is_set():
            if select.select([self._descriptor], [], [], POLL_SECONDS)[0]:
                found = os.read(self._descriptor, len(view))
                view[: len(found)] = found
                return len(found)
        return 0


def endable(stream: io.BufferedIOBase, ended: Event) -> io.BufferedIOBase:
    """The bytes of a stream, which end when ``ended`` is set, also while none arrive.

    A stream without a file descriptor is returned as it is, and any on Windows, where pipes cannot be waited for.

    Args:
        stream: a stream of which nothing has been read yet.
        ended: set it to end.
    """
    try:
        stream.fileno()
    except (AttributeError, OSError):
        return stream
    return stream if os.name == "nt" else io.BufferedReader(_EndableBytes(stream, ended))
