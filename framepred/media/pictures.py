"""Single frames as NumPy arrays: gray, another size, other value ranges; PyTorch is not needed."""

from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from framepred.errors import ClipError
from framepred.media.opencv import cv2

Picture: TypeAlias = Shaped[np.ndarray, "c h w"]
"""A frame: uint8, uint16, or floats in [0, 1]."""

PACKED = (1, 3, 4)
"""Numbers of channels that OpenCV scales at once where the values of a pixel lie side by side."""

WHITE = {"uint8": 255, "uint16": 65535}
"""The integer that stands for 1.0."""


def as_picture(frame: Any) -> Picture:
    """A frame ``(c, h, w)`` as an array: a tensor on any device, or an array, which is returned as it is."""
    return np.asarray(frame.detach().cpu().numpy() if hasattr(frame, "detach") else frame)


def gray_picture(picture: Shaped[np.ndarray, "3 h w"]) -> Shaped[np.ndarray, "1 h w"]:
    """The luma of an RGB frame, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601): uint8, uint16 or float32."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY))[None]


def resized_picture(picture: Shaped[np.ndarray, "c _h _w"], size: tuple[int, int]) -> Picture:
    """A frame scaled to a height and width, uint8, uint16 or float32: averaged where it shrinks, else bilinear."""
    height, width = size
    shrinks = height <= picture.shape[1] and width <= picture.shape[2]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    stored = picture.transpose(1, 2, 0)
    if stored.flags.c_contiguous and len(picture) in PACKED:  # as decoders give it: no copy is needed
        small = np.asarray(cv2.resize(stored, (width, height), interpolation=how))
        return small.reshape(height, width, -1).transpose(2, 0, 1)
    channels = [np.ascontiguousarray(channel) for channel in picture]
    return np.stack([cv2.resize(channel, (width, height), interpolation=how) for channel in channels])


def shrunk_size(height: int, width: int, max_side: int) -> tuple[int, int]:
    """Height and width of a frame with its longer side at most ``max_side`` pixels, in its aspect.

    Example:
        >>> shrunk_size(480, 640, 320), shrunk_size(24, 32, 320)
        ((240, 320), (24, 32))
    """
    ratio = min(1.0, max_side / max(height, width))
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def shrunk_picture(picture: Shaped[np.ndarray, "c _h _w"], max_side: int) -> Picture:
    """A frame with its longer side at most ``max_side`` pixels; type and range stay."""
    height, width = picture.shape[-2:]
    size = shrunk_size(height, width, max_side)
    return picture if size == (height, width) else resized_picture(picture, size)


def unit_picture(picture: Picture) -> Float32[np.ndarray, "c h w"]:
    """A frame as floats in [0, 1].

    Raises:
        ClipError: if its type has no known range.

    Example:
        >>> unit_picture(np.array([[[0, 51, 255]]], np.uint8)).round(2).tolist()
        [[[0.0, 0.20000000298023224, 1.0]]]
    """
    if picture.dtype.kind == "f":
        return picture.astype(np.float32, copy=False)
    white = WHITE.get(picture.dtype.name)
    if white is None:
        raise ClipError(f"Frames of type {picture.dtype} have no known range; give uint8, uint16 or floats in [0, 1].")
    return picture / np.float32(white)


def bytes_of_picture(picture: Picture) -> UInt8[np.ndarray, "c h w"]:
    """A frame as uint8; floats outside [0, 1] are clamped.

    Raises:
        ClipError: if floats are not finite or the type has no known range.
    """
    if picture.dtype == np.uint8:
        return picture
    levels = unit_picture(picture)
    if not np.isfinite(levels).all():
        raise ClipError("The frames hold values that are not finite (NaN or infinite); they cannot be shown.")
    return np.asarray(np.rint(levels.clip(0, 1) * 255), np.uint8)
