"""Heat maps over a frame, and video pages of a watch: the frame with its heat map above the curve of the score."""

from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from framepred.media.opencv import cv2
from framepred.visualization.colour_map import coloured
from framepred.visualization.pictures import BACKGROUND, PREDICTED, TEXT, picture_size, to_picture
from framepred.visualization.rolling_curve import HISTORY, MAX_SIDE, Curve, font_of

COOL, HOTTEST = 3.0, 12.0
"""Spreads from what is usual at which a cell begins to show, and at which its colour is full."""

OPACITY = 0.75
"""Share of the heat's colour in the hottest cells."""


def heat_picture(
    frame: Shaped[Any, "c h w"], heat: NDArray[np.float32], size: tuple[int, int] | None = None
) -> Image.Image:
    """A frame with its heat map laid over it.

    Args:
        frame: gray or RGB: uint8, uint16, or floats in [0, 1].
        heat: spreads from what is usual, ``(rows, columns)``; an empty one leaves the frame as it is.
        size: width and height of the picture; None for a size that fits a screen.
    """
    height, width = frame.shape[-2:]
    size = size or picture_size(height, width, MAX_SIDE)
    picture = to_picture(frame, size)
    if heat.size == 0:
        return picture
    level = ((heat - COOL) / (HOTTEST - COOL)).clip(0, 1).astype(np.float32)
    if not level.any():
        return picture
    over = cv2.resize(coloured(level), size, interpolation=cv2.INTER_LINEAR)
    share = cv2.resize(OPACITY * np.sqrt(level), size, interpolation=cv2.INTER_LINEAR)
    return Image.fromarray(cv2.blendLinear(over, np.asarray(picture), share, 1 - share))


class WatchPage:
    """Pages of one size, whatever the sizes of later frames are.

    Args:
        height: of the first frame, in pixels.
        width: of the first frame.
        threshold: the score above which an alarm is raised.
    """

    def __init__(self, height: int, width: int, threshold: float) -> None:
        self._picture = picture_size(height, width, MAX_SIDE)
        self._text_height = max(16, self._picture[1] // 16)
        self._curve_height = max(4 * self._text_height, self._picture[1] // 3)
        self._curve = Curve(HISTORY, threshold)

    def drawn(
        self, frame: Shaped[Any, "c h w"], heat: NDArray[np.float32], score: float, time: float, active: bool
    ) -> UInt8[np.ndarray, "3 H W"]:
        """Draw the page of the next frame.

        Args:
            frame: the frame, gray or RGB.
            heat: spreads from what is usual, ``(rows, columns)``.
            score: of the frame.
            time: seconds from the first frame.
            active: whether an event goes on, which gives the picture a border.
        """
        self._curve.add(score)
        text = self._text_height
        width, height = self._picture
        page = Image.new("RGB", (width + 2 * text, height + self._curve_height + 4 * text), BACKGROUND)
        draw = ImageDraw.Draw(page)
        if active:
            draw.rectangle((text - 3, 2 * text - 3, text + width + 2, 2 * text + height + 2), fill=PREDICTED)
        page.paste(heat_picture(frame, heat, self._picture), (text, 2 * text))
        font = font_of(text)
        draw.text((text, text // 2), f"{time:.2f} s", TEXT, font)
        draw.text((text + width, text // 2), f"score {score:.1f}", PREDICTED if active else TEXT, font, anchor="ra")
        top = height + 3 * text
        self._curve.draw(draw, (text, top, text + width, top + self._curve_height), text)
        return np.array(page).transpose(2, 0, 1)
