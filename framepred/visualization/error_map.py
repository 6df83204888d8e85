"""Colour maps of the absolute prediction error."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from framepred.clips import to_unit
from framepred.errors import ClipError
from framepred.media.frames import as_tensor
from framepred.media.pictures import shrunk_size
from framepred.media.resizing import resized
from framepred.visualization.colour_map import coloured
from framepred.visualization.pictures import MAX_SIDE


def colour_error(error: Float[Tensor, "h w"]) -> UInt8[Tensor, "3 h w"]:
    """Colour an error map; the scale is fixed from 0 (dark) to 1 (bright), so that maps are comparable."""
    return torch.from_numpy(coloured(error.numpy())).permute(2, 0, 1).contiguous()


def absolute_error(
    prediction: Shaped[Tensor, "_c _h _w"], target: Shaped[Tensor, "_c _h _w"], max_side: int = MAX_SIDE
) -> Float[Tensor, "_height _width"]:
    """Absolute error ``|prediction − target|`` averaged over channels, pixels in [0, 1].

    The map is downscaled by area averaging if a side is longer than ``max_side`` pixels.

    Raises:
        ClipError: if the shapes differ.
    """
    if target.shape != prediction.shape:
        raise ClipError(
            "Target and prediction need frames of one shape (c, h, w), not "
            f"{tuple(target.shape)} and {tuple(prediction.shape)}."
        )
    error = torch.zeros(1, *target.shape[1:])
    for guess, truth in zip(prediction, target, strict=True):  # channel by channel, because frames may be large
        error += (to_unit(guess.detach().cpu()).float() - to_unit(truth.detach().cpu()).float()).abs()
    error /= len(target)
    height, width = error.shape[1:]
    return resized(error, shrunk_size(height, width, max_side))[0]


def error_pages(
    target: Iterable[Shaped[Tensor, "_c _h _w"]], prediction: Iterable[Shaped[Tensor, "_c _h _w"]]
) -> Iterator[UInt8[Tensor, "3 _height _width"]]:
    """Yield the coloured error map of each frame as soon as it is predicted.

    Args:
        target: the true frames: uint8, uint16, or floats in [0, 1].
        prediction: the predicted frames, the same number.

    Raises:
        ClipError: if the shapes of two frames differ.
    """
    for truth, guess in zip(target, prediction, strict=True):
        yield colour_error(absolute_error(guess, truth))


def error_view(
    target: Shaped[Tensor | np.ndarray, "_t _c _h _w"], prediction: Shaped[Tensor | np.ndarray, "_t _c _h _w"]
) -> UInt8[Tensor, "t 3 h w"]:
    """Return the coloured error maps of a complete clip; see ``error_pages``.

    Raises:
        ClipError: if the shapes differ.
    """
    target, prediction = as_tensor(target), as_tensor(prediction)
    if target.shape != prediction.shape:
        raise ClipError(
            "Target and prediction need one shape (t, c, h, w), not "
            f"{tuple(target.shape)} and {tuple(prediction.shape)}."
        )
    return torch.stack(list(error_pages(target, prediction)))
