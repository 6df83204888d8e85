"""Transparency is laid on black."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def on_black(pixels: NDArray[Any], axis: int) -> NDArray[Any]:
    """Lay pixels whose last channel is alpha on black; the type stays, the channel goes.

    Args:
        pixels: uint8 or uint16 over their whole range, or floats in [0, 1].
        axis: the axis of the channels.
    """
    colour, alpha = np.split(pixels, [-1], axis=axis)
    if pixels.dtype.kind == "f":
        return np.asarray(colour * alpha)
    white = np.iinfo(pixels.dtype).max
    product = colour.astype(np.uint32) * alpha + white // 2  # 65535² still fits
    return np.asarray(product // white).astype(pixels.dtype)
