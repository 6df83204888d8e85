"""Numbers in the names of pictures: gaps, and several series in one folder."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from framepred.media.formats import is_clip_file

DATE = 10_000_000
"""Numbers as large as this in file names are dates, not counts."""

_AS_IF_COMPLETE = "it is read as if nothing were missing."
_NAMED = 5  # numbers in a sentence
_DATED = re.compile(r"\d{8}|\d{4}[-_.]\d{2}[-_.]\d{2}")
_SHORTEST_SERIES = 2  # files


@dataclass(frozen=True)
class Gap:
    """A frame whose number is missing in a series.

    Attributes:
        number: the missing number.
        index: which frame of the complete series it is, counted from 0.
        before: the name of the last file before it.
        after: the name of the first file after it.
    """

    number: int
    index: int
    before: str
    after: str


def missing_numbers(files: Sequence[Path]) -> list[Gap]:
    """The gaps in a series of numbered files.

    Names count up where exactly one number in them changes. Their step is the most common one. Nothing is missing
    where the names do not count, or do so too irregularly: where less than half of the steps are the common one, a
    step is no multiple of it, or more numbers would be missing than are there.

    Args:
        files: in natural order.
    """
    numbers = _counts([file.stem for file in files])
    steps = [after - before for before, after in pairwise(numbers)]
    if not steps:
        return []
    step, times = Counter(steps).most_common(1)[0]
    if step < 1 or 2 * times < len(steps) or any(gap % step or gap < 1 for gap in steps):
        return []
    missing = [
        Gap(number, (number - numbers[0]) // step, files[place].name, files[place + 1].name)
        for place, (before, after) in enumerate(pairwise(numbers))
        for number in _between(before, after, step, len(numbers))
    ]
    return missing if len(missing) <= len(numbers) else []


def series(files: Sequence[Path]) -> dict[str, int]:
    """The numbered series among files: what their names have in common, with ``#`` for the number, and their length.

    Files whose names hold dates, or that count alone, are left out.
    """
    patterns = Counter(re.sub(r"\d+(?=\D*$)", "#", file.stem) for file in files if not _DATED.search(file.stem))
    return {name: count for name, count in patterns.items() if "#" in name and count >= _SHORTEST_SERIES}


def sequence_notes(folder: Path, files: Sequence[Path]) -> tuple[str, ...]:
    """One sentence for gaps in the numbers of a folder's pictures, and one for several series.

    Args:
        folder: the folder, for the sentences.
        files: its pictures, in natural order.
    """
    found = series(files)
    if len(found) > 1:
        named = ", ".join(f"{name} ({count} files)" for name, count in list(found.items())[:_NAMED])
        return (
            f"{folder} holds {len(found)} numbered series, {named}; they are read as one clip, in the order of their "
            "names. Put each into a folder of its own if they are several clips.",
        )
    gaps = missing_numbers(files)
    if not gaps:
        return ()
    shown = ", ".join(str(gap.number) for gap in gaps[:_NAMED]) + (" and more" if len(gaps) > _NAMED else "")
    frames = ",".join(str(gap.index) for gap in gaps[:_NAMED])
    return (
        f"{folder} lacks {len(gaps)} of {len(files) + len(gaps)} numbered pictures: number {shown} (frame {frames} of "
        f"the complete series, counted from 0); {_AS_IF_COMPLETE}",
    )


def note_of_inserted(note: str, count: int) -> str:
    """What a note on gaps says where frames are inserted there; other notes are returned as they are.

    Args:
        note: of a source.
        count: how many frames are inserted and rebuilt.
    """
    frames = "1 frame is" if count == 1 else f"{count} frames are"
    return note.replace(_AS_IF_COMPLETE, f"{frames} inserted there and rebuilt.") if count else note


def clips_beside(folder: Path) -> tuple[str, ...]:
    """A sentence on the clips in a folder of pictures that is read as one clip, if there are any."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.name[0] != "." and is_clip_file(entry))
    if not names:
        return ()
    more = " and more" if len(names) > _NAMED else ""
    return (
        f"{folder} also holds clips, {', '.join(names[:_NAMED])}{more}, which are not read with its pictures; name "
        "them, or move them to another folder.",
    )


def _between(before: int, after: int, step: int, most: int) -> range:
    """The numbers missing between two; at most one more than ``most``, which is already too many."""
    return range(before + step, min(after, before + (most + 2) * step), step)


def _counts(stems: list[str]) -> list[int]:
    """The number that counts up, in each name; nothing where the names do not count."""
    parts = [re.split(r"(\d+)", stem) for stem in stems]
    if len({len(part) for part in parts}) != 1:
        return []
    changing = [column for column in zip(*parts, strict=True) if len(set(column)) > 1]
    if len(changing) != 1 or not changing[0][0].isdecimal():
        return []
    numbers = [int(number) for number in changing[0]]
    return numbers if max(numbers) < DATE else []
