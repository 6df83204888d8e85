"""Observed frames near a gap that are hidden and rebuilt, to measure how well a method rebuilds the gap."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import NamedTuple

from framepred.restorer import Sides

TRIALS = 6
"""Observed frames that are hidden, at most: each costs about as much as one gap."""


class Trial(NamedTuple):
    """Indices of an observed frame that is hidden, and of the two observed frames that it is rebuilt from."""

    before: int
    hidden: int
    after: int


def trials(missing: Sequence[bool], before: int, after: int, near: Sides) -> list[Trial]:
    """Observed frames that can be hidden, rebuilt from frames about as distant as those of a missing frame.

    Both outer frames and the hidden one are observed; what lies between does not matter. The distances are halved until
    a trial fits, so that a long gap is measured on shorter ones; where none fits, as with every second frame missing,
    they are multiplied. Those nearest to the gap are taken, from both sides of it in turn.

    Args:
        missing: for each frame of the clip, whether it is missing.
        before: frames from the observed frame before the gap to the missing one.
        after: frames from the missing one to the observed frame after the gap.
        near: the observed frames of the gap.
    """
    for first, second in _distances(before, after, len(missing)):
        found = [
            Trial(start, start + first, start + first + second)
            for start in range(len(missing) - first - second)
            if not (missing[start] or missing[start + first] or missing[start + first + second])
        ]
        if found:
            return _nearest(found, near)
    return []


def _distances(before: int, after: int, frames: int) -> Iterator[tuple[int, int]]:
    """The distances of a missing frame, then shorter ones, then longer ones up to the length of the clip."""
    yield before, after
    shorter = (before, after)
    while max(shorter) > 1:
        shorter = (max(1, shorter[0] // 2), max(1, shorter[1] // 2))
        yield shorter
    factor = 2
    while factor * (before + after) < frames:
        yield factor * before, factor * after
        factor += 1


def _nearest(found: Sequence[Trial], near: Sides) -> list[Trial]:
    """The trials nearest to a gap, from both sides of it in turn."""
    offsets = sorted((trial.before + trial.after - near.before - near.after, trial) for trial in found)
    earlier = [trial for offset, trial in reversed(offsets) if offset < 0]
    later = [trial for offset, trial in offsets if offset >= 0]
    turns = chain.from_iterable(zip_longest(earlier, later))
    return list(islice((trial for trial in turns if trial is not None), TRIALS))
