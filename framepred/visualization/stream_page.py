"""Video pages of a stream: the observed frame, its prediction, and the curve of a value over time."""

from collections import deque
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from framepred.visualization.pictures import (
    BACKGROUND,
    EMPTY,
    OBSERVED,
    PREDICTED,
    TEXT,
    Colour,
    picture_size,
    to_picture,
)

MIN_SCALE = 10.0  # the vertical axis reaches at least up to this value, so that small values look small
ERROR_UNITS = 1000  # the curve shows thousandths, so that usual errors are numbers between 0 and 100
HISTORY = 200  # frames that the curve shows
MAX_SIDE = 640  # pixels: pictures of a stream are smaller than those of a file, because each is encoded in real time


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


class StreamPage:
    """Pages of one size, whatever the sizes of later frames are.

    Args:
        height: of the first frame, in pixels.
        width: of the first frame.
        lead: how many frames ahead the predictions were made.
    """

    def __init__(self, height: int, width: int, lead: int) -> None:
        self._frame_size = width, height
        self._picture = picture_size(height, width, MAX_SIDE)
        self._text_height = max(16, self._picture[1] // 16)
        self._border = max(3, self._text_height // 6)
        self._column = max(self._picture[0] + 2 * self._border, 13 * self._text_height)
        self._pictures_top = 3 * self._text_height
        self._curve_top = self._pictures_top + self._picture[1] + 2 * self._border + 2 * self._text_height
        self._curve_height = max(4 * self._text_height, self._picture[1] // 3)
        self._lead = lead
        self._curve = Curve(HISTORY)

    def drawn(
        self,
        observed: Shaped[Tensor, "c h w"],
        predicted: Shaped[Tensor, "c h_small w_small"] | None,
        error: float | None,
        time: float,
    ) -> UInt8[Tensor, "3 H W"]:
        """Draw the page of the next frame.

        Args:
            observed: the frame, gray or RGB: uint8, uint16, or floats in [0, 1].
            predicted: its prediction, of any size; None where there is none.
            error: mean squared error of a pixel; None where it is unknown.
            time: seconds since the start.
        """
        shown = None if error is None else ERROR_UNITS * error
        self._curve.add(shown)
        page = Image.new("RGB", self._size, BACKGROUND)
        draw = ImageDraw.Draw(page)
        lead = f"{self._lead} frame{'s' * (self._lead != 1)} ahead"
        self._put(page, draw, 0, observed, OBSERVED, ("observed", f"{time:.2f} s"))
        self._put(page, draw, 1, predicted, PREDICTED, ("predicted", lead))
        self._draw_curve(draw, shown)
        return torch.from_numpy(np.array(page)).permute(2, 0, 1)

    @property
    def _size(self) -> tuple[int, int]:
        return 2 * self._column + 3 * self._text_height, self._curve_top + self._curve_height + self._text_height

    def _put(
        self,
        page: Image.Image,
        draw: ImageDraw.ImageDraw,
        column: int,
        frame: Shaped[Tensor, "c h w"] | None,
        colour: Colour,
        captions: tuple[str, str],
    ) -> None:
        """Draw one picture with its border and captions."""
        font = ImageFont.load_default(self._text_height)
        left = self._text_height + column * (self._column + self._text_height)
        draw.text((left, 2 * self._text_height), captions[0], TEXT, font, anchor="ls")
        draw.text((left + self._column, 2 * self._text_height), captions[1], OBSERVED, font, anchor="rs")
        width, height = self._picture
        left += (self._column - width) // 2
        outer = left - self._border, self._pictures_top, left + width + self._border - 1
        draw.rectangle((*outer, self._pictures_top + height + 2 * self._border - 1), fill=colour)
        picture = Image.new("RGB", self._picture, EMPTY) if frame is None else self._fitted(frame)
        page.paste(picture, (left, self._pictures_top + self._border))

    def _fitted(self, frame: Shaped[Tensor, "c h w"]) -> Image.Image:
        """Pixels are repeated in frames of the original size; frames that were scaled for the network are smoothed."""
        original = (frame.shape[2], frame.shape[1]) == self._frame_size
        return to_picture(frame, self._picture, smooth=not original)

    def _draw_curve(self, draw: ImageDraw.ImageDraw, error: float | None) -> None:
        font = ImageFont.load_default(self._text_height)
        baseline, right = self._curve_top - self._text_height // 2, self._size[0] - self._text_height
        draw.text((self._text_height, baseline), "mean squared error × 1000", TEXT, font, anchor="ls")
        draw.text((right, baseline), "" if error is None else f"{error:.1f}", TEXT, font, anchor="rs")
        box = self._text_height, self._curve_top, right, self._curve_top + self._curve_height
        self._curve.draw(draw, box, self._text_height)
