"""Video pages of a stream: the observed frame, its prediction, and the curve of a value over time."""

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
from framepred.visualization.rolling_curve import HISTORY, MAX_SIDE, Curve

ERROR_UNITS = 1000  # the curve shows thousandths, so that usual errors are numbers between 0 and 100


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
        draw.text((self._text_height, baseline), "mean squared error · 1000", TEXT, font, anchor="ls")
        draw.text((right, baseline), "" if error is None else f"{error:.1f}", TEXT, font, anchor="rs")
        box = self._text_height, self._curve_top, right, self._curve_top + self._curve_height
        self._curve.draw(draw, box, self._text_height)
