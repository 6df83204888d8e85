"""Names, numbers and tables in a folder of events."""

import json
import os
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from framepred.errors import MediaError
from framepred.media.atomic import explain_os_errors
from framepred.media.locking import locked_folder, reserved
from framepred.media.text import ENCODING

LINES, TABLE, LOCK = "events.jsonl", "events.csv", "watch.lock"
_MOST_LINE_BYTES = 10_000
_CLIP_NAME = re.compile(r"event-[0-9]+\.mp4")
_EVENT_FILE = re.compile(r"event-[0-9]{6,}\.(mp4|png)")
_EVENT_NUMBER = re.compile(r"event-([0-9]{1,18})\.")

EVENT_COLUMNS = (
    "number", "start", "peak", "end", "score", "threshold", "kind", "left", "top", "right", "bottom", "clip", "picture",
)  # fmt: skip


def check_event_tables(folder: Path) -> None:
    """Refuse a folder in which the tables of events would be added to other files of their names.

    Raises:
        MediaError: if events.csv has other columns, events.jsonl holds no events, or one cannot be read.
    """
    for name, is_ours in ((TABLE, _is_header), (LINES, _is_event)):
        path = folder / name
        first = _first_line(path)
        if first is not None and not is_ours(first):
            raise MediaError(f"{path} is no table of events that watch wrote; name another folder, or move the file.")


def check_outside_events(folder: Path, files: Iterable[Path]) -> None:
    """Refuse files that are, hold or replace a folder of events or a file that a watch writes into it.

    Raises:
        MediaError: if there is one, whatever spelling or link names it.
    """
    real_folder = Path(os.path.realpath(folder))
    for path in files:
        real = Path(os.path.realpath(path))
        if real in (real_folder, *real_folder.parents):
            raise MediaError(f"{path} is or holds the folder of events {folder}; choose another name.")
        is_table = any(path.exists() and table.exists() and path.samefile(table) for table in _tables(folder))
        if is_table or (real.parent == real_folder and _is_of_events(real.name.lower())):
            raise MediaError(f"{path} is a file of the folder of events {folder}; choose another name.")


def _tables(folder: Path) -> list[Path]:
    return [folder / name for name in (LINES, TABLE, LOCK)]


def _is_of_events(name: str) -> bool:
    return name in (LINES, TABLE, LOCK) or _EVENT_NUMBER.match(name) is not None


def check_no_events(path: Path) -> None:
    """Refuse to replace a table of events by another one.

    Raises:
        MediaError: if the file is one, or cannot be read.
    """
    if _is_header(_first_line(path) or ""):
        raise MediaError(f"{path} is a table of events, which would be lost; choose another name.")


def _first_line(path: Path) -> str | None:
    """The first line of a file; None where it is missing or empty."""
    with explain_os_errors(path):
        if not has_content(path):
            return None
        with path.open("rb") as file:
            return file.readline(_MOST_LINE_BYTES).decode(ENCODING, errors="replace").strip()


def _is_header(line: str) -> bool:
    return line == ",".join(EVENT_COLUMNS)


def _is_event(line: str) -> bool:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"number", "start", "end", "clip"} <= set(found)


def locked_events(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a folder of events, which is made where it is missing.

    Raises:
        ConfigError: if another process holds it.
        MediaError: if it cannot be written.
    """
    return locked_folder(folder, LOCK, "writes events into")


def reserved_events(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a folder of events from the start of long work, see :func:`framepred.media.locking.reserved`.

    Raises:
        ConfigError: if another process holds it.
        MediaError: if it cannot be written.
    """
    return reserved(folder / LOCK, locked_events(folder))


def has_content(path: Path) -> bool:
    """Whether a file exists and is not empty."""
    return path.exists() and path.stat().st_size > 0


def event_name(number: int) -> str:
    """The name of the files of an event, without suffix."""
    return f"event-{number:06d}"


def event_files(folder: Path) -> list[Path]:
    """The clips and pictures of events in a folder, the oldest first; other files of users are left out."""
    found = [path for path in folder.glob("event-*.*") if _EVENT_FILE.fullmatch(path.name)]
    return sorted(found, key=lambda path: (len(path.stem), path.name))


def last_number(folder: Path) -> int:
    """The largest number among the files and in the tables of a folder of events; 0 where there is none."""
    names = [path.name for path in folder.glob("event-*.*")]
    for table in (folder / LINES, folder / TABLE):
        if table.exists():
            with explain_os_errors(table):
                names += _CLIP_NAME.findall(table.read_text(encoding="utf-8", errors="replace"))
    numbers = (_EVENT_NUMBER.match(name) for name in names)
    return max((int(found[1]) for found in numbers if found), default=0)
