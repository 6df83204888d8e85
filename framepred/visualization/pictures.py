"""Frames as pictures of a size that people can watch, and the colours that all pages share."""

import math
from typing import Any

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from framepred.errors import ClipError
from framepred.media.pictures import as_picture, bytes_of_picture, resized_picture

Colour = tuple[int, int, int]

BACKGROUND: Colour = (20, 22, 27)
TEXT: Colour = (226, 229, 235)
OBSERVED: Colour = (128, 136, 150)
PREDICTED: Colour = (255, 140, 50)
EMPTY: Colour = (54, 58, 67)

MIN_HEIGHT = 256  # pixels: smaller frames are enlarged by a whole factor until they are as high
MAX_SIDE = 960  # pixels: larger pictures cost seconds a frame to encode and do not fit side by side on a screen


def picture_size(height: int, width: int, max_side: int = MAX_SIDE) -> tuple[int, int]:
    """Width and height in which a frame is shown, in pixels.

    Small frames are enlarged by a whole factor up to ``MIN_HEIGHT``; large ones are reduced to ``max_side``.

    Example:
        >>> picture_size(64, 64), picture_size(2160, 3840)
        ((256, 256), (960, 540))
    """
    longer = max(height, width)
    factor = max(1, min(math.ceil(MIN_HEIGHT / height), max_side // longer))
    scale = factor * min(1, max_side / longer)
    return max(1, round(width * scale)), max(1, round(height * scale))


def check_channels(frame: Shaped[Any, "c _h _w"]) -> None:
    """Refuse frames that are neither gray nor RGB.

    Raises:
        ClipError: if they are not.
    """
    if len(frame) not in (1, 3):
        raise ClipError(f"Pictures have 1 or 3 channels but the frames have {len(frame)}; write an array instead.")


def to_picture(frame: Shaped[Any, "c _h _w"], size: tuple[int, int], smooth: bool = False) -> Image.Image:
    """An RGB image of a frame with 1 or 3 channels: uint8, uint16, or floats in [0, 1].

    Args:
        frame: the pixels, a tensor or an array.
        size: width and height of the image. Reduced frames are averaged over areas.
        smooth: whether enlarged frames are interpolated; otherwise pixels are repeated.

    Raises:
        ClipError: if values are not finite, or the frame is neither gray nor RGB.
    """
    check_channels(frame)
    pixels = bytes_of_picture(as_picture(frame))
    if pixels.shape[1] > size[1] and pixels.shape[2] > size[0]:
        pixels = resized_picture(pixels, (size[1], size[0]))
    image = Image.fromarray(np.ascontiguousarray(np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0)))
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST)
