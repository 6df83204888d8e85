"""Find frames that a recorder or player dropped, repeated, froze or damaged."""

from collections.abc import Iterable, Iterator
from itertools import count, takewhile
from pathlib import Path
from statistics import median

import numpy as np
from jaxtyping import Int64, Shaped
from torch import Tensor

from framepred.clips import to_unit
from framepred.inference.missing import MAX_GAP
from framepred.inference.sources import Source, shrink_raw
from framepred.media.formats import VIDEOS, check_input, frame_files, is_array
from framepred.media.random_access import map_video
from framepred.media.sequences import missing_numbers

COMPARED_SIDE = 176  # pixels: longer side at which frames are compared
MOTION = 0.0005  # of the value range: a smaller mean change is a still picture; an eighth of a level of 255
REPEATED = 0.1  # times the usual change: a smaller change is a repeat, up to what a codec adds
DAMAGED = 3.0  # times the change across a frame: larger changes on both of its sides are damage
MIN_DAMAGE = 0.05  # of the value range: smaller changes are no damage
JITTER = 0.2  # of a frame's duration by which time stamps may be off
REGULAR_SHARE = 0.75  # of the frames of a video with gaps that last one usual duration, at least
MIN_STEPS = 8  # time stamps from which a usual duration follows
NEIGHBOURS = 5  # moving changes on each side from which the usual change follows


def find_damaged(frames: Iterable[Shaped[Tensor, "c h w"]]) -> Iterator[bool]:
    """For each frame of a clip, whether it repeats the one before or is damaged.

    A frame is a repeat if it hardly differs from the one before while the picture moves before and after: repeats that
    a player inserted, and frozen frames. It is damaged if it differs much from both neighbours, which resemble each
    other. A picture that stands still is no repeat. Reads up to ``MAX_GAP`` + ``NEIGHBOURS`` frames ahead.

    Args:
        frames: the frames in order: uint8, uint16, or floats in [0, 1].

    Example:
        >>> import torch
        >>> moving = [torch.full((1, 4, 4), level / 10) for level in (0, 1, 2, 2, 4, 5, 6)]
        >>> list(find_damaged(moving))
        [False, False, False, True, False, False, False]
    """
    ahead = MAX_GAP + NEIGHBOURS
    small: dict[int, Tensor] = {}
    changes: dict[int, float] = {}  # by the number of the later frame
    total = 0
    for total, frame in enumerate(frames, start=1):
        last = total - 1
        small[last] = to_unit(shrink_raw(frame.detach().cpu(), COMPARED_SIDE)).mean(dim=0, keepdim=True)
        if last > 0:
            changes[last] = _difference(small[last - 1], small[last])
        if last >= ahead:
            yield _is_damaged(last - ahead, small, changes)
        small.pop(last - ahead - 2, None)
        changes.pop(last - 2 * ahead, None)
    for number in range(max(0, total - ahead), total):
        yield _is_damaged(number, small, changes)


def find_dropped(source: Source) -> frozenset[int]:
    """Indices, in the complete series, of frames that are missing in a source.

    Pictures of a folder are missing where the numbers in their names have gaps, frames of a video where its time stamps
    do while all other frames last equally long. Gaps of more than ``MAX_GAP`` frames are left as they are.
    """
    if not isinstance(source, (str, Path)) or is_array(Path(source)):
        return frozenset()
    path = check_input(source)
    if path.is_dir():
        return _without_long_runs({gap.index for gap in missing_numbers(frame_files(path))})
    if path.suffix.lower() not in VIDEOS:
        return frozenset()
    return _without_long_runs(_gaps_in_time(map_video(path)[0]))


def _gaps_in_time(times: Int64[np.ndarray, " n"]) -> set[int]:
    steps = np.diff(times)
    if len(steps) < MIN_STEPS or (steps <= 0).any():
        return set()
    step = float(np.median(steps))
    counts = np.round(steps / step).astype(int)
    regular = np.abs(steps - counts * step) <= JITTER * step
    if not regular.all() or (counts == 1).mean() < REGULAR_SHARE:
        return set()
    ends = np.cumsum(counts)
    return {int(end) - back for end, count in zip(ends, counts, strict=True) for back in range(1, count)}


def _without_long_runs(missing: set[int]) -> frozenset[int]:
    kept: set[int] = set()
    for first in sorted(number for number in missing if number - 1 not in missing):
        run = list(takewhile(missing.__contains__, count(first)))
        kept |= set(run) if len(run) <= MAX_GAP else set()
    return frozenset(kept)


def _difference(before: Tensor, after: Tensor) -> float:
    return float((after - before).abs().mean())


def _is_damaged(number: int, small: dict[int, Tensor], changes: dict[int, float]) -> bool:
    if number not in changes:
        return False
    return _is_repeat(number, changes) or _is_outlier(number, small, changes)


def _is_repeat(number: int, changes: dict[int, float]) -> bool:
    """Whether nothing moves here, though it moves before and after."""
    before = _moving(reversed(range(min(changes), number)), changes)
    after = _moving(range(number + 1, max(changes) + 1), changes)
    if not (before and after):
        return False
    return changes[number] < max(MOTION, REPEATED * median([*before, *after]))


def _moving(numbers: Iterable[int], changes: dict[int, float]) -> list[float]:
    """The nearest changes at which the picture moves."""
    found = (changes[number] for number in numbers if changes[number] >= MOTION)
    return [change for change, _ in zip(found, range(NEIGHBOURS), strict=False)]


def _is_outlier(number: int, small: dict[int, Tensor], changes: dict[int, float]) -> bool:
    if number + 1 not in changes:
        return False
    nearer = min(changes[number], changes[number + 1])
    return nearer > MIN_DAMAGE and nearer > DAMAGED * _difference(small[number - 1], small[number + 1])
