"""Standard output and standard error that no encoding and no full disk turns into a traceback."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from framepred.errors import FramepredError


class StandardOutputError(FramepredError):
    """Standard output is full or was closed, so that results cannot be printed."""


@contextmanager
def safe_streams() -> Iterator[None]:
    """Make writing to standard output raise a FramepredError, and writing to standard error never fail.

    Characters that an encoding lacks become "?". Streams that the caller closed are replaced by the null device.
    """
    former = sys.stdout, sys.stderr
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # its number must not go to a file that is opened later
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = cast(TextIO, _Results(sys.stdout)), cast(TextIO, _Messages(sys.stderr))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = former


class _Stream:
    """A text stream of which subclasses decide what happens when it cannot be written."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError as error:
            self._discard()
            self._fail(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._discard()
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        """Answer a failed write."""

    def _discard(self) -> None:
        """Send the rest to the null device, so that the interpreter does not fail on it when it exits."""
        with suppress(OSError, io.UnsupportedOperation):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


class _Results(_Stream):
    def _fail(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        raise StandardOutputError(
            f"Standard output cannot be written ({reason}); redirect it to another place."
        ) from error


class _Messages(_Stream):
    """Messages that nobody can read must not end the work."""
