"""Text files that grow line by line and are whole up to the last line at any time, also on a full disk."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from framepred.media.atomic import explain_os_errors
from framepred.media.locking import locked_file


class GrowingFile:
    """A new text file that takes lines, one process at a time.

    Args:
        path: the file; missing folders are made, and what it held is deleted.

    Raises:
        ConfigError: if another process writes it.
        MediaError: if it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with ExitStack() as cleanup:
            cleanup.enter_context(locked_file(path))
            with explain_os_errors(path):
                self._file = cleanup.enter_context(path.open("wb", buffering=0))  # whole whatever ends the program
            self._cleanup = cleanup.pop_all()

    def write(self, line: str) -> None:
        """Append a line.

        Raises:
            MediaError: if it cannot be written; nothing of it is in the file then.
        """
        with explain_os_errors(self.path):
            _write_whole(self._file, f"{line}\n".encode())

    def close(self) -> None:
        """Close the file."""
        self._cleanup.close()


def append_line(path: Path, line: str) -> None:
    """Append a line to a text file; it begins a new line where the last one was cut.

    Raises:
        MediaError: if it cannot be written; nothing of it is in the file then.
    """
    with explain_os_errors(path), path.open("a+b", buffering=0) as file:
        cut = file.seek(0, os.SEEK_END) > 0
        if cut:
            file.seek(-1, os.SEEK_END)
            cut = file.read(1) != b"\n"
        _write_whole(file, b"\n" * cut + f"{line}\n".encode())


def _write_whole(file: BinaryIO, content: bytes) -> None:
    """Write all bytes at the end of an unbuffered file, which may take a part only, or none of them."""
    end = file.seek(0, os.SEEK_END)
    try:
        written = 0
        while written < len(content):
            written += file.write(content[written:])
    except OSError:
        file.truncate(end)
        raise
