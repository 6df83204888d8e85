"""Colours for numbers in [0, 1]."""

from functools import cache

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps

COLOURMAP = "inferno"
_LEVELS = 256  # colours in the colour map


def coloured(values: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Colour a map on a fixed scale from 0 (dark) to 1 (bright), so that maps are comparable."""
    return _colours()[(values * _LEVELS).clip(0, _LEVELS - 1).astype(np.int64)]


@cache
def _colours() -> UInt8[np.ndarray, "256 3"]:
    """The colour map as RGB values."""
    return np.ascontiguousarray(colormaps[COLOURMAP](np.arange(_LEVELS), bytes=True)[:, :3])
