"""Numbers of missing frames: from text such as ``7,8,12-15``, and checks of them."""

import re
from collections.abc import Iterable
from operator import index
from pathlib import Path
from typing import SupportsIndex

from framepred.errors import ConfigError, MediaError, reason_of
from framepred.media.text import ENCODING

MAX_GAP = 64
"""Missing frames in a row, at most: frames far from both sides are unknown, and memory is bounded by this."""

MAX_FILE_BYTES = 1 << 20
"""Size of a file of frame numbers, at most: a million bytes name more frames than a film has."""


def parse_missing(text: str, factor: int = 1) -> frozenset[int]:
    """The frame numbers in a text, counted from 0.

    Args:
        text: numbers and ranges, both ends included, separated by commas.
        factor: how many times the frame rate is raised, which lengthens every gap.

    Raises:
        ConfigError: if the text is something else, or more than ``MAX_GAP`` frames in a row would be missing.

    Example:
        >>> sorted(parse_missing("7,8,12-15"))
        [7, 8, 12, 13, 14, 15]
    """
    return _frames_of([_run(part.strip(), text) for part in text.split(",")], factor)


def read_missing(path: str | Path, factor: int = 1) -> frozenset[int]:
    """The frame numbers in a text file: numbers and ranges, separated by commas or lines; ``#`` begins a comment.

    Raises:
        MediaError: if the file cannot be read.
        ConfigError: if a line holds something else, or more than ``MAX_GAP`` frames in a row would be missing.
    """
    try:
        with Path(path).open(encoding=ENCODING) as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise MediaError(
            f"{path} cannot be read as text ({reason_of(error)}); give a file of frame numbers."
        ) from error
    if len(text) > MAX_FILE_BYTES:
        raise MediaError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes; give a file of frame numbers.")
    runs: list[tuple[int, int]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        parts = filter(None, map(str.strip, line.partition("#")[0].split(",")))
        try:
            runs += [_run(part, part) for part in parts]
        except ConfigError as error:
            raise ConfigError(f"{path}, line {number}: {error}") from error
    if not runs:
        raise ConfigError(f"{path} names no frames; write numbers and ranges such as 7 or 12-15, one per line.")
    return _frames_of(runs, factor)


def check_missing(numbers: Iterable[SupportsIndex], factor: int = 1) -> frozenset[int]:
    """The frame numbers as a set.

    Raises:
        ConfigError: if one is negative or no integer, or more than ``MAX_GAP`` frames in a row would be missing.
    """
    if not isinstance(numbers, Iterable):
        raise ConfigError(f"Missing frames are several numbers or a text, not {numbers!r}; give a list of them.")
    found = frozenset(map(_frame_number, numbers))
    _check_runs([(number, number) for number in sorted(found)], factor)
    return found


def _frame_number(number: SupportsIndex) -> int:
    """A frame number of any type of integers, such as those of NumPy.

    Raises:
        ConfigError: if it is negative, no integer, or a boolean: a mask would be taken for the frames 0 and 1.
    """
    if isinstance(number, bool) or str(getattr(number, "dtype", "")).endswith("bool"):
        raise ConfigError(
            "Missing frames are numbers, not a mask; give those where it is true, such as numpy.flatnonzero(mask)."
        )
    try:
        found = index(number)
    except TypeError:
        found = -1
    if found < 0:
        raise ConfigError(f"Missing frames are integers from 0 on, not {number!r}.")
    return found


def check_factor(factor: SupportsIndex) -> int:
    """Return the factor of a frame rate; refuse one by which more than ``MAX_GAP`` frames lie between two.

    Raises:
        ConfigError: if it is one, less than 1, or no integer.
    """
    try:
        found = index(factor)
    except TypeError:
        found = 0
    if not 1 <= found <= MAX_GAP + 1:
        raise ConfigError(
            f"upsample, the factor of the frame rate, must be an integer from 1 to {MAX_GAP + 1}, not {factor}."
        )
    return found


def check_within(missing: frozenset[int], count: int) -> None:
    """Refuse frame numbers beyond a clip of ``count`` frames.

    Raises:
        ConfigError: if there are any.
    """
    beyond = [number for number in missing if number >= count]
    if beyond:
        raise ConfigError(
            f"There is no frame {min(beyond)}: the {count} frames are numbered 0 to {count - 1}; correct missing."
        )


def one_sided(missing: frozenset[int], count: int) -> int:
    """The number of missing frames of a clip of ``count`` before its first or after its last observed frame."""
    observed = [number for number in range(count) if number not in missing]
    return observed[0] + count - 1 - observed[-1] if observed else count


def _run(part: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?", part)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
    if last < first:
        raise ConfigError(f"{part or text!r} names no frames; write numbers and ranges from 0 on, such as 7,8,12-15.")
    return first, last


def _frames_of(runs: list[tuple[int, int]], factor: int) -> frozenset[int]:
    _check_runs(sorted(runs), factor)
    return frozenset(number for first, last in runs for number in range(first, last + 1))


def _check_runs(runs: list[tuple[int, int]], factor: int) -> None:
    """Refuse sorted runs that join to one of more than ``MAX_GAP`` frames."""
    first = last = -2
    for begin, end in runs:
        first, last = (first, max(last, end)) if begin <= last + 1 else (begin, end)
        length = (last - first + 2) * factor - 1
        if length > MAX_GAP:
            raised = f", {length} at {factor} times the frame rate" if factor > 1 else ""
            raise ConfigError(
                f"Frames {first} to {last} are {last - first + 1} missing in a row{raised}, but at most {MAX_GAP} can "
                "be rebuilt; cut the video there."
            )
