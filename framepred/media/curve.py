"""A number that goes on, as a curve of its last values."""

from collections import deque
from itertools import pairwise

from PIL import ImageDraw, ImageFont

INK = (226, 229, 235)
FRAME = (54, 58, 67)
PAST_IT = (255, 140, 50)
LEAST_TOP = 10.0  # the scale reaches at least so far up, so that small numbers look small


class Curve:
    """The last values, the newest at the right; zero is at the bottom, what is below it too.

    Args:
        length: how many values are shown, and kept.
        threshold: a line at this value; the curve has another colour above it.
    """

    def __init__(self, length: int, threshold: float | None = None) -> None:
        self._values: deque[float | None] = deque(maxlen=length)
        self._length = length
        self._threshold = threshold

    def add(self, value: float | None) -> None:
        """Append a value; None leaves a gap."""
        self._values.append(value)

    def draw(self, draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], letters: int) -> None:
        """Draw it into a box (left, top, right, bottom) in pixels, its scale in letters of this height."""
        left, top, right, bottom = box
        scale = self._top()
        draw.rectangle(box, outline=FRAME)
        draw.text((left + letters // 2, top + letters // 4), f"{scale:.3g}", INK, ImageFont.load_default(letters))
        if self._threshold is not None:
            level = bottom - (bottom - top) * self._threshold / scale
            draw.line((left, level, right, level), fill=PAST_IT)
        first = self._length - len(self._values)
        places = [
            None
            if value is None
            else (
                left + (right - left) * (first + count) / max(1, self._length - 1),
                bottom - (bottom - top) * max(0.0, value) / scale,
                value,
            )
            for count, value in enumerate(self._values)
        ]
        for before, after in pairwise(places):
            if before and after:
                draw.line((*before[:2], *after[:2]), self._colour(max(before[2], after[2])), max(1, letters // 9))

    def _top(self) -> float:
        known = [value for value in self._values if value is not None]
        return 1.1 * max(LEAST_TOP, self._threshold or 0, *known)

    def _colour(self, value: float) -> tuple[int, int, int]:
        return PAST_IT if self._threshold is not None and value > self._threshold else INK
