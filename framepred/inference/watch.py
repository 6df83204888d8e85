"""Watch a source: say when something unusual happens, how unusual it is, and where."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped

from framepred.errors import ConfigError
from framepred.inference.watching.events import Event, EventFinder
from framepred.inference.watching.features import MAX_SIDE, MIN_SIDE, keeps_proportions
from framepred.inference.watching.learning import LAST_FRAME, learn_from_beginning, learn_profile, open_forecasts
from framepred.inference.watching.playing import PlayingSource, play_source
from framepred.inference.watching.profile import FrameScore, Profile
from framepred.inference.watching.profile_check import LARGEST_SIDE
from framepred.media.live import Moment
from framepred.media.pictures import Picture, unit_picture

if TYPE_CHECKING:  # these import PyTorch, which a watch needs for networks and some kinds of sources only
    from torch import device as TorchDevice  # noqa: N812

    from framepred.inference.networks import Weights
    from framepred.inference.sources import Source
    from framepred.media.ranges import StatedRange

__all__ = ["Event", "Profile", "Watch", "WatchStep", "watch"]

NORMAL_SECONDS = 60.0
"""Seconds of the source's beginning that are normal footage, unless other footage is given."""

FALSE_ALARMS = 1.0
"""False alarms an hour that the threshold allows, unless another rate is given."""

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
        missing: which pixels of the frame are not measured; ``frame`` has the filler there. None for none.
        fresh: whether the frame does not follow from the one before, because the source was lost, or is the first.
    """

    index: int
    time: float
    frame: Picture
    scored: FrameScore
    threshold: float
    active: bool
    event: Event | None = None
    missing: Shaped[np.ndarray, "c h w"] | None = None
    fresh: bool = False


class Watch:
    """A source that is watched as it plays; iterate over it to get its events, or over :meth:`play` for frames as well.

    Attributes:
        fps: frames per second of the source.
        profile: what is usual.
        false_alarms: rate that the threshold allows, an hour; it may be set while the source plays.
    """

    def __init__(
        self,
        playing: PlayingSource,
        first: int,
        profile: Profile,
        false_alarms: float,
        cuts: bool = False,
        on_notice: NoticeHandler = lambda _: None,
    ) -> None:
        self.fps = playing.fps
        self.profile = profile
        self._moments = playing.moments
        self._first = first
        self._cuts = _cut_detector() if cuts else None
        self._shown: Picture | None = None
        self._on_notice = on_notice
        self._lost = False
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
        return (item for item in self.play() if isinstance(item, Event))

    def steps(self) -> Iterator[WatchStep]:
        """Yield every frame with its score."""
        return (item for item in self.play() if isinstance(item, WatchStep))

    def play(self) -> Iterator[WatchStep | Event]:
        """Yield every frame, and each event once: when it has ended, or has gone on for long, after that frame.

        An event that goes on is also reported when a live source is lost, and when the source ends or breaks.

        Raises:
            MediaError: if the source breaks, after the event that went on.
        """
        index = count(self._first)
        try:
            for moment in self._moments:
                if moment is None:
                    yield from _listed(self.interrupt())
                    continue
                step = self._step(next(index), moment)
                yield step
                yield from _listed(step.event)
        except Exception:
            yield from _listed(self.interrupt())
            raise
        yield from _listed(self.interrupt())

    def interrupt(self) -> Event | None:
        """Give up the event that goes on; returns it, if it was not reported before."""
        return self._finder.interrupt()

    def number_after(self, count: int) -> None:
        """Number the events from ``count + 1`` on; to be called before the first one."""
        self._finder.count = count

    def _step(self, index: int, moment: Moment) -> WatchStep:
        frame, missing = moment.frame, moment.missing
        if index == self._first:
            self._check_proportions(frame)
        if moment.fresh or self._is_cut(frame, missing):
            self.profile.reset()
        self._report_lost(index, moment.time, missing)
        scored = self.profile.score(frame, missing)
        event = self._finder.add(index, moment.time, scored)
        active = self._finder.active
        return WatchStep(index, moment.time, frame, scored, self.threshold, active, event, missing, moment.fresh)

    def _check_proportions(self, frame: Picture) -> None:
        """Say that the profile was learned from frames of other proportions, most likely of another camera."""
        (known_height, known_width), (height, width) = self.profile.size, frame.shape[-2:]
        if not keeps_proportions(self.profile.size, height, width):
            self._on_notice(
                f"The profile was learned from frames of other proportions ({known_width / known_height:.2f} times as "
                f"wide as high) than these of {width}x{height}; learn one from normal footage of this camera."
            )

    def _is_cut(self, frame: Picture, missing: Shaped[np.ndarray, "c h w"] | None) -> bool:
        """Whether the source has cuts and one is here; a missing pixel keeps what was last measured there."""
        if self._cuts is None or (missing is not None and missing.all()):
            return False
        if missing is not None and self._shown is not None:
            frame = np.where(missing, self._shown, frame)
        self._shown = frame
        return self._cuts(frame)

    def _report_lost(self, index: int, time: float, missing: Shaped[np.ndarray, "c h w"] | None) -> None:
        """Say that no pixel of a frame is measured, or none in all channels, once for frames in a row."""
        lost = missing is not None and bool(missing.any(axis=0).all())
        if missing is not None and lost and not self._lost:
            part = "" if missing.all() else " in all channels"
            self._on_notice(f"No pixel of frame {index}, {time:.2f} s, is measured{part}; it is not scored.")
        self._lost = lost


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
    array_name: str | None = None,
    value_range: "StatedRange" = None,
    max_side: int = MAX_SIDE,
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
        array_name: which array of a file that holds several, such as NetCDF.
        value_range: the values of an array that become 0 and 1, see :func:`framepred.predict`, also of ``normal``.
            Where it states a filler, pixels that are NaN in a channel do not count, and frames of nothing else are not
            scored.
        max_side: longer side, in pixels, to which frames are scaled down; a profile keeps that with which it was made.
        cuts: whether the source has scene cuts, which are not unusual then.
        on_notice: called with sentences: what a viewer should know of the source, such as interlacing; how sure the
            threshold is; when a live source is lost or back.
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
    if not MIN_SIDE <= max_side <= LARGEST_SIDE:
        raise ConfigError(f"max_side must be from {MIN_SIDE} to {LARGEST_SIDE} pixels, not {max_side}.")
    forecasts = open_forecasts(weights, device)
    if adapt is not None and forecasts.net is None:
        raise ConfigError("Only a network in PyTorch can be adapted; name weights that are no baseline and no export.")
    if adapt is not None and profile is not None:
        raise ConfigError("A profile holds no adapted network; give normal footage instead, or do not adapt.")
    playing = play_source(
        source, layout, forecasts.channels, on_notice, stop, value_range, array_name, forecasts.trained_range
    )
    first = 0
    for note in playing.notes:
        on_notice(note)
    if isinstance(profile, Profile):
        known = profile
    elif profile is not None:
        known = Profile.load(profile, forecasts.steps)
    elif isinstance(normal, (int, float)):
        name = Path(source).name if isinstance(source, (str, Path)) else "the array"
        known, playing, first = learn_from_beginning(playing, float(normal), name, forecasts, adapt, max_side)
    else:
        known = learn_profile(normal, layout, forecasts, adapt, value_range, array_name, max_side)
    _check_limits(known, playing)
    on_notice(known.calibration.summary(false_alarms))
    return Watch(playing, first, known, false_alarms, cuts, on_notice)


def _check_limits(profile: Profile, playing: PlayingSource) -> None:
    """Refuse a profile of footage whose values were scaled in another way.

    Raises:
        ConfigError: if it is one.
    """
    if profile.limits is None or profile.limits == playing.limits:
        return
    played = "that of its type" if playing.limits is None else "{:g} to {:g}".format(*playing.limits)
    raise ConfigError(
        "The normal footage was read with the range of values {:g} to {:g}, ".format(*profile.limits)
        + f"and this source with {played}; state the same range for both."
    )


def check_rate(false_alarms: float) -> None:
    """Check a rate of false alarms an hour.

    Raises:
        ConfigError: if it is not a positive number.
    """
    if not 0 < false_alarms < float("inf"):
        raise ConfigError(f"The rate of false alarms must be a positive number an hour, not {false_alarms:g}.")


def _listed(event: Event | None) -> list[Event]:
    return [] if event is None else [event]


def _cut_detector() -> Callable[[Picture], bool]:
    import torch

    from framepred.inference.scaling import shrink
    from framepred.inference.scenes import CutDetector

    detector = CutDetector()
    return lambda frame: detector.is_cut(shrink(torch.from_numpy(unit_picture(frame))[None], MAX_SIDE)[0])
