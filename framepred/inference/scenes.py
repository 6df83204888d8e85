"""Scene cuts: changes that stand out from the changes around them.

A cut is judged by comparison, as adaptive detectors do (PySceneDetect's ``AdaptiveDetector``): a change counts only if
it is several times as large as the changes near it. Two frames are compared after the best small shift and without
regard to brightness and contrast, so that pans, flashes and flicker are no cuts.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise, repeat
from typing import TypeAlias

from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from framepred.clips import to_unit
from framepred.media.pictures import shrunk_size
from framepred.media.resizing import resized

THUMBNAIL_SIDE = 64  # pixels: longer side at which frames are compared; detail and noise average out
MAX_SHIFT = 6  # pixels of a thumbnail by which the picture may move between two frames: a tenth of its width
MIN_CHANGE = 0.05  # of the value range: smaller changes are no cut, however still the rest is
RATIO = 3.0  # a cut is at least this many times the mean change around it, as in PySceneDetect
GAP_RATIO = 1.5  # across missing frames a cut is at least this many times the change that they would add up to
NEIGHBOURS = 5  # changes on each side that a change is compared with
MAX_INTERRUPTION = 2  # frames after which a picture that comes back makes the interruption no cut
FLAT = 0.02  # of the value range: a thumbnail with a smaller standard deviation has no structure to compare

Thumbnail: TypeAlias = Float[Tensor, "h_small w_small"]


class Change:
    """How much one frame differs from another.

    Attributes:
        difference: mean absolute difference, in [0, 1].
        distance: number of frames from one to the other; more than 1 across missing frames.
    """

    def __init__(self, before: Thumbnail, after: Thumbnail, distance: int = 1) -> None:
        self._frames = before, after
        self.distance = distance
        self.difference = float((after - before).abs().mean())

    @cached_property
    def flat(self) -> bool:
        """Whether one of the frames has no structure, so that only ``difference`` says anything."""
        return float(min(frame.std(correction=0) for frame in self._frames)) < FLAT

    @cached_property
    def structural(self) -> float:
        """``difference`` times the part of the structure that no small shift explains, in [0, 1].

        It takes most of the time of a comparison, and is needed only where the difference is large.
        """
        return self.difference if self.flat else self.difference * (1 - _correlation(*self._frames))


class CutDetector:
    """Finds cuts while frames come, from past frames alone, in constant memory.

    It sees no future, so a sudden event that lasts may count as a cut; :func:`find_cuts` looks at both sides.

    Example:
        >>> detector = CutDetector()
        >>> import torch
        >>> dark, bright = torch.zeros(1, 8, 8), torch.ones(1, 8, 8)
        >>> [detector.is_cut(frame) for frame in [dark, dark, bright, bright]]
        [False, False, True, False]
    """

    def __init__(self) -> None:
        self._thumbnails: deque[Thumbnail] = deque(maxlen=MAX_INTERRUPTION + 1)
        self._changes: deque[Change] = deque(maxlen=NEIGHBOURS)

    def reset(self) -> None:
        """Forget all frames: the next frame does not follow from the last one."""
        self._thumbnails.clear()
        self._changes.clear()

    def is_cut(self, frame: Shaped[Tensor, "c h w"]) -> bool:
        """Return whether a scene begins with this frame: uint8, uint16, or floats in [0, 1]; keeps it for the next."""
        thumbnail = _thumbnail(frame)
        if self._thumbnails and thumbnail.shape != self._thumbnails[-1].shape:
            self.reset()
        change = Change(self._thumbnails[-1], thumbnail) if self._thumbnails else None
        found = change is not None and self._is_cut(change, thumbnail)
        self._thumbnails.append(thumbnail)
        if change is not None:
            self._changes.append(change)
        return found

    def _is_cut(self, change: Change, thumbnail: Thumbnail) -> bool:
        last = list(self._changes)[-1:]
        if not last or not _stands_out(change, self._changes) or not _stands_out(change, last):
            return False  # with one frame known, nothing says how much this clip changes
        return not any(_resembles(before, thumbnail, change) for before in list(self._thumbnails)[:-1])


def find_cuts(frames: Iterable[Shaped[Tensor, "c h w"]]) -> list[int]:
    """The numbers of the frames of one clip with which a new scene begins, the first frame aside.

    Args:
        frames: the frames in order: uint8, uint16, or floats in [0, 1].

    Example:
        >>> import torch
        >>> dark, bright = torch.zeros(1, 8, 8), torch.ones(1, 8, 8)
        >>> find_cuts([dark, dark, dark, bright, bright, bright])
        [3]
    """
    return [number for number, cut in enumerate(iter_cuts(frames)) if cut]


def iter_cuts(frames: Iterable[Shaped[Tensor, "c h w"]], distances: Iterable[int] = repeat(1)) -> Iterator[bool]:
    """For each frame of a clip, whether a new scene begins with it; reads ``NEIGHBOURS`` frames ahead.

    Args:
        frames: the frames in order.
        distances: of each frame from the one before, in frames; more than 1 after missing frames.
    """
    thumbnails: dict[int, Thumbnail] = {}
    changes: dict[int, Change] = {}  # by the number of the later frame
    count = 0
    for count, (frame, distance) in enumerate(zip(frames, distances, strict=False), start=1):
        last = count - 1
        thumbnails[last] = _thumbnail(frame)
        if last > 0:
            changes[last] = Change(thumbnails[last - 1], thumbnails[last], distance)
        if last >= NEIGHBOURS:
            yield _is_cut(last - NEIGHBOURS, thumbnails, changes)
        thumbnails.pop(last - 2 * NEIGHBOURS, None)
        changes.pop(last - 2 * NEIGHBOURS, None)
    for number in range(max(0, count - NEIGHBOURS), count):
        yield _is_cut(number, thumbnails, changes)


def find_scenes(clip: Shaped[Tensor, "t c h w"]) -> list[range]:
    """The numbers of the frames of each scene of a clip: uint8, uint16, or floats in [0, 1]."""
    edges = [0, *find_cuts(clip), len(clip)]
    return [range(start, stop) for start, stop in pairwise(edges)]


def _thumbnail(frame: Shaped[Tensor, "c h w"]) -> Thumbnail:
    """The mean of the channels, small."""
    height, width = frame.shape[-2:]
    size = shrunk_size(height, width, THUMBNAIL_SIDE)
    return to_unit(resized(frame.detach().cpu(), size)).float().mean(dim=0)


def _correlation(before: Thumbnail, after: Thumbnail) -> float:
    """The largest correlation of two thumbnails over small shifts, in [0, 1]."""
    down, right = (min(MAX_SHIFT, size // 8) for size in after.shape)
    core = after[down : len(after) - down, right : after.shape[1] - right]
    shifted = functional.unfold(before[None, None], tuple(core.shape))[0].T  # (shifts, pixels)
    moved, fixed = shifted - shifted.mean(dim=1, keepdim=True), core.flatten() - core.mean()
    floor = FLAT * fixed.numel() ** 0.5
    norms = moved.norm(dim=1).clamp(min=floor) * fixed.norm().clamp(min=floor)
    return float((moved @ fixed / norms).max().clamp(0, 1))


def _stands_out(change: Change, neighbours: Iterable[Change]) -> bool:
    """Whether a change is large, and several times as large as the mean of those near it, each per frame."""
    if change.difference <= MIN_CHANGE:
        return False
    amounts = [(near.difference if change.flat else near.structural) / near.distance for near in neighbours]
    usual = sum(amounts) / len(amounts) if amounts else 0.0
    return change.structural > max(MIN_CHANGE, usual * max(RATIO, GAP_RATIO * change.distance))


def _is_cut(number: int, thumbnails: dict[int, Thumbnail], changes: dict[int, Change]) -> bool:
    """Whether the change to a frame stands out from those on both sides, and the picture before does not come back."""
    if number not in changes:
        return False
    change = changes[number]
    near = [changes[other] for other in range(number - NEIGHBOURS, number + NEIGHBOURS + 1) if other in changes]
    near.remove(change)
    return _stands_out(change, near) and not any(
        _resembles(thumbnails[before], thumbnails[after], change)
        for before in range(number - MAX_INTERRUPTION - 1, number)
        for after in range(number, number + MAX_INTERRUPTION + 1)
        if 1 < after - before <= MAX_INTERRUPTION + 1 and before in thumbnails and after in thumbnails
    )


def _resembles(before: Thumbnail, after: Thumbnail, change: Change) -> bool:
    found = Change(before, after)
    return found.structural < change.structural / RATIO and found.difference < change.difference / 2
