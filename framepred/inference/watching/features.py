"""Features of a frame in which unusual events show: maps over a grid of cells, and global values."""

import copy
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any, cast

import numpy as np
from jaxtyping import Shaped
from numpy.typing import NDArray

from framepred.media.opencv import cv2
from framepred.media.pictures import Picture, gray_picture, resized_picture, unit_picture

MAX_SIDE = 128
"""Longer side, in pixels, of the frames that features are computed from, unless another is given: the rest is mostly
noise and costs time."""

CELL = 8
"""Side of a cell, in pixels of the reduced frame."""

RECENT_SECONDS = 1.0
"""Seconds of the past that sudden changes are compared with."""

FLOOR = 1e-4
"""Smallest error that logarithms see, in units of the range: below a tenth of a level of 8-bit video."""

Mask = NDArray[np.bool_]  # (h, w) in pixels of the reduced frame

Map = NDArray[np.float32]  # (h, w) in pixels of the reduced frame, or (rows, columns) in cells

MIN_SIDE = 32
"""Shorter side, in pixels, of the reduced frame, at least: OpenCV's DIS flow crashes on smaller, elongated frames."""

NEW_SCENE_FRAMES = 3
"""Frames of the recent past that a sudden change is compared with, at least."""

FAST_QUANTILE = 0.98
"""Quantile of the speeds of all pixels that stands for the fastest thing in the picture."""

LEAST_SPEED, LEAST_GRADIENT, LEAST_LEVEL = 0.02, 1e-3, 0.01
"""Added before a logarithm: pixels a frame, gradient and brightness that mean nothing."""

NEUTRAL = 0.5
"""Value that a pixel which is not measured gets in both frames that are compared: it shows no motion."""

LEAST_SHARE = 0.25
"""Share of its pixels from which a cell is measured."""

MAPS = ("error", "flow error", "brightness", "texture", "speed", "colour", "rms error")
"""Maps over cells, in this order."""

MAP_FLOORS = (0.15, 0.15, 0.01, 0.08, 0.2, 0.01, 0.15)
"""Smallest spread of each map that counts, in its unit: smaller ones are rounding."""

GLOBALS = (
    "error", "flow error", "sudden error", "sudden flow error", "repeated", "brightness", "brightness change",
    "contrast", "sharpness", "shift", "speed", "fast share",
)  # fmt: skip
"""Global values, in this order."""

GLOBAL_FLOORS = (0.05, 0.05, 0.05, 0.05, 0.01, 0.004, 0.005, 0.01, 0.02, 0.05, 0.05, 0.05)
"""Smallest change of each of the ``GLOBALS`` that counts: 0.05 in a logarithm is a change by 5 %; 0.004 of the range is
one level of 8-bit video."""


@dataclass(frozen=True)
class ReducedFrame:
    """A frame at the size that features are computed at.

    Attributes:
        gray: its brightness in [0, 1], ``(h, w)``.
        colour: difference between the largest and the smallest channel, in [0, 1]; 0 where there is one channel.
        missing: which pixels are not measured, ``(h, w)``, where both have a filler; None for none.
    """

    gray: Map
    colour: Map
    missing: Mask | None = None


@dataclass(frozen=True)
class Observation:
    """What is measured at a frame.

    Attributes:
        maps: one value per map and cell, ``(len(MAPS), rows, columns)``; NaN where a cell is not measured.
        values: one per name in ``GLOBALS``.
    """

    maps: NDArray[np.float32]
    values: NDArray[np.float32]


class FeatureExtractor:
    """Measures the features of the frames of a stream, one after the other, in constant memory.

    Args:
        fps: frames per second.
    """

    def __init__(self, fps: float) -> None:
        self._recent_length = max(NEW_SCENE_FRAMES, round(RECENT_SECONDS * fps))
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.reset()

    def reset(self) -> None:
        """Start anew: the next frame does not follow from the last one."""
        self._last: Map | None = None
        self._last_flow: NDArray[np.float32] | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=self._recent_length)
        self._missing: deque[Mask | None] = deque(maxlen=3)  # the motion between two frames goes on to a third

    def copy(self) -> "FeatureExtractor":
        """The same extractor, which goes on on its own."""
        copied = copy.copy(self)
        copied._recent, copied._missing = self._recent.copy(), self._missing.copy()
        return copied

    def observe(self, frame: ReducedFrame, expected: Map | None = None) -> Observation | None:
        """Measure the next frame; all frames have one size.

        Only pixels that are measured in this frame and in the two before it count.

        Args:
            frame: the reduced frame.
            expected: its forecast in gray, in the same size; None for the last frame.

        Returns:
            None for the first two frames, at which no change of the motion is known, and where no pixel counts.
        """
        gray = frame.gray
        self._missing.append(frame.missing)
        known = _known(self._missing)
        before, self._last = self._last, gray
        if before is None:
            return None
        if known is not None:
            gray, before = (np.where(known, picture, np.float32(NEUTRAL)) for picture in (gray, before))
        flow = np.asarray(self._flow.calc(_levels(before), _levels(gray), cast(Any, None)), dtype=np.float32)
        former, self._last_flow = self._last_flow, flow
        if former is None or (known is not None and not known.any()):
            return None
        error = np.abs(gray - (before if expected is None else expected))
        flow_error = np.abs(gray - _moved(before, former))  # as if the motion went on
        gradient = np.abs(cv2.Sobel(gray, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(gray, cv2.CV_32F, 0, 1))
        speed = np.hypot(flow[..., 0], flow[..., 1])
        maps = [
            np.log(cells(error, known) + FLOOR),
            np.log(cells(flow_error, known) + FLOOR),
            cells(gray, known),
            np.log(cells(gradient, known) + LEAST_GRADIENT),
            np.log(cells(speed, known) + LEAST_SPEED),
            cells(frame.colour, known),
            np.log(np.sqrt(cells(error**2, known)) + FLOOR),
        ]
        shift = _shift(before, gray)
        if known is not None:
            error, flow_error, gray, before, gradient, speed = (
                values[known] for values in (error, flow_error, gray, before, gradient, speed)
            )
        values = [
            *self._errors(error, flow_error),
            float((gray == before).mean()),
            *_light(gray, before),
            _log(gradient.mean(), FLOOR),
            _log(shift, LEAST_SPEED),
            _log(speed.mean(), LEAST_SPEED),
            _log(np.quantile(speed, FAST_QUANTILE), LEAST_SPEED),
        ]
        return Observation(np.stack(maps).astype(np.float32), np.array(values, dtype=np.float32))

    def _errors(self, error: Map, flow_error: Map) -> tuple[float, float, float, float]:
        """Both errors, and how much larger they are than those of the last second."""
        errors = _log(error.mean(), FLOOR), _log(flow_error.mean(), FLOOR)
        known = len(self._recent) >= NEW_SCENE_FRAMES
        usual = np.median(self._recent, axis=0) if known else np.array(errors)
        self._recent.append(errors)
        return *errors, errors[0] - float(usual[0]), errors[1] - float(usual[1])


def _known(missing: Iterable[Mask | None]) -> Mask | None:
    """Which pixels are missing in none of the frames, nor beside a pixel that is; None where all are measured."""
    gaps = [mask for mask in missing if mask is not None]
    if not gaps:
        return None
    wide = cv2.dilate(np.any(gaps, axis=0).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(wide == 0)


def _light(gray: Map, before: Map) -> tuple[float, float, float]:
    """Mean brightness, its change, and contrast."""
    level, former = float(gray.mean()), float(before.mean())
    return level, _log(level, LEAST_LEVEL) - _log(former, LEAST_LEVEL), _log(gray.std(), LEAST_LEVEL)


def _log(value: float | np.floating[Any], floor: float) -> float:
    return math.log(float(value) + floor)


def _shift(before: Map, gray: Map) -> float:
    """By how many pixels the whole picture moved (phase correlation, Kuglin and Hines 1975)."""
    (right, down), _ = cv2.phaseCorrelate(before.copy(), gray.copy(), _window(gray.shape))  # writes into its inputs
    return math.hypot(right, down)


SAME_PROPORTIONS = 0.05
"""Logarithm of the ratio of two proportions below which they count as equal: sizes are rounded to pixels."""


def reduced_size(height: int, width: int, max_side: int = MAX_SIDE) -> tuple[int, int]:
    """Height and width of the reduced frame in pixels: at least ``MIN_SIDE``, else at most ``max_side``."""
    ratio = min(1.0, max_side / max(height, width))
    return max(MIN_SIDE, round(height * ratio)), max(MIN_SIDE, round(width * ratio))


def keeps_proportions(size: tuple[int, int], height: int, width: int) -> bool:
    """Whether frames that are reduced to a size keep their proportions, but for a twentieth.

    Example:
        >>> keeps_proportions((96, 128), 480, 640), keeps_proportions((96, 128), 720, 1280)
        (True, False)
    """
    own_height, own_width = reduced_size(height, width, max(size))
    return abs(math.log(size[0] / size[1] * own_width / own_height)) < SAME_PROPORTIONS


def reduced(
    picture: Picture, size: tuple[int, int], missing: Shaped[np.ndarray, "c h w"] | None = None
) -> ReducedFrame:
    """A frame of any type and size in gray and colour, averaged over areas.

    Args:
        picture: uint8, uint16, or floats in [0, 1]; of other numbers of channels than 3, the mean is its gray.
        size: height and width that the result has.
        missing: which pixels are not measured; None for none.
    """
    gaps = None if missing is None else np.asarray(reduced_mask(missing, size).any(axis=0))
    small = unit_picture(resized_picture(picture, size))
    colour = np.asarray(reduce(np.maximum, small) - reduce(np.minimum, small))  # by channels: far quicker than max()
    return ReducedFrame(np.asarray(gray_picture(small)[0] if len(small) == 3 else small.mean(axis=0)), colour, gaps)


def reduced_mask(missing: Shaped[np.ndarray, "c h w"], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels of the reduced frame ``(c, h, w)`` are missing in part."""
    return np.asarray(resized_picture(missing.astype(np.float32), size) > 0)


def cells(values: Map, known: Mask | None = None) -> Map:
    """The mean of each cell of a map over pixels.

    Args:
        values: the map.
        known: the pixels that count; a cell with less than ``LEAST_SHARE`` of them is NaN. None for all.
    """
    height, width = values.shape
    size = max(1, round(width / CELL)), max(1, round(height / CELL))
    if known is None:
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))
    share = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(np.where(known, values, np.float32(0)), size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.where(share < LEAST_SHARE, np.nan, sums / np.maximum(share, LEAST_SHARE)), np.float32)


def _levels(gray: Map) -> NDArray[np.uint8]:
    return (gray * 255).astype(np.uint8)


def _moved(frame: Map, flow: Map) -> Map:
    """A frame moved by a flow ``(h, w, 2)`` in pixels."""
    columns, rows = _positions(frame.shape)
    moved = cv2.remap(
        frame, columns - flow[..., 0], rows - flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved)


@cache
def _positions(shape: tuple[int, ...]) -> tuple[Map, Map]:
    columns, rows = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in reversed(shape)))
    return columns, rows


@cache
def _window(shape: tuple[int, ...]) -> Map:
    return np.asarray(cv2.createHanningWindow((shape[1], shape[0]), cv2.CV_32F))
