"""Where results may be written: checks that run before any work and need neither torch nor OpenCV."""

import os
import re
import struct
import zlib
from collections.abc import Iterable
from itertools import permutations
from pathlib import Path

from framepred.errors import MediaError
from framepred.media.atomic import refuse_special_file
from framepred.media.paths import expand_user

PICTURE_FOLDER = ""
"""No suffix: a folder of png files."""

VIDEO_OUTPUTS = (".mp4", ".gif", ".npy", ".npz", PICTURE_FOLDER)

_STANDARD_STREAMS = re.compile(r"-|/dev/(stdin|stdout|stderr|fd/\d+)|/proc/[^/]+/fd/\d+")
_WRITTEN_FRAME = re.compile(r"\d{4,}\.png")
_AFTER_HEADER = 8 + 25
"""Bytes of the signature and the first chunk of a png file."""


def stated_output(text: str | Path) -> Path:
    """The path of an output that a user wrote.

    Raises:
        MediaError: if nothing was written, which would be the current folder.
    """
    if not str(text):
        raise MediaError("The path of the output is empty; name a file or a folder.")
    return Path(text)


def check_output(
    target: str | Path, *, inputs: Iterable[str | Path] = (), suffixes: tuple[str, ...] = VIDEO_OUTPUTS
) -> Path:
    """Return the path of an output that can be written without destroying anything that is not an older output.

    Args:
        target: where to write. Links are followed and ``~`` is expanded.
        inputs: what is read meanwhile: files, folders, or names of other sources, which are passed over.
        suffixes: the suffixes that are allowed; ``PICTURE_FOLDER`` allows a folder of png files.

    Raises:
        MediaError: if the suffix is not allowed, if the output is or holds an input, is a device, FIFO or socket,
            is a folder where a file is wanted or the other way round, or may not be written.

    Example:
        >>> check_output("future.mp4", inputs=["clip.mp4"]).name
        'future.mp4'
        >>> check_output("clip.mpg")
        Traceback (most recent call last):
        framepred.errors.MediaError: clip.mpg cannot be written because .mpg is not known; choose .mp4, .gif, .npy or \
.npz, or no suffix for a folder of png frames.
    """
    path = expand_user(target)
    _check_name(path, suffixes)
    refuse_special_file(path)
    if path.suffix and path.is_dir():
        raise MediaError(f"{path} is a folder, not a file; choose another name.")
    if not path.suffix and path.is_file():
        raise MediaError(f"{path} is a file where a folder of frames would be written; choose another name.")
    for source in inputs:
        _check_keeps(Path(source), path)
    if not path.suffix:
        _check_replaceable(path)
    _check_writable(path, path)
    return path


def check_distinct(files: Iterable[Path]) -> None:
    """Refuse files written by one run of which one would overwrite another or be its folder.

    Raises:
        MediaError: if there are any, whatever spelling or link names them.
    """
    for one, other in permutations(files, 2):
        real, real_other = (Path(os.path.realpath(path)) for path in (one, other))
        same = one.exists() and other.exists() and one.samefile(other)
        if same or real in (real_other, *real_other.parents):
            raise MediaError(f"{one} and {other} are the same, or one would hold the other; choose another name.")


def mark_frame(png: bytes) -> bytes:
    """The png file with a note that framepred wrote it, so that a later output may replace it."""
    return png[:_AFTER_HEADER] + _mark() + png[_AFTER_HEADER:]


def _mark() -> bytes:
    """A ``tEXt`` chunk: length, type, keyword and text, checksum (PNG specification, 11.3.4.3)."""
    content = b"tEXt" + b"Software\0framepred"
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


def _is_written_frame(file: Path) -> bool:
    """Whether framepred wrote this frame of a folder."""
    if not (_WRITTEN_FRAME.fullmatch(file.name) and file.is_file()):
        return False
    with file.open("rb") as png:
        return png.read(_AFTER_HEADER + len(_mark())).endswith(_mark())


def check_results_folder(target: str | Path) -> Path:
    """Return the path of a folder that results can be added to; it need not exist, and keeps what it holds.

    Raises:
        MediaError: if it is empty or no folder, or may not be written.
    """
    path = expand_user(stated_output(target))
    _refuse_stream(path)
    refuse_special_file(path)
    _check_writable(path, path / "result")
    return path


def check_new_folder(target: str | Path, *, inputs: Iterable[str | Path] = ()) -> Path:
    """Return the path of a folder that does not exist yet or is empty, and can be written.

    Raises:
        MediaError: if it holds anything, is a file, or may not be written.
    """
    path = expand_user(target)
    _refuse_stream(path)
    if path.suffix or path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise MediaError(f"{path} cannot take the results of a folder of clips; name a new or empty folder.")
    return check_output(path, inputs=inputs)


def _refuse_stream(path: Path) -> None:
    if _STANDARD_STREAMS.fullmatch(str(path)):
        raise MediaError(f"Results cannot be written to the stream {path}; name a file or a folder.")


def _check_name(path: Path, suffixes: tuple[str, ...]) -> None:
    _refuse_stream(path)
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        found = f"{path.suffix} is not known" if suffix else "it has no suffix"
        raise MediaError(f"{path} cannot be written because {found}; choose {list_suffixes(suffixes)}.")
    if path.name.startswith(".") and path.name.lower() in VIDEO_OUTPUTS:
        raise MediaError(f"{path} is a suffix without a name; choose a name such as clip{path.name}.")


def _check_keeps(source: Path, path: Path) -> None:
    """Check that writing ``path`` keeps ``source``, whatever spelling or link names them."""
    if not (os.path.exists(source) and os.path.exists(path)):  # noqa: PTH110  a URL may be too long for Path.exists
        return
    if path.samefile(source):
        raise MediaError(f"{path} is the input and would be overwritten; choose another name for the output.")
    real_path, real_source = Path(os.path.realpath(path)), Path(os.path.realpath(source))
    if real_path in real_source.parents:
        raise MediaError(f"The folder {path} holds the input {source} and would be replaced; choose another folder.")
    if real_source in real_path.parents:
        raise MediaError(f"{path} lies in the input {source} and would be overwritten; choose another name.")


def _check_replaceable(path: Path) -> None:
    """Check that a folder, if it exists, holds nothing but frames of an older output."""
    if not path.is_dir():
        return
    if Path(os.path.realpath(path)) in (Path.cwd(), *Path.cwd().parents):
        raise MediaError(f"{path} is the current folder or holds it; name a new folder.")
    others = [file.name for file in path.iterdir() if not _is_written_frame(file)]
    if others:
        raise MediaError(
            f"The folder {path} holds {min(others)}, which writing frames would delete; name a new folder."
        )


def _check_writable(path: Path, file: Path) -> None:
    """Check that ``file`` may be written: the nearest existing folder above it, and itself; errors name ``path``."""
    real = Path(os.path.realpath(file))
    nearest = next(folder for folder in real.parents if os.path.lexists(folder))
    if not nearest.is_dir():
        raise MediaError(f"{path} cannot be written because {nearest} is a file, not a folder; choose another place.")
    for existing in (nearest, *([real] if real.exists() else [])):
        if not os.access(existing, os.W_OK):
            raise MediaError(f"{path} cannot be written because {existing} is write-protected; choose another place.")


def list_suffixes(suffixes: tuple[str, ...] = VIDEO_OUTPUTS) -> str:
    """The suffixes of outputs, as they are listed in a sentence."""
    files = [suffix for suffix in suffixes if suffix]
    listed = " or ".join(filter(None, [", ".join(files[:-1]), files[-1]]))
    return f"{listed}, or no suffix for a folder of png frames" if PICTURE_FOLDER in suffixes else listed
