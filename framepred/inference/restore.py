"""Rebuild the missing frames of a video from both sides, or raise its frame rate: one call for all sources."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, tee
from pathlib import Path
from typing import SupportsIndex, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from framepred.baselines import RESTORERS, LinearInterpolation
from framepred.clips import Clip, Frame, Future, RawFrame, missing_pixels
from framepred.errors import ClipError, ConfigError
from framepred.forecaster import Forecaster, check_name
from framepred.inference import windows
from framepred.inference.damage import Dropped, find_damaged, find_dropped
from framepred.inference.devices import pick_device
from framepred.inference.film_restorer import FilmRestorer
from framepred.inference.integers import as_integer
from framepred.inference.measured import keep_last_measured
from framepred.inference.missing import check_factor, check_missing, parse_missing
from framepred.inference.motion_restorer import AutoRestorer, MotionRestorer
from framepred.inference.networks import NATURAL, channels_of, needs_of, range_of
from framepred.inference.restoration import Restoration, Restored
from framepred.inference.scaling import resize, shrink
from framepred.inference.sources import OpenSource, Source, SourceForm, open_source, open_stream, source_name
from framepred.inference.windows import MarkedFrame, mark, number_scenes, restore_by_each
from framepred.media.decoding import intact_frames
from framepred.media.encoders import MAX_GIF_FPS
from framepred.media.fetching import local_path
from framepred.media.formats import VIDEOS, check_input
from framepred.media.frame_times import FrameTimes, frame_times, varying_rate
from framepred.media.paths import expand_user
from framepred.media.ranges import StatedRange
from framepred.media.sequences import note_of_inserted
from framepred.media.video_header import keeps_rate
from framepred.models import ForecastRestorer, load_restorer
from framepred.models.devices import move_network
from framepred.restorer import Missing, Restorer

BIDIRECTIONAL = "bidirectional"
"""The method that restores with a network; the others are named in :data:`framepred.baselines.RESTORERS`."""

MOTION = "motion"
"""The method that moves the frames on both sides along the optical flow; see
:class:`~framepred.inference.motion_restorer.MotionRestorer`."""

AUTO = "auto"
"""The network where frames are small and gray and it rebuilds observed frames better; otherwise motion, with forecasts
from both sides in long gaps and predictions at the ends; see
:class:`~framepred.inference.film_restorer.FilmRestorer`."""

METHODS = (AUTO, MOTION, BIDIRECTIONAL, *RESTORERS)

WEIGHTS = "moving-mnist"
"""Bundled weights with which the network restores: it forecasts a gap from both sides."""

MAX_SIDE = 512
"""Longer side, in pixels, of the frames that a network gets."""

AnyClip: TypeAlias = Float[Tensor, "_b _t _c _h _w"]


def restore(
    source: Source,
    *,
    missing: Iterable[SupportsIndex] | str | None = None,
    find: bool = False,
    upsample: int = 1,
    method: str = AUTO,
    compare: Sequence[str] = (),
    weights: str | Path | Restorer | Forecaster | None = None,
    holdout: bool = False,
    device: str | torch.device = "auto",
    layout: str | None = None,
    array_name: str | None = None,
    value_range: StatedRange = None,
    max_side: int = MAX_SIDE,
    cuts: bool = True,
    on_frame: Callable[[int], object] = lambda _: None,
) -> Restoration:
    """Rebuild the missing frames of a video from both sides, or raise its frame rate.

    Frames are counted from 0, inserted ones included. The output has a frame for each frame of the source; with
    ``upsample``, that many times as many, less those after the last.
    Frames are never blended across a scene cut. Several clips in one array are restored one by one.

    Args:
        source: a video file, a folder of frames, an array file, an array or a tensor; an array may hold several clips.
        missing: numbers of the frames to rebuild, counted from 0, or a text such as ``7,8,12-15``.
        find: also rebuild frames that repeat the one before, are frozen or damaged, and insert those that are missing
            in the numbers of pictures or in the time stamps of a video.
        upsample: factor of the frame rate: 2 puts a frame between each two.
        method: ``auto``; ``motion`` for films; ``bidirectional`` for the network; or ``linear``,
            ``motion-compensated``, ``minterpolate``, ``last-frame``, ``hopfield``.
        compare: further methods to restore with, for scores and for showing them beside.
        weights: of the network, which ``auto`` then takes: a bundled name, a path, ``owner/name`` of the Hugging Face
            Hub, a restorer, or a forecaster, which forecasts a gap from both sides; None for ``WEIGHTS``.
        holdout: the missing frames are intact: hide, rebuild and score them.
        device: ``auto``, ``cpu``, ``cuda``, or a device.
        layout: the order of an array's axes, such as ``thwc``, where its shape does not determine it.
        array_name: which array of a file that holds several, such as NetCDF.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1; ``auto`` for those
            that the values suggest; None for those that the network was trained on or the type states.
        max_side: frames with a longer side are scaled to it for the network, in pixels.
        cuts: whether to look for scene cuts.
        on_frame: called with the number of frames that are done.

    Raises:
        ConfigError: if nothing is to be done, or an argument is outside its domain.
        MediaError: if the source cannot be read.
        WeightsError: if the weights cannot be used.

    Example:
        >>> fading = torch.arange(5.0).view(5, 1, 1, 1) / 10
        >>> restoration = restore(fading, missing=[2], method="linear", cuts=False)
        >>> restoration.rebuilt, round(float(restoration.frames[2]), 3)
        ((2,), 0.2)
    """
    upsample, max_side = check_factor(upsample), as_integer("max_side", max_side)
    numbers = _checked(missing, find, upsample, holdout)
    dropped = find_dropped(source) if find else Dropped()
    if method == AUTO and weights is not None:
        method = BIDIRECTIONAL
    names = list(dict.fromkeys([method, *compare]))
    place = pick_device(device)
    nets = [move_network(_restorer(name, weights, max_side), place) for name in names]
    channels, learned = needs_of(nets, value_range)
    ignored = frozenset() if holdout else _in_source(numbers, dropped.numbers)
    form = SourceForm(layout, channels, value_range, array_name, learned, keeps_nan=True, ignored=ignored)
    opened = _open(source, form, find)
    filler = None if opened.value_range is None else opened.value_range.filler_in_unit
    fps, times = dropped.fps or opened.fps, None
    notes = [note_of_inserted(note, len(dropped.numbers)) for note in opened.notes]
    if dropped.fps is None and not (opened.steady and _keeps_rate(source)):
        times = _frame_times(source, dropped.numbers, upsample)
        fps = fps if times is None else (len(times.seconds) - 1) / float(times.seconds[-1]) / upsample
        name = source_name(source)
        notes.append(varying_rate(name, fps, "is written") if times is None else _kept(name, times))

    def run() -> Iterator[Restored]:
        clips = _clip_by_clip(_with_places(_open(source, form, find).frames, dropped.numbers))
        marked = numbers | dropped.numbers
        versions = [_restore_clip(clip, nets, marked, find, upsample, cuts, filler) for clip in clips]
        for number, parts in enumerate(zip(*versions, strict=True), start=1):
            on_frame(number)
            yield _side_by_side(parts)

    def originals() -> Iterator[tuple[int, RawFrame]]:
        places = (index * upsample for index in count() if index not in dropped.numbers)
        exact = replace(form, value_range=opened.value_range and replace(opened.value_range, scales=False))
        return zip(places, _open(source, exact, find).frames, strict=False)

    file = expand_user(source) if isinstance(source, (str, Path)) else None
    known = None if opened.value_range is None else originals
    return Restoration(run, names, fps * upsample, holdout, notes, opened.value_range, file, times, known)


def _keeps_rate(source: Source) -> bool:
    """Whether all frames last equally long, as far as the source states."""
    if not isinstance(source, (str, Path)):
        return True
    path = local_path(source)
    return path.suffix.lower() not in VIDEOS or keeps_rate(path)


def _frame_times(source: Source, dropped: frozenset[int], factor: int) -> FrameTimes | None:
    """When the restored frames are shown; None where the source does not state it.

    Args:
        source: the source.
        dropped: the indices of frames that the source lacks, in the restored sequence before it is upsampled.
        factor: how many times the frame rate is raised.
    """
    times = frame_times(local_path(source)) if isinstance(source, (str, Path)) else None
    if times is None:
        return None
    count = len(times.seconds) + len(dropped)
    known = [index for index in range(count) if index not in dropped]
    wanted = np.arange((count - 1) * factor + 1) / factor
    return times._replace(seconds=np.interp(wanted, known, times.seconds))


def _kept(name: str, times: FrameTimes) -> str:
    """The sentence on a source whose frames do not last equally long, and keep their times."""
    short = np.diff(times.seconds).min() * MAX_GIF_FPS < 0.999  # times are rounded
    limit = f", but a .gif shows each for at least {1000 / MAX_GIF_FPS:.0f} ms" if short else ""
    return f"The frame rate of {name} varies; frames of .mp4 and .gif keep their times{limit}."


def _open(source: Source, form: SourceForm, find: bool) -> OpenSource:
    """The source; where frames to rebuild are looked for, a video file without those that are damaged."""
    if not (find and isinstance(source, (str, Path)) and Path(source).suffix.lower() in VIDEOS):
        return open_source(source, form)
    return open_stream(intact_frames(check_input(source), form.range_of_files), source_name(source))


def _checked(missing: Iterable[SupportsIndex] | str | None, find: bool, factor: int, holdout: bool) -> frozenset[int]:
    if missing is None and factor == 1 and not find:
        raise ConfigError("Nothing is to be done: give the numbers of missing frames, find them, or raise upsample.")
    if holdout and (missing is None or factor > 1 or find):
        raise ConfigError("holdout scores the frames named in missing; leave upsample and find out.")
    if missing is None:
        return frozenset()
    return parse_missing(missing, factor) if isinstance(missing, str) else check_missing(missing, factor)


def _restorer(method: str, weights: str | Path | Restorer | Forecaster | None, max_side: int) -> Restorer:
    """The network, or the baseline of that name."""
    if method not in METHODS:
        raise ConfigError(f"There is no method {method!r}; choose one of {', '.join(METHODS)}.")
    if method in RESTORERS:
        return RESTORERS[method]()
    if method == MOTION:
        return MotionRestorer()
    if method == AUTO:
        return AutoRestorer(FilmRestorer(lambda: load_restorer(NATURAL)), lambda: load_restorer(WEIGHTS))
    if isinstance(weights, Forecaster):
        return ScaledRestorer(ForecastRestorer(weights), max_side)
    if isinstance(weights, Restorer):
        return ScaledRestorer(weights, max_side)
    check_name(weights := weights or WEIGHTS, Restorer)
    return ScaledRestorer(load_restorer(weights), max_side)


def _in_source(numbers: frozenset[int], dropped: frozenset[int]) -> frozenset[int]:
    """The numbers that frames have in a source that lacks the dropped ones."""
    return frozenset(number - sum(other < number for other in dropped) for number in numbers - dropped)


def _with_places(frames: Iterator[RawFrame], dropped: frozenset[int]) -> Iterator[RawFrame]:
    """The frames with a copy of the one before at the indices of dropped ones, to be rebuilt."""
    index = 0
    for frame in frames:
        yield frame
        index += 1
        while index in dropped:
            yield frame
            index += 1


def _clip_by_clip(frames: Iterable[RawFrame]) -> list[Iterator[RawFrame]]:
    """An iterator ``(1, c, h, w)`` for each clip of frames ``(n, c, h, w)``."""
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise ClipError("There is no frame to restore; give at least one.")
    copies = tee(chain([first], rest), len(first))
    return [_only_clip(copy, number) for number, copy in enumerate(copies)]


def _only_clip(frames: Iterable[RawFrame], number: int) -> Iterator[RawFrame]:
    for frame in frames:
        yield frame[number : number + 1]


def _restore_clip(
    frames: Iterator[RawFrame],
    nets: Sequence[Restorer],
    numbers: frozenset[int],
    find: bool,
    factor: int,
    cuts: bool,
    filler: float | None,
) -> Iterator[tuple[MarkedFrame, list[RawFrame]]]:
    marked = mark(frames, numbers)
    if find:
        marked = _mark_damaged(marked, filler)
    if factor > 1:
        marked = windows.upsample(marked, factor)
    return restore_by_each(nets, number_scenes(marked, filler) if cuts else marked)


def _side_by_side(parts: Sequence[tuple[MarkedFrame, list[RawFrame]]]) -> Restored:
    """The same frame of all clips as one batch."""
    marks, versions = zip(*parts, strict=True)
    return Restored(
        torch.cat([mark.frame for mark in marks]),
        tuple(mark.missing for mark in marks),
        [torch.cat(list(frames)) for frames in zip(*versions, strict=True)],
    )


def _mark_damaged(frames: Iterable[MarkedFrame], filler: float | None) -> Iterator[MarkedFrame]:
    """The same frames; those that repeat the one before, are damaged or not measured at all marked as missing too."""
    original, copy = tee(frames)
    damage = find_damaged(keep_last_measured((frame.frame[0] for frame in copy), filler))
    for frame, damaged in zip(original, damage, strict=True):
        lost = missing_pixels(frame.frame)
        yield frame._replace(missing=frame.missing or damaged or (lost is not None and bool(lost.all())))


class ScaledRestorer(Restorer):
    """Shows a restorer frames scaled down, and adds what it finds to linear interpolation in full size.

    Frames whose longer side is at most ``max_side`` pass unchanged.

    Args:
        net: the inner restorer.
        max_side: longest side in pixels that it gets, at least 1.
    """

    def __init__(self, net: Restorer, max_side: int) -> None:
        super().__init__()
        self.net = net
        self.max_side = max_side
        self.linear = LinearInterpolation()
        self.channels = channels_of(net)
        self.value_range = range_of(net)

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """The missing frames in full size, ``(b, m, c, h, w)``."""
        small = _each(lambda frames: shrink(frames, self.max_side), clip)
        if small.shape == clip.shape:
            return self.net.fill(clip, missing)
        change = self.net.fill(small, missing) - self.linear.fill(small, missing)
        return self.linear.fill(clip, missing) + _each(lambda frames: resize(frames, clip.shape[-2:]), change)


def _each(change: Callable[[Frame], Frame], clip: AnyClip) -> AnyClip:
    """A clip with every frame changed."""
    frames = change(clip.flatten(0, 1))
    return frames.view(*clip.shape[:2], *frames.shape[1:])
