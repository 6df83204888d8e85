"""Frames in which some pixels are not measured, for what reads every pixel."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from framepred.clips import fill_missing, missing_pixels
from framepred.media.opencv import cv2


def keep_last_measured(
    frames: Iterable[Shaped[Tensor, "c h w"]], filler: float | None, last: Shaped[Tensor, "c h w"] | None = None
) -> Iterator[Shaped[Tensor, "c h w"]]:
    """The frames with what was last measured at each pixel where it is missing (NaN), so that it shows no change.

    Args:
        frames: the frames of one clip.
        filler: what stands where nothing was measured yet; None where no pixel is missing.
        last: the frame before the first one, without missing pixels; None where there is none.
    """
    for frame in frames:
        missing = None if filler is None else missing_pixels(frame)
        if missing is not None and last is not None:
            frame = torch.where(missing, last, frame)
        yield (last := fill_missing(frame, filler))


def keep_measured(clip: Shaped[Tensor, "t c h w"], filler: float | None) -> Shaped[Tensor, "t c h w"]:
    """A clip by :func:`keep_last_measured`, with what is measured first where nothing was measured yet."""
    if missing_pixels(clip) is None:
        return clip
    *_, first = keep_last_measured(clip.flip(0), filler)
    return torch.stack(list(keep_last_measured(clip, filler, first)))


def channel_mean(frames: Float[Tensor, "*frames c h w"]) -> Float[Tensor, "*frames 1 h w"]:
    """The mean of the channels that are measured at each pixel; NaN where none is."""
    mean = frames.mean(dim=-3, keepdim=True)
    return frames.nanmean(dim=-3, keepdim=True) if mean.isnan().any() else mean


def fill_from_nearest(frames: Float[Tensor, "*frames h w"]) -> Float[Tensor, "*frames h w"]:
    """The frames with the value of the nearest measured pixel where one is missing (NaN); 0 where none is measured."""
    planes = [_filled(plane) for plane in frames.flatten(0, -3).cpu().numpy()]
    return torch.from_numpy(np.stack(planes)).view_as(frames).to(frames.device)


def _filled(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    missing = np.isnan(plane)
    if not missing.any():
        return plane
    if missing.all():
        return np.zeros_like(plane)
    _, labels = cv2.distanceTransformWithLabels(
        missing.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(labels.max() + 1, plane.dtype)
    values[labels[~missing]] = plane[~missing]
    return np.asarray(values[labels])
