"""Checks of what a profile file holds, before a profile is made of it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framepred.inference.watching.features import CELL, MAPS, MIN_SIDE
from framepred.inference.watching.rareness import MOST
from framepred.inference.watching.scorer import FEATURES

LARGEST_SIDE = 4096
"""Sides of the reduced frames, at most, in pixels."""

MAX_PEAKS = 10_000_000
"""Peaks of a profile, at most: more than a year of normal footage."""


def checked_limits(limits: Any) -> tuple[float, float] | None:
    """The values that became 0 and 1, of a profile file; None where it states none.

    Raises:
        ValueError: if they are no two numbers.
        TypeError: if they are something else.
    """
    if limits is None:
        return None
    low, high = limits
    return float(low), float(high)


def checked_highest(score: Any) -> float:
    """The score of a black or a white frame, of a profile file; the largest possible where it states none.

    Raises:
        ValueError: if it is no possible score.
        TypeError: if it is no number.
    """
    highest = MOST if score is None else float(score)
    if not 0 <= highest <= MOST:
        raise ValueError(f"a score of {score!r}")
    return highest


def check_contents(meta: Any, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Check that the numbers of a profile fit each other.

    Args:
        meta: frame rate ``fps``, ``size`` of the reduced frames and ``count`` of the frames that were learned.
        tensors: statistics of the cells, edges and scales of the tails, and peaks.

    Raises:
        ValueError: if a number is outside its range, or a tensor has another shape or holds what is no finite number.
        KeyError: if one is missing.
        TypeError: if one has another type.
    """
    height, width = meta["size"]
    if not all(type(side) is int and MIN_SIDE <= side <= LARGEST_SIDE for side in (height, width)):
        raise ValueError(f"frames of {height!r} × {width!r} pixels")
    if not (0 < float(meta["fps"]) < math.inf and 0 < int(meta["count"]) < 2**63):
        raise ValueError(f"{meta['fps']!r} frames a second, {meta['count']!r} frames")
    cells = len(MAPS), max(1, round(height / CELL)), max(1, round(width / CELL))
    shapes: dict[str, tuple[int, ...]] = {"mean": cells, "variance": cells}
    shapes |= dict.fromkeys(("lower", "upper", "lower_scale", "upper_scale"), (len(FEATURES),))
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise ValueError(f"{name} has the shape {tensors[name].shape}")
    if tensors["peaks"].ndim != 1 or len(tensors["peaks"]) > MAX_PEAKS:
        raise ValueError("peaks are no list")
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f" or not np.isfinite(tensor).all():
            raise ValueError(f"{name} holds other values than finite floats")
    if any(float(tensors[name].min(initial=0)) < 0 for name in ("variance", "lower_scale", "upper_scale")):
        raise ValueError("a spread is negative")
