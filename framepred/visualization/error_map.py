"""How far off a prediction was, as a clip to be watched."""

import torch
from jaxtyping import Shaped, UInt8
from matplotlib import colormaps
from torch import Tensor

from framepred.clips import to_unit
from framepred.errors import ClipError
from framepred.visualization.panels import ERROR_COLOURS


def error_view(
    target: Shaped[Tensor, "_t _c _h _w"], prediction: Shaped[Tensor, "_t _c _h _w"]
) -> UInt8[Tensor, "t 3 h w"]:
    """|prediction − truth| in the colours of panels, the mean over the channels, on a fixed scale from 0 to 1.

    Args:
        target: the true frames: uint8, uint16, or floats in [0, 1].
        prediction: what was predicted of them.

    Raises:
        ClipError: if the shapes differ.
    """
    if target.shape != prediction.shape:
        raise ClipError(
            f"Truth and prediction need one shape (t, c, h, w), not {tuple(target.shape)} and "
            f"{tuple(prediction.shape)}."
        )
    error = (to_unit(prediction.cpu()) - to_unit(target.cpu())).abs().mean(dim=1).clamp(0, 1)
    colours = torch.from_numpy(colormaps[ERROR_COLOURS](error.numpy(), bytes=True))  # (t, h, w, 4)
    return colours[..., :3].permute(0, 3, 1, 2).contiguous()
