"""Measure the weights of a blend on the past: those with which it would have predicted known frames best."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from framepred.baselines import OpticalFlow
from framepred.baselines.lost_frames import fill_context
from framepred.clips import ClipBatch, fill_missing, missing_pixels, to_unit
from framepred.forecaster import Forecaster, check_finite
from framepred.inference.blend import FIT_HORIZON, Blend, evenly
from framepred.inference.detail import DetailForecaster
from framepred.inference.devices import device_of
from framepred.inference.error_prior import weigh_members
from framepred.inference.measured import channel_mean, keep_measured
from framepred.inference.networks import channels_of
from framepred.inference.reading_ahead import PAST_SIDE
from framepred.inference.regions import REGIONS, spread
from framepred.inference.scaling import resize
from framepred.inference.scenes import find_scenes
from framepred.inference.sources import shrink_raw
from framepred.inference.stacking import SHRINKAGE, ErrorProducts

WINDOWS = 4
"""Validation windows with all lead times, at most; one less in a past of ``SPAN`` frames."""

RECENT = (0.8, 0.3)
"""Lead times of the windows that end with the past, as shares of all. The shorter a window, the nearer it lies to what
is to be predicted; how things move changes within a few frames."""

FIT_SIDE = 176
"""Longer side, in pixels, of the pictures that are compared, so that it takes about a second."""

FIT_PATH_SIDE = 320
"""Longer side, in pixels, at which the motion of large frames is continued while weights are measured. The weights are
as good as at the side of predictions, in a quarter of the time."""

LARGE_SHRINKAGE = (SHRINKAGE, *[10.0] * (REGIONS - 1))
"""Pull of a region's weights towards those of the whole frame, for large frames. What moves gets nearly the same
weights everywhere: with weights of their own, as in small frames, regions have 2 % more error there. What stands still
keeps its own, so that it stays exact."""

WORKERS = 2
"""Threads that measure large windows at a time."""

SPAN = 60
"""Frames from the end of the past in which validation windows lie, so that they resemble what is to be predicted."""

MIN_FRAMES = 4
"""Frames of the last scene from which weights are measured; fewer show no motion that goes on."""


def fit_blend(
    members: Sequence[Forecaster],
    past: Shaped[Tensor, "n t c h w"] | Sequence[Shaped[Tensor, "_t c h w"]],
    context: int = 10,
    horizon: int = 10,
    *,
    cuts: bool = True,
    filler: float | None = None,
    max_side: int | None = None,
) -> Blend:
    """Blend forecasters with the weights that :func:`fit_weights` measures; members that get no weight are left out."""
    weights = fit_weights(members, past, context, horizon, cuts=cuts, filler=filler, max_side=max_side)
    return _without_idle(members, weights).eval()


def fit_weights(
    members: Sequence[Forecaster],
    past: Shaped[Tensor, "n t c h w"] | Sequence[Shaped[Tensor, "_t c h w"]],
    context: int = 10,
    horizon: int = 10,
    *,
    cuts: bool = True,
    filler: float | None = None,
    max_side: int | None = None,
) -> Float[Tensor, "k q m"]:
    """The weights of a blend that would have served best in the past of the clips, by lead time and region.

    Each member predicts a few windows at the end of the last scene of the past. Nothing is learned but the weights.
    The errors in these windows are regularised by a prior, the mean errors in films; see
    :mod:`~framepred.inference.error_prior`. A past that is too short for a whole window gets shorter windows; with
    fewer than ``MIN_FRAMES`` frames the prior alone gives the weights. Where several members are equally good, the last
    one is preferred, so the simplest should come last: what stands still is then predicted by
    :class:`~framepred.baselines.LastFrame` alone, if that is the last member.

    Args:
        members: the forecasters.
        past: frames of one or several clips, which may differ in length: uint8, uint16, or floats in [0, 1]. Leave out
            frames that repeat the one before.
        context: frames that a window shows.
        horizon: frames that are to be predicted.
        cuts: whether to look for scene cuts.
        filler: what stands for missing pixels, which are NaN, where a forecaster reads them; None where there are none.
            The weights come from the pixels that are measured both in the last frame of a context and in the target.
        max_side: longest side, in pixels, of frames that the blend itself predicts. Larger ones get weights for a
            :class:`~framepred.inference.detail.DetailForecaster`. None if the blend predicts all.
    """
    products = measure_past(members, past, context, horizon, cuts=cuts, filler=filler, max_side=max_side)
    large = _is_large(past, max_side)
    weights = weigh_members(products, LARGE_SHRINKAGE if large else SHRINKAGE, large=large)
    return weights[: min(horizon, FIT_HORIZON)]


def measure_past(
    members: Sequence[Forecaster],
    past: Shaped[Tensor, "n t c h w"] | Sequence[Shaped[Tensor, "_t c h w"]],
    context: int = 10,
    horizon: int = 10,
    *,
    cuts: bool = True,
    filler: float | None = None,
    max_side: int | None = None,
) -> ErrorProducts:
    """What the members get wrong in the past of the clips; the arguments are those of :func:`fit_weights`."""
    chosen = [past[index] for index in _spread_indices(len(past) - 1, 0, min(len(past), WINDOWS))]
    large = _is_large(past, max_side)
    in_gray = all(channels_of(member) is None for member in members)
    if in_gray and not large:
        chosen = [_gray(clip[-SPAN:]) for clip in chosen]
    windows = _windows(chosen, context, min(horizon, FIT_HORIZON), cuts, filler, PAST_SIDE if large else FIT_SIDE)
    nothing = ErrorProducts(FIT_HORIZON, len(members), REGIONS)
    if not large:
        return sum((measure_errors(members, batch) for batch in windows), nothing)
    with ThreadPoolExecutor(WORKERS) as pool:
        return sum(pool.map(partial(_measure_large, members, in_gray), windows), nothing)


def _is_large(past: Sequence[Shaped[Tensor, "_t c h w"]] | Tensor, max_side: int | None) -> bool:
    return max_side is not None and max(past[0].shape[-2:]) > max_side


@torch.inference_mode()
def measure_errors(members: Sequence[Forecaster], windows: ClipBatch, side: int | None = None) -> ErrorProducts:
    """What the members get wrong in windows, by lead time and region; weights follow from sums of it.

    Args:
        members: the forecasters.
        windows: the windows; missing pixels have no part.
        side: longest side, in pixels, of the frames that the members get and of the pictures that are compared. The
            optical flows are measured in the frames of the windows. None for the size of these.

    Raises:
        WeightsError: if a member predicts NaN or infinite pixels.
    """
    products = ErrorProducts(FIT_HORIZON, len(members), REGIONS)
    device = next((device_of(member) for member in members if any(True for _ in member.parameters())), None)
    read = torch.stack([fill_context(clip, windows.filler) for clip in windows.context])
    context, target = (to_unit(frames.to(device)) for frames in (read, fill_missing(windows.target, windows.filler)))
    net = DetailForecaster(evenly(members), side or max(context.shape[-2:]), FIT_PATH_SIDE).eval()
    gaps, state = _gaps(windows), net.with_motion(net.observe_clip(context))
    for lead in range(min(target.shape[1], FIT_HORIZON)):
        state = net.advance(state) if lead else state
        pictures = check_finite(net.member_pictures(state))
        size = (pictures.shape[-2], pictures.shape[-1])
        regions = spread(net.region_shares(state), size)
        if gaps is not None:
            regions = regions.masked_fill(_touched(gaps[:, lead], size).to(regions.device), 0)
        for window, truth in enumerate(net.blend_input(target[:, lead])):
            products.add(lead, pictures[:, window], truth, regions[window])
    return products


def _gaps(windows: ClipBatch) -> Bool[Tensor, "b k h w"] | None:
    """Which pixels of the target are missing there or in the last frame before it; None where none is."""
    if windows.filler is None:
        return None
    missing = missing_pixels(windows.clips[:, windows.context.shape[1] - 1 :])
    return None if missing is None else missing[:, 1:].any(dim=2) | missing[:, :1].any(dim=2)


def _touched(gaps: Bool[Tensor, "b h w"], size: tuple[int, int]) -> Bool[Tensor, "b 1 h_small w_small"]:
    """Which pixels of smaller pictures have a part of these."""
    return resize(gaps[:, None].float(), size) > 0


def _windows(
    clips: Sequence[Shaped[Tensor, "_t c h w"]],
    context: int,
    horizon: int,
    cuts: bool,
    filler: float | None,
    side: int,
) -> Iterator[ClipBatch]:
    """Windows of the last scene of each clip, the last ones with fewer lead times.

    Their frames are scaled to a longer side of ``side`` pixels at most. Small windows of one clip and length come as a
    batch, larger ones one by one, which takes less memory.
    """
    for clip in clips:
        recent = clip[-SPAN:]
        if max(recent.shape[-2:]) > side:
            recent = torch.stack([shrink_raw(frame, side) for frame in recent])
        scene = find_scenes(keep_measured(recent, filler))[-1] if cuts else range(len(recent))
        if len(scene) < MIN_FRAMES:
            continue
        ahead = min(horizon, max(1, len(scene) * horizon // (context + horizon)))
        length = min(context + ahead, len(scene))
        wanted = min(max(1, WINDOWS // len(clips)), len(scene) - length + 1)
        starts = _spread_indices(scene.stop - length, scene.start, wanted)
        short = [lead_times for lead_times in (round(share * ahead) for share in RECENT) if 0 < lead_times < ahead]
        if short and len(scene) == SPAN and len(starts) > 1:
            starts = starts[:-1]  # the short ones lie there, and the others do not overlap
        parts = [recent[start : start + length] for start in starts]
        for clips_of_scene in [part[None] for part in parts] if side > FIT_SIDE else [torch.stack(parts)]:
            yield ClipBatch.cut(clips_of_scene, length - ahead, filler)
        for lead_times in short:
            first = max(scene.start, scene.stop - context - lead_times)
            yield ClipBatch.cut(recent[None, first : scene.stop], scene.stop - first - lead_times, filler)


def _measure_large(members: Sequence[Forecaster], in_gray: bool, window: ClipBatch) -> ErrorProducts:
    """What the members get wrong in one window of large frames, of which they get the mean of the channels or all."""
    if in_gray:
        window = window._replace(context=_gray(window.context[0])[None], target=_gray(window.target[0])[None])
    return measure_errors(members, window, FIT_SIDE)


def _spread_indices(first: int, last: int, count: int) -> list[int]:
    """Integers evenly spread from one to the other, in ascending order."""
    found: list[int] = np.unique(np.linspace(first, last, count).round().astype(int)).tolist()
    return found


def _gray(clip: Shaped[Tensor, "t _c h w"]) -> Float[Tensor, "t 1 h w"]:
    """The mean of the channels: the weights hardly depend on colour, and one channel costs a third of three."""
    return torch.stack([channel_mean(to_unit(frame)) for frame in clip])


def _without_idle(members: Sequence[Forecaster], weights: Float[Tensor, "k q m"]) -> Blend:
    """The blend without members that get no weight; optical flow stays where it tells the regions apart."""
    used = weights.amax(dim=(0, 1)) > 0
    if used[:-1].any():
        used |= torch.tensor([isinstance(member, OpticalFlow) for member in members])
        used[-1] = True
    else:
        weights = weights[:, :1]
    return Blend([member for member, use in zip(members, used.tolist(), strict=True) if use], weights[..., used])
