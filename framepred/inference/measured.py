"""Frames in which some pixels are not measured, for what reads every pixel."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from framepred.baselines import MotionCompensated
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


def lost_planes(clips: Shaped[Tensor, "*frames c h w"]) -> Bool[Tensor, "*frames c"] | None:
    """Which channels of which frames have no measured pixel; None where all have one."""
    missing = missing_pixels(clips)
    lost = None if missing is None else missing.flatten(-2).all(dim=-1)
    return lost if lost is not None and bool(lost.any()) else None


def lost_at_end(clip: Shaped[Tensor, "t c h w"]) -> int:
    """How many last frames have no measured pixel; 0 if no frame has any."""
    lost = lost_planes(clip)
    measured = [] if lost is None else (~lost.all(dim=1)).nonzero().flatten().tolist()
    return len(clip) - 1 - measured[-1] if measured else 0


def fill_context(context: Shaped[Tensor, "t c h w"], filler: float | None) -> Shaped[Tensor, "t c h w"]:
    """The frames of one scene as forecasters read them: lost planes rebuilt, ``filler`` for other missing pixels."""
    return fill_missing(rebuild_lost(context, filler), filler)


def rebuild_lost(clip: Shaped[Tensor, "t c h w"], filler: float | None) -> Shaped[Tensor, "t c h w"]:
    """The frames of one scene with lost planes rebuilt; other missing pixels, for which ``filler`` stands, stay NaN.

    So does a channel that all frames lack.
    """
    lost = None if filler is None else lost_planes(clip)
    if lost is None:
        return clip
    rebuilt = rebuild_planes(fill_missing(clip, filler), lost)
    lost &= ~lost.all(dim=0)
    return torch.where(lost[..., None, None], rebuilt, clip)


def rebuild_planes(clip: Shaped[Tensor, "t c h w"], lost: Bool[Tensor, "t c"] | None) -> Shaped[Tensor, "t c h w"]:
    """The clip with lost planes, each one channel of one frame, rebuilt from the nearest other frames of the channel.

    Between two such frames it moves along their optical flow; at the ends the nearest one is repeated. A channel that
    all frames lack stays as it is.

    Args:
        clip: the frames of one scene, without NaN.
        lost: the planes; None for none.
    """
    if lost is None:
        return clip
    rebuilt = clip.clone()
    for channel, missing in enumerate(lost.unbind(dim=1)):
        if missing.any() and not missing.all():
            plane = clip[None, :, channel : channel + 1]
            rebuilt[missing, channel] = MotionCompensated().eval().restore(plane, missing)[0, missing, 0]
    return rebuilt


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
