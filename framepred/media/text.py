"""Read small text files up to a maximum size."""

import stat
from pathlib import Path

ENCODING = "utf-8-sig"
"""UTF-8 with or without a byte order mark."""


def read_small_text(path: Path, limit: int) -> str:
    """Return the text of a UTF-8 file, without the byte order mark that Excel and Notepad write.

    Args:
        path: a regular file; devices and pipes, which may never end, are refused.
        limit: bytes that the file may have at most.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no regular file, has more bytes, or is no UTF-8.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return content.decode(ENCODING)
