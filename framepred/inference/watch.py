"""Watch a source: say when something unusual happens, how unusual it is, and where."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING

import numpy as np

from framepred.errors import ClipError, ConfigError
from framepred.inference.watching.events import Event, EventFinder
from framepred.inference.watching.features import SIDE
from framepred.inference.watching.forecasting import StepForecast, network_forecast, onnx_forecast
from framepred.inference.watching.playing import PlayingSource, play_source
from framepred.inference.watching.profile import FrameScore, Profile, ProfileBuilder
from framepred.media.live import Moment
from framepred.media.pictures import Picture, shrunk_picture, unit_picture

if TYPE_CHECKING:  # these import PyTorch, which a watch needs for networks and some kinds of sources only
    from torch import device as TorchDevice  # noqa: N812

    from framepred.forecaster import Forecaster
    from framepred.inference.networks import Weights
    from framepred.inference.sources import Source

__all__ = ["Event", "Profile", "Watch", "WatchStep", "watch"]

LAST_FRAME = "baseline:last-frame"
"""What forecasts each frame unless weights are named: at the size that features are computed at, it is as good."""

NORMAL_SECONDS = 60.0
"""Seconds of the source's beginning that are normal footage, unless other footage is given."""

FALSE_ALARMS = 1.0
"""False alarms an hour that the threshold allows, unless another rate is given."""

ADAPT_FRAMES = 600
"""Frames of normal footage that the network learns from, at most: reduced, they take 75 MB."""

NoticeHandler = Callable[[str], None]


@dataclass(frozen=True)
class WatchStep:
    """One frame that was watched.

    Attributes:
        index: number of the frame, from 0.
        time: seconds from the first frame.
        frame: the frame as it was read, an array ``(c, h, w)``.
        scored: how unusual it is.
        threshold: the score above which an alarm is raised.
        active: whether an event goes on.
        event: an event that is complete with this frame.
    """

    index: int
    time: float
    frame: Picture
    scored: FrameScore
    threshold: float
    active: bool
    event: Event | None = None


class Watch:
    """A source that is watched as it plays; iterate over it to get its events, or over :meth:`steps` for every frame.

    Attributes:
        fps: frames per second of the source.
        steady: whether all frames last equally long.
        profile: what is usual.
        false_alarms: rate that the threshold allows, an hour; it may be set while the source plays.
    """

    def __init__(
        self, playing: PlayingSource, first: int, profile: Profile, false_alarms: float, cuts: bool = False
    ) -> None:
        self.fps = playing.fps
        self.steady = playing.steady
        self.profile = profile
        self._moments = playing.moments
        self._first = first
        self._cuts = _cut_detector() if cuts else None
        self._finder = EventFinder(0.0)
        self.false_alarms = false_alarms

    @property
    def false_alarms(self) -> float:
        """Rate of false alarms an hour that the threshold allows."""
        return self._false_alarms

    @false_alarms.setter
    def false_alarms(self, rate: float) -> None:
        self._finder.threshold = self.profile.threshold(rate)
        self._false_alarms = rate

    @property
    def threshold(self) -> float:
        """The score above which an alarm is raised."""
        return self._finder.threshold

    def __iter__(self) -> Iterator[Event]:
        for step in self.steps():
            if step.event is not None:
                yield step.event
        last = self.finish()
        if last is not None:
            yield last

    def steps(self) -> Iterator[WatchStep]:
        """Yield every frame with its score; afterwards :meth:`finish` gives the event that was not over, if any."""
        for index, moment in zip(count(self._first), self._moments, strict=False):
            if moment.fresh or self._is_cut(moment.frame):
                self.profile.reset()
            scored = self.profile.score(moment.frame)
            event = self._finder.add(index, moment.time, scored)
            yield WatchStep(index, moment.time, moment.frame, scored, self.threshold, self._finder.active, event)

    def finish(self) -> Event | None:
        """The event that had not ended with the source, once."""
        return self._finder.finish()

    def _is_cut(self, frame: Picture) -> bool:
        return self._cuts is not None and self._cuts(frame)


def watch(
    source: "Source",
    *,
    normal: "float | Source" = NORMAL_SECONDS,
    profile: Profile | str | Path | None = None,
    false_alarms: float = FALSE_ALARMS,
    weights: "Weights" = LAST_FRAME,
    adapt: float | None = None,
    device: "str | TorchDevice" = "auto",
    layout: str | None = None,
    cuts: bool = False,
    on_notice: NoticeHandler = lambda _: None,
    stop: Flag | None = None,
) -> Watch:
    """Watch a camera, a URL, a file or frames in memory for something unusual.

    Args:
        source: a camera number, a URL, a path, an array or a tensor.
        normal: uneventful footage: seconds of the source's beginning, which are not watched, or a source of its own: a
            path, a folder of video files, an array or a tensor.
        profile: a profile or its file; it takes the place of ``normal``.
        false_alarms: false alarms an hour that the threshold allows.
        weights: what forecasts each frame; see :func:`framepred.stream`. PyTorch is imported neither for the default
            nor for an ``.onnx`` export.
        adapt: seconds that the network first learns the normal footage; None for not at all.
        device: ``auto``, ``cpu``, ``cuda``, or a device; exports run on the CPU.
        layout: the order of an array's axes, such as ``thwc``, where its shape does not determine it.
        cuts: whether the source has scene cuts, which are not unusual then.
        on_notice: called with sentences: how sure the threshold is; when a live source is lost or back.
        stop: set it to end before the source does.

    Returns:
        An iterable of :class:`Event`, each as soon as it has ended.

    Raises:
        ConfigError: if a number is outside its domain.
        MediaError: if a source or profile cannot be read.
        ClipError: if the normal footage is too short.
        WeightsError: if the weights cannot be used.

    Example:
        >>> import numpy as np
        >>> film = np.random.default_rng(0).integers(90, 110, (400, 32, 32), dtype=np.uint8)
        >>> film[300:320] = film[300]
        >>> [(event.kind, event.start_frame) for event in watch(film, normal=20.0, false_alarms=60)]
        [('freeze', 301)]
    """
    check_rate(false_alarms)
    if adapt is not None and not 0 < adapt < float("inf"):
        raise ConfigError(f"adapt must be a positive number of seconds, not {adapt:g}.")
    forecasts = _open_forecasts(weights, device)
    if adapt is not None and forecasts.net is None:
        raise ConfigError("Only a network in PyTorch can be adapted; name weights that are no baseline and no export.")
    if adapt is not None and profile is not None:
        raise ConfigError("A profile holds no adapted network; give normal footage instead, or do not adapt.")
    playing, first = play_source(source, layout, forecasts.channels, on_notice, stop), 0
    if isinstance(profile, Profile):
        known = profile
    elif profile is not None:
        known = Profile.load(profile, forecasts.steps)
    elif isinstance(normal, (int, float)):
        name = Path(source).name if isinstance(source, (str, Path)) else "the array"
        known, playing, first = _learned_from_beginning(playing, float(normal), name, forecasts, adapt)
    else:
        known = _learned_from(normal, layout, forecasts, adapt)
    on_notice(known.calibration.summary(false_alarms))
    return Watch(playing, first, known, false_alarms, cuts)


def check_rate(false_alarms: float) -> None:
    """Check a rate of false alarms an hour.

    Raises:
        ConfigError: if it is not a positive number.
    """
    if not 0 < false_alarms < float("inf"):
        raise ConfigError(f"The rate of false alarms must be a positive number an hour, not {false_alarms:g}.")


def learn_profile(normal: "Source", layout: str | None = None) -> Profile:
    """The profile of uneventful footage, where the last frame forecasts: a source, or a folder of video files.

    Raises:
        MediaError: if it cannot be read.
        ClipError: if it is too short.
    """
    return _learned_from(normal, layout, _Forecasts(), None)


def _learned_from(normal: "Source", layout: str | None, forecasts: "_Forecasts", adapt: float | None) -> Profile:
    opened = [play_source(part, layout, forecasts.channels) for part in _parts(normal)]
    moments = chain.from_iterable(part.moments for part in opened)
    return _learned(moments, opened[0].fps, forecasts, adapt)


def _parts(normal: "Source") -> "list[Source]":
    """The video files of a folder, in order; anything else is one source."""
    from framepred.media.formats import is_clip_file, is_folder_of_clips

    if isinstance(normal, (str, Path)) and is_folder_of_clips(Path(normal)):
        files = sorted(file for file in Path(normal).iterdir() if is_clip_file(file))
        if files:
            return [*files]
    return [normal]


@dataclass(frozen=True)
class _Forecasts:
    """What forecasts each frame.

    Attributes:
        steps: the forecasts; None for the last frame, which needs no network.
        net: the network that can be adapted; None for the last frame and for an export.
        channels: channels by which the layout of arrays is found; None for gray or RGB.
    """

    steps: StepForecast | None = None
    net: "Forecaster | None" = None
    channels: int | None = None


def _open_forecasts(weights: "Weights", device: "str | TorchDevice") -> _Forecasts:
    if weights == LAST_FRAME:
        return _Forecasts()
    if isinstance(weights, (str, Path)) and Path(weights).suffix.lower() == ".onnx":
        steps = onnx_forecast(weights)
        return _Forecasts(steps, channels=steps.channels if steps.channels > 1 else None)
    from framepred.inference.devices import pick_device
    from framepred.inference.networks import channels_of, open_forecaster

    named = open_forecaster(weights)
    net = named.net.to(pick_device(device))
    return _Forecasts(network_forecast(net, named.record.name), net, channels_of(net))


def _learned_from_beginning(
    playing: PlayingSource, seconds: float, name: str, forecasts: _Forecasts, adapt: float | None
) -> tuple[Profile, PlayingSource, int]:
    """The profile of the first seconds, the rest of the source, and the number of its first frame."""
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"The normal footage must last a positive number of seconds, not {seconds:g}.")
    taken = _Taken(playing.moments, seconds)
    profile = _learned(taken, playing.fps, forecasts, adapt)
    if taken.next is None:
        raise ClipError(
            f"{name} ends within the {seconds:g} s that are taken as normal footage, so that nothing is left to watch; "
            "give fewer seconds, or normal footage of its own."
        )
    return profile, PlayingSource(chain([taken.next], playing.moments), playing.fps, playing.steady), taken.count


class _Taken:
    """The moments before a time; the first one after it is kept."""

    def __init__(self, moments: Iterator[Moment], seconds: float) -> None:
        self._moments, self._seconds = moments, seconds
        self.next: Moment | None = None
        self.count = 0

    def __iter__(self) -> Iterator[Moment]:
        for moment in self._moments:
            if moment.time >= self._seconds:
                self.next = moment
                return
            self.count += 1
            yield moment


def _learned(moments: "Iterator[Moment] | _Taken", fps: float, forecasts: _Forecasts, adapt: float | None) -> Profile:
    steps = forecasts.steps
    if forecasts.net is not None and adapt is not None:
        kept = list(moments)
        steps = _adapted(forecasts.net, [moment.frame for moment in kept[-ADAPT_FRAMES:]], adapt)
        moments = iter(kept)
    builder = ProfileBuilder(fps, steps)
    rate = _MeasuredRate()
    for moment in moments:
        if moment.fresh:
            builder.reset()
        builder.add(moment.frame)
        rate.add(moment)
    builder.fps = rate.fps or fps
    return builder.build()


def _adapted(net: "Forecaster", frames: list[Picture], seconds: float) -> StepForecast:
    """The forecasts of a network that has learned these frames."""
    import torch

    from framepred.inference.adapt import adapt

    clip = torch.from_numpy(np.stack([shrunk_picture(frame, SIDE) for frame in frames]))
    return network_forecast(adapt(net, clip, seconds=seconds, cuts=False).network)


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


def _cut_detector() -> Callable[[Picture], bool]:
    import torch

    from framepred.inference.scaling import shrink
    from framepred.inference.scenes import CutDetector

    detector = CutDetector()
    return lambda frame: detector.is_cut(shrink(torch.from_numpy(unit_picture(frame))[None], SIDE)[0])
