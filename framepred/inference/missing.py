"""Which frames are missing, as a user writes it: ``7,8,12-15``."""

import re

from framepred.errors import ConfigError

LONGEST = 64
"""Most missing frames in a row: what lies far from both sides is unknown, and memory is bounded."""


def parse_missing(text: str, factor: int = 1) -> frozenset[int]:
    """The numbers of the frames, counted from 0.

    Args:
        text: numbers and ranges, both ends included, between commas.
        factor: how many times the frame rate is raised, which lengthens every gap.

    Raises:
        ConfigError: if it is something else, or more than ``LONGEST`` frames in a row would be missing.
    """
    runs = sorted(_run(part.strip(), text) for part in text.split(","))
    first, last = runs[0]
    for begin, end in runs:
        first, last = (first, max(last, end)) if begin <= last + 1 else (begin, end)
        _check_length(first, last, factor)
    return frozenset(number for begin, end in runs for number in range(begin, end + 1))


def check_factor(factor: int) -> None:
    """Refuse to raise a frame rate so far that more than ``LONGEST`` frames lie between two.

    Raises:
        ConfigError: if it is.
    """
    if factor > LONGEST + 1:
        raise ConfigError(f"The frame rate can be raised at most {LONGEST + 1} times, not {factor}; lower --upsample.")


def check_within(missing: frozenset[int], count: int) -> None:
    """Refuse numbers beyond a clip of ``count`` frames.

    Raises:
        ConfigError: if there are any.
    """
    beyond = [number for number in missing if number >= count]
    if beyond:
        raise ConfigError(
            f"Frame {min(beyond)} is not there: the {count} frames are numbered 0 to {count - 1}; correct --missing."
        )


def one_sided(missing: frozenset[int], count: int) -> int:
    """How many missing frames of a clip of ``count`` lie before its first or after its last seen frame."""
    seen = [number for number in range(count) if number not in missing]
    return seen[0] + count - 1 - seen[-1] if seen else count


def _run(part: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", part)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
    if last < first:
        raise ConfigError(
            f"{part or text!r} names no frames; write numbers and ranges from 0 on, such as --missing 7,8,12-15."
        )
    return first, last


def _check_length(first: int, last: int, factor: int) -> None:
    length = (last - first + 2) * factor - 1
    if length > LONGEST:
        raised = f", {length} at {factor} times the frame rate" if factor > 1 else ""
        raise ConfigError(
            f"Frames {first} to {last} are {last - first + 1} missing in a row{raised}, but at most {LONGEST} can be "
            "rebuilt; cut the video there."
        )
