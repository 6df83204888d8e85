"""The curve of the last values of a stream, and what the pages of streams share."""

from collections import deque
from collections.abc import Iterator
from functools import cache
from itertools import groupby, pairwise
from typing import TypeAlias

from PIL import ImageDraw, ImageFont

from framepred.visualization.pictures import EMPTY, PREDICTED, TEXT, Colour

HISTORY = 200  # frames that the curve shows
MAX_SIDE = 640  # pixels: pictures of a stream are smaller than those of a file, because each is encoded in real time
MIN_SCALE = 10.0  # the vertical axis reaches at least up to this value, so that small values look small

Point: TypeAlias = tuple[float, float | None]
"""Horizontal position in pixels, and value; None is a gap."""


@cache
def font_of(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of this height in pixels; opening it takes a millisecond."""
    return ImageFont.load_default(height)


class Curve:
    """A curve of the last values, the newest at the right; zero and negative values lie at the bottom.

    Args:
        length: how many values are kept and shown.
        threshold: a horizontal line; the curve has another colour above it.
    """

    def __init__(self, length: int, threshold: float | None = None) -> None:
        self._values: deque[float | None] = deque(maxlen=length)
        self._length = length
        self._threshold = threshold

    def add(self, value: float | None) -> None:
        """Append a value; None leaves a gap."""
        self._values.append(value)

    def draw(self, draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], text_height: int) -> None:
        """Draw the curve into a box (left, top, right, bottom) in pixels, with the largest value of its axis."""
        left, top, right, bottom = box
        scale = self._scale()
        draw.rectangle(box, outline=EMPTY)
        corner = left + text_height // 2, top + text_height // 4
        draw.text(corner, f"{scale:.3g}", TEXT, font_of(text_height))
        if self._threshold is not None:
            level = bottom - (bottom - top) * self._threshold / scale
            draw.line((left, level, right, level), fill=PREDICTED)
        for colour, values in self._runs(left, right):
            line = [(x, bottom - (bottom - top) * max(0.0, value or 0.0) / scale) for x, value in values]
            draw.line(line, colour, max(1, text_height // 9))

    def _runs(self, left: int, right: int) -> Iterator[tuple[Colour, list[Point]]]:
        """Consecutive points that lines of one colour join; a gap ends a run."""
        for colour, group in groupby(pairwise(self._points(left, right)), self._colour):
            if colour is not None:
                lines = list(group)
                yield colour, [lines[0][0], *(end for _, end in lines)]

    def _points(self, left: int, right: int) -> list[Point]:
        """Horizontal position in pixels and value of each point."""
        first = self._length - len(self._values)
        step = (right - left) / max(1, self._length - 1)
        return [(left + step * index, value) for index, value in enumerate(self._values, start=first)]

    def _scale(self) -> float:
        known = [value for value in self._values if value is not None]
        return 1.1 * max(MIN_SCALE, self._threshold or 0, *known)

    def _colour(self, line: tuple[Point, Point]) -> Colour | None:
        """The colour of the line between two points; None at a gap."""
        (_, start), (_, end) = line
        if start is None or end is None:
            return None
        return PREDICTED if self._threshold is not None and max(start, end) > self._threshold else TEXT
