"""The curve of the last values of a stream, and what the pages of streams share."""

from collections import deque
from itertools import pairwise

from PIL import ImageDraw, ImageFont

from framepred.visualization.pictures import EMPTY, PREDICTED, TEXT, Colour

HISTORY = 200  # frames that the curve shows
MAX_SIDE = 640  # pixels: pictures of a stream are smaller than those of a file, because each is encoded in real time
MIN_SCALE = 10.0  # the vertical axis reaches at least up to this value, so that small values look small


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
        draw.text(corner, f"{scale:.3g}", TEXT, ImageFont.load_default(text_height))
        if self._threshold is not None:
            level = bottom - (bottom - top) * self._threshold / scale
            draw.line((left, level, right, level), fill=PREDICTED)
        for (x, value), (next_x, next_value) in pairwise(self._points(left, right)):
            if value is not None and next_value is not None:
                y, next_y = (bottom - (bottom - top) * max(0.0, height) / scale for height in (value, next_value))
                colour = self._colour(max(value, next_value))
                draw.line((x, y, next_x, next_y), colour, max(1, text_height // 9))

    def _points(self, left: int, right: int) -> list[tuple[float, float | None]]:
        """Horizontal position in pixels and value of each point."""
        first = self._length - len(self._values)
        step = (right - left) / max(1, self._length - 1)
        return [(left + step * index, value) for index, value in enumerate(self._values, start=first)]

    def _scale(self) -> float:
        known = [value for value in self._values if value is not None]
        return 1.1 * max(MIN_SCALE, self._threshold or 0, *known)

    def _colour(self, value: float) -> Colour:
        return PREDICTED if self._threshold is not None and value > self._threshold else TEXT
