"""What readers and writers of files need beside the pixels themselves; NumPy only."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

DEFAULT_FPS = 10.0
"""Frames per second of sources that state no rate, such as arrays."""

GRAY_WITHIN = 3
"""Levels by which the channels of a gray picture may differ: MJPEG and MPEG-4 round them apart, H.264 does not."""

TRANSPOSED = (5, 6, 7, 8)
"""Orientations, as Exif and TIFF 6.0 count, in which rows are shown as columns."""


def more_bits(name: object, bits: int) -> str:
    """The sentence on a film or animation whose channels have more than 8 bits."""
    return (
        f"{name} has {bits} bits per channel, of which frames keep the upper 8; for all of them, save its frames as "
        "16-bit pictures or as an array."
    )


def on_black(pixels: NDArray[Any], axis: int) -> NDArray[Any]:
    """Blend pixels with black by their alpha, which is the last channel; the type stays, the alpha channel goes.

    Args:
        pixels: uint8 or uint16 over their whole range, or floats in [0, 1].
        axis: the axis of the channels.
    """
    colour, alpha = np.split(pixels, [-1], axis=axis)
    if pixels.dtype.kind == "f":
        return np.asarray(colour * alpha)
    white = np.iinfo(pixels.dtype).max
    product = colour.astype(np.uint32) * alpha + white // 2  # 65535² fits into 32 bits
    return np.asarray(product // white).astype(pixels.dtype)


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Pixels ``(c, h, w)`` as they are to be shown.

    Args:
        pixels: as they are stored.
        orientation: 1 to 8, as Exif and TIFF 6.0 count.
    """
    if orientation in TRANSPOSED:
        pixels = pixels.swapaxes(-2, -1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[..., ::rows, ::columns]
