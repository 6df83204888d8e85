"""Video pages of a stream: observed frame, forecast, and a curve of a value over time."""

import math
from collections import deque
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from framepred.media.frames import to_8_bits
from framepred.visualization.side_by_side import AHEAD, BACKGROUND, PREDICTED, SEEN, TEXT, WATCHABLE

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


SHOWN = 200  # frames that the curve reaches back
WIDEST = 640  # pixels: pictures become no wider than this


class StreamPage:
    """Pages of one size, whatever the frames to come are.

    Args:
        height: of the first frame, in pixels; pictures are enlarged by a whole factor, or shrunk, to be watchable.
        width: of the first frame.
        lead: how many frames before, the predictions were made.
        alarm: a line in the curve; above it the frame seen has another border. None where there is no alarm.
    """

    def __init__(self, height: int, width: int, lead: int, alarm: float | None = None) -> None:
        self._size_seen = width, height
        self._picture = _watchable(height, width)
        self._letters = max(16, self._picture[1] // 16)
        self._border = max(3, self._letters // 6)
        self._cell = max(self._picture[0] + 2 * self._border, 13 * self._letters)
        self._pictures_at = 3 * self._letters
        self._curve_at = self._pictures_at + self._picture[1] + 2 * self._border + 2 * self._letters
        self._curve_height = max(4 * self._letters, self._picture[1] // 3)
        self._lead = lead
        self._alarm = alarm
        self._curve = Curve(SHOWN, alarm)

    def drawn(
        self,
        seen: Shaped[Tensor, "c h w"],
        predicted: Shaped[Tensor, "c h_small w_small"] | None,
        surprise: float | None,
        time: float,
    ) -> UInt8[Tensor, "3 H W"]:
        """The page of the next frame.

        Args:
            seen: the frame, gray or RGB: uint8, uint16, or floats in [0, 1].
            predicted: what was predicted of it, of any size; None where nothing was.
            surprise: its surprise; None where nobody can say.
            time: seconds.
        """
        self._curve.add(surprise)
        page = Image.new("RGB", self._size, BACKGROUND)
        draw = ImageDraw.Draw(page)
        alarming = self._alarm is not None and surprise is not None and surprise > self._alarm
        self._put(page, draw, 0, seen, PREDICTED if alarming else SEEN, ("seen", f"{time:.2f} s"))
        self._put(
            page, draw, 1, predicted, PREDICTED, ("predicted", f"{self._lead} frame{'s' * (self._lead != 1)} before")
        )
        self._draw_curve(draw, surprise)
        return torch.from_numpy(np.array(page)).permute(2, 0, 1)

    @property
    def _size(self) -> tuple[int, int]:
        return 2 * self._cell + 3 * self._letters, self._curve_at + self._curve_height + self._letters

    def _put(
        self,
        page: Image.Image,
        draw: ImageDraw.ImageDraw,
        place: int,
        frame: Shaped[Tensor, "c h w"] | None,
        colour: tuple[int, int, int],
        captions: tuple[str, str],
    ) -> None:
        font = ImageFont.load_default(self._letters)
        left = self._letters + place * (self._cell + self._letters)
        draw.text((left, 2 * self._letters), captions[0], TEXT, font, anchor="ls")
        draw.text((left + self._cell, 2 * self._letters), captions[1], SEEN, font, anchor="rs")
        width, height = self._picture
        left += (self._cell - width) // 2
        outer = left - self._border, self._pictures_at, left + width + self._border - 1
        draw.rectangle((*outer, self._pictures_at + height + 2 * self._border - 1), fill=colour)
        picture = Image.new("RGB", self._picture, AHEAD) if frame is None else self._fitted(frame)
        page.paste(picture, (left, self._pictures_at + self._border))

    def _fitted(self, frame: Shaped[Tensor, "c h w"]) -> Image.Image:
        """Pixels stay pixels in frames as they came, enlarged; what was scaled on the way is smooth."""
        image = Image.fromarray(to_8_bits(frame).expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())
        exact = image.size == self._size_seen and image.width <= self._picture[0]
        return image.resize(self._picture, Image.Resampling.NEAREST if exact else Image.Resampling.BILINEAR)

    def _draw_curve(self, draw: ImageDraw.ImageDraw, surprise: float | None) -> None:
        font = ImageFont.load_default(self._letters)
        line, right = self._curve_at - self._letters // 2, self._size[0] - self._letters
        draw.text((self._letters, line), "surprise", TEXT, font, anchor="ls")
        draw.text((right, line), "" if surprise is None else f"{surprise:.1f}", TEXT, font, anchor="rs")
        box = self._letters, self._curve_at, right, self._curve_at + self._curve_height
        self._curve.draw(draw, box, self._letters)


def _watchable(height: int, width: int) -> tuple[int, int]:
    """Width and height of a picture."""
    factor = max(1, min(math.ceil(WATCHABLE / height), WIDEST // width)) * min(1, WIDEST / max(height, width))
    return max(1, round(width * factor)), max(1, round(height * factor))
