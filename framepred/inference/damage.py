"""Find frames that a recorder or player repeated, froze or damaged, from the changes between frames."""

from collections.abc import Iterable, Iterator
from statistics import median

from jaxtyping import Shaped
from torch import Tensor

from framepred.clips import to_unit
from framepred.inference.missing import MAX_GAP
from framepred.inference.sources import shrink_raw

COMPARED_SIDE = 176  # pixels: longer side at which frames are compared
MOTION = 0.0005  # of the value range: a smaller mean change is a still picture; an eighth of a level of 255
REPEATED = 0.1  # times the usual change: a smaller change is a repeat, up to what a codec adds
DAMAGED = 3.0  # times the change across a frame: larger changes on both of its sides are damage
MIN_DAMAGE = 0.05  # of the value range: smaller changes are no damage
NEIGHBOURS = 5  # moving changes on each side from which the usual change follows


def find_damaged(frames: Iterable[Shaped[Tensor, "c h w"]]) -> Iterator[bool]:
    """For each frame of a clip, whether it repeats the one before or is damaged.

    A frame is a repeat if it hardly differs from the one before while the picture moves before and after: repeats that
    a player inserted, and frozen frames. It is damaged if it differs much from both neighbours, which resemble each
    other. A picture that stands still is no repeat. Reads up to ``MAX_GAP`` + ``NEIGHBOURS`` frames ahead.

    Args:
        frames: the frames in order: uint8, uint16, or floats in [0, 1].

    Example:
        >>> moving = [torch.full((1, 4, 4), level / 10) for level in (0, 1, 2, 2, 4, 5, 6)]
        >>> list(find_damaged(moving))
        [False, False, False, True, False, False, False]
    """
    ahead = MAX_GAP + NEIGHBOURS
    small: dict[int, Tensor] = {}
    changes: dict[int, float] = {}  # by the number of the later frame
    count = 0
    for count, frame in enumerate(frames, start=1):
        last = count - 1
        small[last] = to_unit(shrink_raw(frame.detach().cpu(), COMPARED_SIDE)).mean(dim=0, keepdim=True)
        if last > 0:
            changes[last] = _difference(small[last - 1], small[last])
        if last >= ahead:
            yield _is_damaged(last - ahead, small, changes)
        small.pop(last - ahead - 2, None)
        changes.pop(last - 2 * ahead, None)
    for number in range(max(0, count - ahead), count):
        yield _is_damaged(number, small, changes)


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
