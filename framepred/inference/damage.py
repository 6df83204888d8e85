"""Find dropped, repeated, frozen and damaged frames in a clip."""

from collections.abc import Iterable, Iterator
from itertools import count, dropwhile, islice, takewhile
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Shaped
from torch import Tensor

from framepred.clips import to_unit
from framepred.inference.missing import MAX_GAP
from framepred.inference.repeats import COMPARED_SIDE, MOTION, NEIGHBOURS
from framepred.inference.sources import Source, shrink_raw
from framepred.media.formats import VIDEOS, check_input, frame_files, is_array
from framepred.media.frame_times import intact_times
from framepred.media.sequences import missing_numbers

MOVING_FRAMES = 10  # frames on each side of a repeat that are looked at
MOVING_SHARE = 0.3  # minimum share of them that show motion: on threes every third does
REPEATED = 0.1  # times the usual change: a smaller change is a repeated frame plus coding noise
DAMAGED = 3.0  # times the change between a frame's neighbours: a damaged frame differs more from both
DAMAGED_RUN = 2.0  # the same for equal frames in a row: more motion lies between their neighbours
MIN_DAMAGE = 0.05  # of the value range: smaller changes do not count as damage
JITTER = 0.2  # of a frame's duration: tolerance of time stamps
ROUNDING = 1  # unit of time stamps by which a step between two rounded ones may be off
REGULAR_SHARE = 0.75  # minimum share of frame intervals without a gap, in a video with gaps
MIN_STEPS = 8  # minimum number of frame intervals to estimate the frame duration


def find_damaged(frames: Iterable[Shaped[Tensor, "c h w"]]) -> Iterator[bool]:
    """Yield for each frame of a clip whether it is damaged or repeats the previous frame.

    A frame is a repeat (inserted by a player, or frozen) if it hardly differs from the previous frame while there is
    motion before and after it. The motion must go on for some frames: what holds still between slides, titles, or
    characters that appear is no repeat. A frame is damaged if it differs strongly from both neighbours while these are
    similar to each other; equal frames in a row, such as a dropout to black, count as one. A picture that comes back
    every second frame, as under a strobe, is not damaged. Reads up to ``MAX_GAP`` + ``NEIGHBOURS`` frames ahead.

    Args:
        frames: the frames in order: uint8, uint16, or floats in [0, 1].

    Example:
        >>> import torch
        >>> moving = [torch.full((1, 4, 4), level / 10) for level in (0, 1, 2, 2, 4, 5, 6)]
        >>> list(find_damaged(moving))
        [False, False, False, True, False, False, False]
    """
    lookahead = MAX_GAP + NEIGHBOURS
    small: dict[int, Tensor] = {}
    changes: dict[int, float] = {}  # mean absolute change from the previous frame, by frame index
    total = 0
    for total, frame in enumerate(frames, start=1):
        last = total - 1
        small[last] = to_unit(shrink_raw(frame.detach().cpu(), COMPARED_SIDE)).mean(dim=0, keepdim=True)
        if last > 0:
            changes[last] = _difference(small[last - 1], small[last])
        if last >= lookahead:
            yield _is_damaged(last - lookahead, small, changes)
        small.pop(last - lookahead - 2 - MAX_GAP, None)
        changes.pop(last - 2 * lookahead, None)
    for number in range(max(0, total - lookahead), total):
        yield _is_damaged(number, small, changes)


class Dropped(NamedTuple):
    """Frames that are missing in a source.

    Attributes:
        numbers: their indices in the complete sequence.
        fps: frames per second of the complete sequence, where all of its frames last equally long; None elsewhere.
    """

    numbers: frozenset[int] = frozenset()
    fps: float | None = None


def find_dropped(source: Source) -> Dropped:
    """Return the frames that are missing in a source.

    In a folder of pictures, gaps in the numbers of the file names are missing frames. In a video with an otherwise
    constant frame rate, gaps in the time stamps are missing frames. Gaps of more than ``MAX_GAP`` frames are ignored.
    Frames of a video that its decoder finds damaged, and those that refer to them, count as missing.

    Raises:
        MediaError: if a video is damaged and the time stamps do not say where, or for more than ``MAX_GAP`` frames.
    """
    if not isinstance(source, (str, Path)) or is_array(Path(source)):
        return Dropped()
    path = check_input(source)
    if path.is_dir():
        return Dropped(_without_long_runs({gap.index for gap in missing_numbers(frame_files(path))}))
    if path.suffix.lower() not in VIDEOS:
        return Dropped()
    times = intact_times(path)
    gaps = _gaps_in_time(times.stamps)
    short = _without_long_runs(gaps)
    placed = len(short) > 0 and short == gaps
    if times.damage is not None and not placed:
        raise times.damage
    seconds = times.seconds if placed else None
    return Dropped(short, None if seconds is None else (len(seconds) - 1 + len(short)) / float(seconds[-1]))


def _gaps_in_time(times: Int64[np.ndarray, " n"]) -> set[int]:
    counts = _frames_in_steps(np.diff(times))
    if counts is None or (counts == 1).mean() < REGULAR_SHARE:
        return set()
    ends = np.cumsum(counts)
    return {int(end) - back for end, count in zip(ends, counts, strict=True) for back in range(1, count)}


def _frames_in_steps(steps: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"] | None:
    """How many frames each step between time stamps lasts; None where it is no whole number.

    The stamps may be rounded, as to milliseconds. The duration of a frame is therefore not the median step: it is the
    mean over the steps of one frame and, as a long step needs an exact duration, over all shorter steps.
    """
    if len(steps) < MIN_STEPS or (steps <= 0).any():
        return None
    usual = float(np.median(steps))
    single = (abs(steps - usual) <= max(JITTER * usual, ROUNDING)) & (steps < 2 * usual)
    counts = single.astype(np.int64)
    ticks, frames = int(steps[single].sum()), int(single.sum())
    for place in np.flatnonzero(~single)[np.argsort(steps[~single])]:
        duration = ticks / frames
        counts[place] = round(steps[place] / duration)
        if not counts[place] or abs(steps[place] - counts[place] * duration) > JITTER * duration + ROUNDING:
            return None
        ticks, frames = ticks + int(steps[place]), frames + int(counts[place])
    return counts


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
    first = next(earlier for earlier in count(number, -1) if not _is_repeat(earlier, changes))
    after = next(later for later in count(number + 1) if not _is_repeat(later, changes))
    if first not in changes or after not in changes or not _is_other_picture(first, after, changes):
        return first < number
    if after == first + 1 and _alternates(number, small):
        return False
    ratio = DAMAGED if after == first + 1 else DAMAGED_RUN
    smaller = min(changes[first], changes[after])
    return after - first <= MAX_GAP and smaller > ratio * _difference(small[first - 1], small[after])


def _alternates(number: int, small: dict[int, Tensor]) -> bool:
    """Whether the picture comes back every second frame, as under a strobe: three times in a row."""
    near = [other in small and _is_like(number, other, small) for other in range(number - 4, number + 5, 2)]
    return any(all(near[start : start + 3]) for start in range(3))


def _is_like(number: int, other: int, small: dict[int, Tensor]) -> bool:
    """Whether two frames differ by much less than the first one from the frame before it."""
    return DAMAGED * _difference(small[number], small[other]) <= _difference(small[number - 1], small[number])


def _is_other_picture(first: int, after: int, changes: dict[int, float]) -> bool:
    """Whether equal frames, or a single one, differ from both neighbours by more than motion."""
    smaller = min(changes[first], changes[after])
    if after == first + 1:
        return smaller > MIN_DAMAGE
    motion = [*_nearest_motion(reversed(range(min(changes), first)), changes)]
    motion += _nearest_motion(range(after + 1, max(changes) + 1), changes)
    return smaller > max(MIN_DAMAGE, DAMAGED * median(motion or [0.0]))


def _is_repeat(number: int, changes: dict[int, float]) -> bool:
    """Whether the frame shows no motion, but frames before and after it do."""
    if number not in changes:
        return False
    earlier, later = range(number - 1, min(changes) - 1, -1), range(number + 1, max(changes) + 1)
    before, after = _nearest_motion(earlier, changes), _nearest_motion(later, changes)
    if not (before and after) or changes[number] >= max(MOTION, REPEATED * median([*before, *after])):
        return False
    return _goes_on(earlier, changes) and _goes_on(later, changes)


def _goes_on(numbers: Iterable[int], changes: dict[int, float]) -> bool:
    """Whether the nearest change is part of a motion, and not a slide, a title or a character that appears."""
    nearest = list(islice(dropwhile(lambda number: changes[number] < MOTION, numbers), MOVING_FRAMES))
    moving = [number for number in nearest if changes[number] >= MOTION]
    return len(moving) >= MOVING_SHARE * len(nearest)


def _nearest_motion(numbers: Iterable[int], changes: dict[int, float]) -> list[float]:
    """Return the first ``NEIGHBOURS`` changes that are large enough to be motion."""
    found = (changes[number] for number in numbers if changes[number] >= MOTION)
    return [change for change, _ in zip(found, range(NEIGHBOURS), strict=False)]
