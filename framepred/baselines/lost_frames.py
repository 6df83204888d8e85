"""Frames and channels without a measured pixel: found, rebuilt, and forecast across."""

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from framepred.baselines.optical_flow import MotionCompensated
from framepred.clips import Future, RawClip, fill_missing, missing_pixels
from framepred.errors import ClipError
from framepred.forecaster import Predictor
from framepred.restorer import Missing

LostPlanes = Bool[Tensor, "b t c"]


def forecast_measured(predictor: Predictor, context: RawClip, horizon: int, filler: float | None) -> Future:
    """Forecast each clip from its frames up to the last one with a measured pixel, ``(b, horizon, c, h, w)``.

    The forecast goes across the frames after it; lost planes before it are rebuilt. Clips that end with equally many
    such frames are one batch.

    Args:
        predictor: a callable ``(context, horizon) -> frames``.
        context: the observed frames; missing pixels are NaN.
        horizon: number of frames to forecast after the context.
        filler: what other missing pixels are read as; None where there are none.

    Raises:
        ClipError: if the predictor returns another number of frames than asked for across lost ones.
    """
    if filler is None or lost_planes(context) is None:
        return predictor(fill_missing(context, filler), horizon)
    lost = torch.tensor([lost_at_end(clip) for clip in context])
    future: dict[int, Tensor] = {}
    for count in sorted(set(lost.tolist())):
        rows = (lost == count).nonzero().flatten().tolist()
        read = [fill_context(context[row, : context.shape[1] - count], filler) for row in rows]
        predicted = predictor(torch.stack(read), horizon + count)
        if predicted.shape[:2] != (len(rows), horizon + count):
            raise ClipError(
                f"The forecaster returned the shape {tuple(predicted.shape)}, not {len(rows)} clips of "
                f"{horizon + count} frames; it must heed the horizon, because contexts that end with lost frames are "
                "forecast across them."
            )
        future.update(zip(rows, predicted[:, count:], strict=True))
    return torch.stack([future[row] for row in range(len(context))])


def read_for_training(clips: RawClip, context: int, filler: float | None) -> tuple[RawClip, LostPlanes | None]:
    """Whole clips as a forecaster reads them in training, and where its own prediction stands for what was lost.

    As in :func:`forecast_measured`, planes that are lost in the context are rebuilt from the rest of the context. Its
    own prediction stands for frames without a measured pixel at the end of the context, and for lost planes after it.

    Args:
        clips: whole clips; missing pixels are NaN.
        context: number of observed frames.
        filler: what other missing pixels are read as; None where there are none.

    Returns:
        The clips without NaN, and for each plane whether the prediction replaces it; None if it replaces none.
    """
    lost = None if filler is None else lost_planes(clips)
    if lost is None:
        return fill_missing(clips, filler), None
    for number, clip in enumerate(clips):
        lost[number, : context - lost_at_end(clip[:context])] = False
    read = [torch.cat([fill_context(clip[:context], filler), fill_missing(clip[context:], filler)]) for clip in clips]
    return torch.stack(read), lost


def rebuild_around(clips: RawClip, missing: Missing, filler: float | None) -> RawClip:
    """Clips with lost planes rebuilt from those frames that are not ``missing``; see :func:`rebuild_lost`."""
    if filler is None or lost_planes(clips) is None:
        return clips
    observed = clips.masked_fill(missing[:, None, None, None].to(clips.device), torch.nan)
    return torch.stack([rebuild_lost(clip, filler) for clip in observed])


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
