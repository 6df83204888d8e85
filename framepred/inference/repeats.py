"""Repeated frames of a clip, as frame-rate conversion and animation "on twos" insert them, and their period.

A repeated frame shows no motion although the scene moves, so it spoils motion that is measured on it. A conversion
repeats frames at a fixed period (24 to 25 frames per second: every 25th; 24 to 30: every fifth), which tells which of
the coming frames repeat.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby, pairwise
from statistics import median
from typing import NamedTuple

from jaxtyping import Float, Shaped
from torch import Tensor

from framepred.clips import to_unit
from framepred.inference.reading_ahead import PAST
from framepred.inference.sources import shrink_raw

COMPARED_SIDE = 176
"""Longer side, in pixels, at which frames are compared."""

MOTION = 0.0005
"""Mean change, as a share of the value range (1/8 of an 8-bit level), below which nothing moves."""

REPEATED = 0.2
"""Share of the usual change below which a frame repeats the one before: coding noise changes repeats by up to 14 % of a
slow motion; the changes between distinct frames of an unsteady camera are above 30 %."""

NEIGHBOURS = 5
"""Changes with motion, on each side, whose median is the usual change."""

MIN_REPEATS = 3
"""Repeats from which a period is inferred: two may be at any distance by chance."""


class Cadence(NamedTuple):
    """Which frames of a past are distinct, and which of the coming frames will be.

    Attributes:
        distinct: for each frame of the past, whether it differs from the one before.
        period: frames after which the pattern of repeats recurs; None where none is known, so none is expected.
    """

    distinct: list[bool]
    period: int | None

    @property
    def kept(self) -> list[bool]:
        """For each frame of the past, whether the next one differs from it: one of each run of equal frames."""
        return [*self.distinct[1:], True]

    def steps(self, frames: int) -> list[int]:
        """For each coming frame, how many distinct frames it is ahead of the last observed one.

        Example:
            >>> Cadence([True, False, True, False, True, False], period=2).steps(4)
            [1, 1, 2, 2]
        """
        if self.period is None:
            return list(range(1, frames + 1))
        pattern = self.distinct[-self.period :]
        return list(accumulate(int(pattern[number % self.period]) for number in range(frames)))


def find_cadence(scene: Shaped[Tensor, "t c h w"]) -> Cadence:
    """Find the repeated frames of one scene, and their period.

    A frame is a repeat if it hardly differs from the one before while the scene moves before and after it. At the start
    and the end of the scene, frames without change are repeats if they are no more in a row than elsewhere in it;
    otherwise the motion has stopped.

    Args:
        scene: frames without a scene cut: uint8, uint16, or floats in [0, 1].

    Example:
        >>> import torch
        >>> on_twos = torch.arange(8).repeat_interleave(2).view(16, 1, 1, 1) / 10
        >>> cadence = find_cadence(on_twos)
        >>> cadence.period, cadence.distinct[:4], cadence.steps(3)
        (2, [True, False, True, False], [1, 1, 2])
    """
    return _cadence([_change(before, after) for before, after in pairwise(map(_thumbnail, scene))])


class RepeatDetector:
    """Finds repeated frames while frames come, from the last ``PAST`` frames alone.

    It judges the last frame as :func:`find_cadence` does: the first repeats of a stream may as well be a stop, so they
    are found when the motion has gone on, and their like from then on.

    Example:
        >>> import torch
        >>> detector = RepeatDetector()
        >>> on_twos = torch.arange(6).repeat_interleave(2).view(12, 1, 1, 1) / 10
        >>> [detector.is_repeat(frame) for frame in on_twos]
        [False, False, False, False, False, True, False, True, False, True, False, True]
    """

    def __init__(self) -> None:
        self._changes: deque[float] = deque(maxlen=PAST)
        self.reset()

    def reset(self) -> None:
        """Forget all frames: the next frame does not follow from the last one."""
        self._changes.clear()
        self._last: Float[Tensor, "h_small w_small"] | None = None

    def is_repeat(self, frame: Shaped[Tensor, "c h w"]) -> bool:
        """Return whether a frame repeats the one before: uint8, uint16, or floats in [0, 1]; keeps it for the next."""
        thumbnail = _thumbnail(frame)
        if self._last is not None:
            self._changes.append(_change(self._last, thumbnail))
        self._last = thumbnail
        return not self.cadence.distinct[-1]

    @property
    def cadence(self) -> Cadence:
        """Which of the last frames are distinct, and which of the coming frames will be."""
        return _cadence(list(self._changes))


def _thumbnail(frame: Shaped[Tensor, "c h w"]) -> Float[Tensor, "h_small w_small"]:
    """The mean of the channels, small."""
    return to_unit(shrink_raw(frame.detach().cpu(), COMPARED_SIDE)).mean(dim=0)


def _change(before: Float[Tensor, "h w"], after: Float[Tensor, "h w"]) -> float:
    return float((after - before).abs().mean())


def _cadence(changes: Sequence[float]) -> Cadence:
    """The cadence of frames between which the picture changes so much."""
    repeats = _without_stops([is_repeat(number, changes) for number in range(len(changes))])
    return Cadence([True, *(not repeat for repeat in repeats)], _period(repeats[-PAST:]))


def is_repeat(number: int, changes: Sequence[float]) -> bool:
    """Whether a change is a small share of the median change near it, among those that are motion."""
    before = _nearest_motion(changes[:number][::-1])
    after = _nearest_motion(changes[number + 1 :])
    return bool(before or after) and changes[number] < REPEATED * median([*before, *after])


def _nearest_motion(changes: Iterable[float]) -> list[float]:
    return [change for change in changes if change >= MOTION][:NEIGHBOURS]


def _without_stops(repeats: list[bool]) -> list[bool]:
    """The repeats without runs at both ends that are longer than every run in between."""
    runs = [(repeat, len(list(run))) for repeat, run in groupby(repeats)]
    longest = max((length for repeat, length in runs[1:-1] if repeat), default=0)
    return [repeat and length <= longest for repeat, length in runs for _ in range(length)]


def _period(repeats: Sequence[bool]) -> int | None:
    """The shortest period of the repeats, of which two are observed; None where there is none."""
    if sum(repeats) < MIN_REPEATS:
        return None
    periods = range(2, len(repeats) // 2 + 1)
    return next((period for period in periods if repeats[period:] == repeats[:-period]), None)
