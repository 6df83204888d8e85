"""Learn the profile of a source from uneventful footage: its own beginning, a file, or a folder of video files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from framepred.errors import ClipError, ConfigError
from framepred.inference.watching.features import MAX_SIDE, reduced_mask, reduced_size
from framepred.inference.watching.forecasting import StepForecast, network_forecast, onnx_forecast
from framepred.inference.watching.playing import PlayingSource, play_source
from framepred.inference.watching.profile import Profile, ProfileBuilder
from framepred.media.live import Moment
from framepred.media.pictures import Picture, resized_picture

if TYPE_CHECKING:  # these import PyTorch, which a watch needs for networks and some kinds of sources only
    from torch import device as TorchDevice  # noqa: N812

    from framepred.forecaster import Forecaster
    from framepred.inference.networks import Weights
    from framepred.inference.sources import Source
    from framepred.media.ranges import StatedRange

LAST_FRAME = "baseline:last-frame"
"""What forecasts each frame unless weights are named: at the size that features are computed at, it is as good."""

ADAPT_FRAMES = 600
"""Frames of normal footage that the network learns from, at most: the last ones."""


@dataclass(frozen=True)
class Forecasts:
    """What forecasts each frame.

    Attributes:
        steps: the forecasts; None for the last frame, which needs no network.
        net: the network that can be adapted; None for the last frame and for an export.
        channels: channels by which the layout of arrays is found; None for gray or RGB.
        trained_range: the values that the network was trained on as 0 and 1, as ``ValueRange.to_json`` gives them.
    """

    steps: StepForecast | None = None
    net: "Forecaster | None" = None
    channels: int | None = None
    trained_range: Mapping[str, float] | None = None


def open_forecasts(weights: "Weights", device: "str | TorchDevice") -> Forecasts:
    """The forecasts of weights; PyTorch is imported neither for the last frame nor for an ``.onnx`` export.

    Raises:
        WeightsError: if the weights cannot be used.
        ConfigError: if there is no such device.
    """
    if device not in ("auto", "cpu"):
        from framepred.inference.devices import pick_device

        device = pick_device(device)
    if weights == LAST_FRAME:
        return Forecasts()
    if isinstance(weights, (str, Path)) and Path(weights).suffix.lower() == ".onnx":
        steps = onnx_forecast(weights)
        channels = steps.channels if steps.channels > 1 else None
        return Forecasts(steps, channels=channels, trained_range=steps.trained_range)
    from framepred.inference.devices import pick_device
    from framepred.inference.networks import channels_of, open_forecaster, range_of
    from framepred.models.devices import move_network

    named = open_forecaster(weights)
    net = move_network(named.net, pick_device(device))
    known = range_of(net)
    trained_range = None if known is None else known.to_json()
    return Forecasts(network_forecast(net, named.record.name), net, channels_of(net), trained_range)


def learn_profile(
    normal: "Source",
    layout: str | None = None,
    forecasts: Forecasts | None = None,
    adapt: float | None = None,
    value_range: "StatedRange" = None,
    array_name: str | None = None,
    max_side: int = MAX_SIDE,
) -> Profile:
    """The profile of uneventful footage: a source, or a folder of video files, of which one at a time is open.

    Args:
        normal: the footage.
        layout: the order of an array's axes, such as ``thwc``; None where its shape determines it.
        forecasts: what forecasts each frame; None for the last frame.
        adapt: seconds that the network first learns the footage; None for not at all.
        value_range: the values of an array that become 0 and 1.
        array_name: which array of a file that holds several.
        max_side: longer side, in pixels, to which frames are scaled down.

    Raises:
        MediaError: if it cannot be read.
        ClipError: if it is too short.
    """
    forecasts = forecasts or Forecasts()
    first, *others = _parts(normal)
    play = partial(
        play_source,
        layout=layout,
        channels=forecasts.channels,
        value_range=value_range,
        array_name=array_name,
        trained_range=forecasts.trained_range,
    )
    playing = play(first)
    later = (play(part).moments for part in others)
    moments = chain(playing.moments, chain.from_iterable(later))
    return _learned(replace(playing, moments=moments), forecasts, adapt, max_side)


def _parts(normal: "Source") -> "list[Source]":
    """The video files of a folder, in order; anything else is one source."""
    from framepred.media.formats import is_clip_file, is_folder_of_clips

    if isinstance(normal, (str, Path)) and is_folder_of_clips(Path(normal)):
        files = sorted(file for file in Path(normal).iterdir() if is_clip_file(file))
        if files:
            return [*files]
    return [normal]


def learn_from_beginning(
    playing: PlayingSource,
    seconds: float,
    name: str,
    forecasts: Forecasts,
    adapt: float | None,
    max_side: int = MAX_SIDE,
) -> tuple[Profile, PlayingSource, int]:
    """The profile of the first seconds, the rest of the source, and the number of its first frame.

    Raises:
        ConfigError: if the number of seconds is not positive.
        ClipError: if they are too few, or the source ends within them.
    """
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"The normal footage must last a positive number of seconds, not {seconds:g}.")
    taken = _Taken(playing.moments, seconds)
    profile = _learned(replace(playing, moments=iter(taken)), forecasts, adapt, max_side)
    if taken.next is None:
        raise ClipError(
            f"{name} ends within the {seconds:g} s that are taken as normal footage, so that nothing is left to watch; "
            "give fewer seconds, or normal footage of its own."
        )
    return profile, replace(playing, moments=chain([taken.next], playing.moments)), taken.count


class _Taken:
    """The moments before a time; the first one after it is kept."""

    def __init__(self, moments: Iterator[Moment | None], seconds: float) -> None:
        self._moments, self._seconds = moments, seconds
        self.next: Moment | None = None
        self.count = 0

    def __iter__(self) -> Iterator[Moment]:
        for moment in self._moments:
            if moment is None:
                continue
            if moment.time >= self._seconds:
                self.next = moment
                return
            self.count += 1
            yield moment


def _learned(playing: PlayingSource, forecasts: Forecasts, adapt: float | None, max_side: int) -> Profile:
    steps = forecasts.steps
    moments: Iterator[Moment] = (moment for moment in playing.moments if moment is not None)
    if forecasts.net is not None and adapt is not None:
        kept = [_reduced(moment, max_side) for moment in moments]  # read twice
        steps = _adapted(forecasts.net, [moment.frame for moment in kept[-ADAPT_FRAMES:]], adapt)
        moments = iter(kept)
    builder = ProfileBuilder(playing.fps, steps, max_side)
    rate = _MeasuredRate()
    for moment in moments:
        if moment.fresh:
            builder.reset()
        builder.add(moment.frame, moment.missing)
        rate.add(moment)
    builder.fps = rate.fps or playing.fps
    profile = builder.build()
    profile.limits = playing.limits
    return profile


def _reduced(moment: Moment, max_side: int) -> Moment:
    """A frame at the size that features are computed at, so that minutes of footage fit into memory."""
    _, height, width = moment.frame.shape
    size = reduced_size(height, width, max_side)
    missing = None if moment.missing is None else reduced_mask(moment.missing, size)
    return moment._replace(frame=resized_picture(moment.frame, size), missing=missing)


def _adapted(net: "Forecaster", frames: list[Picture], seconds: float) -> StepForecast:
    """The forecasts of a network that has learned these frames."""
    import torch

    from framepred.inference.adapt import fine_tune

    clip = torch.from_numpy(np.stack(frames))
    return network_forecast(fine_tune(net, clip, seconds, cuts=False))


class _MeasuredRate:
    """Frames a second as they arrive: a camera often delivers, or is processed at, less than it states."""

    def __init__(self) -> None:
        self._intervals, self._seconds, self._last = 0, 0.0, 0.0

    def add(self, moment: Moment) -> None:
        """Count the interval to the frame before."""
        if not moment.fresh:
            self._intervals += 1
            self._seconds += moment.time - self._last
        self._last = moment.time

    @property
    def fps(self) -> float | None:
        """The mean rate; None where no time has passed."""
        return self._intervals / self._seconds if self._seconds > 0 else None
