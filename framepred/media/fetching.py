"""Bring what has no path of its own, standard input, named pipes and addresses, into temporary files."""

import atexit
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BufferedIOBase
from pathlib import Path
from typing import cast
from urllib.parse import unquote

from framepred.errors import MediaError, name_original, reason_of
from framepred.media.formats import (
    IMAGES,
    INPUTS,
    STANDARD_INPUT,
    check_input,
    file_of_url,
    is_pipe,
    is_standard_input,
    is_url,
    split_url,
    spoken_name,
    url_of,
)
from framepred.media.http_file import HttpFile

MAX_FETCHED_BYTES = 8 * 1024**3
"""Bytes that are copied to the temporary folder at most: several hours of HD video."""

MAX_FETCH_SECONDS = 1800.0
"""Seconds that copying may take; a live stream over HTTP has no end of its own."""

_CHUNK_BYTES = 1 << 20


def local_path(source: str | Path) -> Path:
    """The path of a source on this machine.

    Standard input, named pipes and addresses are copied to a temporary file once per process, so that they can be read
    more than once; it is removed when the process ends.

    Args:
        source: see :func:`framepred.media.formats.check_input`.

    Raises:
        MediaError: if it cannot be read, or is larger than ``MAX_FETCHED_BYTES``.
    """
    path = check_input(source)
    if is_standard_input(path):
        return fetched_file(spoken_name(path))
    if is_url(path):
        # The original spelling: a Path joins slashes within an address.
        return fetched_file(
            str(source) if file_of_url(url_of(source)) is None and "://" in str(source) else url_of(path)
        )
    return fetched_file(str(path.absolute())) if is_pipe(path) else path


@cache
def fetched_file(name: str) -> Path:
    """Copy standard input, a named pipe or an address to a temporary file, once per process."""
    folder = Path(tempfile.mkdtemp(prefix="framepred-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = folder / _file_name(name)
    with _opened(name) as stream, target.open("wb") as file:
        _copy(name, stream, file)
    name_original(str(target), name)
    if target.stat().st_size == 0:
        raise MediaError(f"{name} ended without a byte; check what writes to it.")
    return target


def _file_name(name: str) -> str:
    """A name with the suffix by which the reader is chosen."""
    suffix = Path(unquote(split_url(name).path)).suffix.lower() if is_url(name) else ""
    return f"video{suffix if suffix in (*INPUTS, *IMAGES) else ''}"


@contextmanager
def _opened(name: str) -> Iterator[BufferedIOBase]:
    if name == spoken_name(STANDARD_INPUT):
        yield cast(BufferedIOBase, sys.stdin.buffer)
    elif is_url(name):
        with HttpFile(name) as file:
            yield file
    else:
        with Path(name).open("rb") as pipe:
            yield pipe


def _copy(name: str, stream: BufferedIOBase, file: BufferedIOBase) -> None:
    count, end = 0, time.monotonic() + MAX_FETCH_SECONDS
    while chunk := _read(name, stream):
        count += len(chunk)
        if count > MAX_FETCHED_BYTES or time.monotonic() > end:
            raise MediaError(
                f"{name} goes on after {count / 1e9:.1f} GB and has no end in sight; record a part of it first, or "
                "follow it with stream."
            )
        file.write(chunk)


def _read(name: str, stream: BufferedIOBase) -> bytes:
    try:
        return stream.read(_CHUNK_BYTES)
    except OSError as error:
        raise MediaError(f"{name} broke off ({reason_of(error)}); try again.") from error
