"""Read clips from files, folders of pictures and arrays, from standard input, pipes and addresses."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.errors import ClipError, ConfigError
from framepred.media.arrays import CHANNELS, array_frames, read_array
from framepred.media.decoding import file_frames
from framepred.media.fetching import local_path
from framepred.media.formats import GIF, IMAGES, is_array
from framepred.media.frames import DEFAULT_FPS, FrameStream
from framepred.media.images import folder_frames
from framepred.media.limits import check_bytes
from framepred.media.pages import page_frames
from framepred.media.ranges import RangeChoice, ValueRange
from framepred.media.resizing import to_gray
from framepred.media.values import range_notes


@dataclass(frozen=True)
class ArrayForm:
    """How an array file is to be understood; files of other kinds state these things themselves.

    Attributes:
        layout: the order of its axes, such as ``thwc``; None to find it by the shape.
        channels: numbers of channels by which the layout is found, such as those that a network takes.
        name: which array of a file that holds several.
        transparency: whether the last of four channels is the opacity of RGB, which is laid on black.
    """

    layout: str | None = None
    channels: tuple[int, ...] = CHANNELS
    name: str | None = None
    transparency: bool = False


@dataclass(frozen=True)
class Video:
    """Clips and their rate, as they were read.

    Attributes:
        clips: ``(n, t, c, h, w)``, uint8, uint16, or float32 in [0, 1]; n is 1 for everything but an array of clips.
        fps: mean number of frames per second; ``DEFAULT_FPS`` for arrays and folders.
        steady: whether all frames last equally long; if not, ``fps`` is only their mean.
        notes: one sentence for each property of the source that a viewer should know.
        value_range: the values that became 0 and 1; None where the type states the range.
    """

    clips: Shaped[Tensor, "n t c h w"]
    fps: float
    steady: bool = True
    notes: tuple[str, ...] = ()
    value_range: ValueRange | None = None


def read_video(
    path: str | Path, *, layout: str | None = None, array_name: str | None = None, value_range: RangeChoice = None
) -> Shaped[Tensor, "t c h w"]:
    """One whole clip, uint8 (uint16 or float32 in [0, 1] where the source has it).

    Args:
        path: see :func:`read_clips`.
        layout: the order of an array's axes, such as ``thwc``; None to find it by the shape.
        array_name: which array of a file that holds several.
        value_range: the values that become 0 and 1; see :func:`read_clips`.

    Raises:
        MediaError: if it cannot be read, or takes more than 2 GiB.
        ClipError: if an array is no clip, or is several.
    """
    clips = read_clips(path, layout=layout, array_name=array_name, value_range=value_range).clips
    if len(clips) != 1:
        raise ClipError(f"{path} holds {len(clips)} clips but one is wanted here; use read_clips for all of them.")
    return clips[0]


def read_clips(
    path: str | Path,
    *,
    last: int | None = None,
    layout: str | None = None,
    array_name: str | None = None,
    channels: tuple[int, ...] = CHANNELS,
    transparency: bool = False,
    value_range: RangeChoice = None,
    ignored: frozenset[int] = frozenset(),
) -> Video:
    """All clips of a source with their rate, whole or only the end of each.

    A video file or GIF becomes gray, one channel of luma (ITU-R BT.601), when its channels never differ in the frames
    read by more than the codec's rounding; other sources have the channels they state.

    Args:
        path: a video file, a folder of pictures, a picture file of several frames, an array file, ``-`` for standard
            input, a named pipe, or an http address.
        last: read at most this many frames at the end, and decode no more where the file allows it; None reads all.
        layout: the order of an array's axes, such as ``thwc``; None to find it by the shape.
        array_name: which array of a file that holds several.
        channels: numbers of channels by which the layout is found, such as those that a network takes.
        transparency: whether the last of four channels of an array is the opacity of RGB, which is laid on black.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1; ``auto`` for those
            that the values read suggest; None for those that the type states.
        ignored: numbers of frames of an array, a TIFF or a folder of pictures that may hold anything; another frame
            stands in their place. Needs all frames.

    Raises:
        MediaError: if it cannot be read, or takes more than 2 GiB.
        ClipError: if an array is no clip, or values have no known range.
        ConfigError: if ``last`` is less than 1, or ``layout`` does not fit.
    """
    if last is not None and last < 1:
        raise ConfigError(f"The number of last frames to read must be at least 1, not {last}.")
    form = ArrayForm(layout, channels, array_name, transparency)
    local = local_path(path)
    if is_array(local):
        clips, chosen = read_array(
            local,
            last,
            layout,
            channels=channels,
            name=array_name,
            value_range=value_range,
            transparency=transparency,
            ignored=ignored,
        )
        return Video(clips, DEFAULT_FPS, notes=range_notes(clips, chosen, path), value_range=chosen)
    stream = _open(local, form, last, value_range, ignored)
    clips = _stacked(_within_memory(stream, path))[None]
    notes = (*stream.notes, *range_notes(clips, stream.value_range, path))
    return Video(clips, stream.fps, stream.steady, notes, stream.value_range)


def open_frames(
    source: str | Path,
    *,
    last: int | None = None,
    layout: str | None = None,
    array_name: str | None = None,
    channels: tuple[int, ...] = CHANNELS,
    value_range: RangeChoice = None,
    ignored: frozenset[int] = frozenset(),
) -> FrameStream:
    """The frames of a source one at a time, so that memory does not grow; video files and GIFs give RGB, even if gray.

    Args:
        source: see :func:`read_clips`; an array file must hold one clip.
        last: give at most this many frames at the end, and decode no more where the file allows it.
        layout: see :func:`read_clips`.
        array_name: see :func:`read_clips`.
        channels: see :func:`read_clips`.
        value_range: see :func:`read_clips`.
        ignored: numbers of frames of a TIFF or a folder of pictures that may hold anything; see :func:`read_clips`.

    Raises:
        MediaError: if it cannot be opened; while reading, if it turns out to be damaged.
        ClipError: if an array is no clip, or is several.
        ConfigError: if ``layout`` does not fit.
    """
    return _open(local_path(source), ArrayForm(layout, channels, array_name), last, value_range, ignored)


def _open(
    path: Path, form: ArrayForm, last: int | None, value_range: RangeChoice, ignored: frozenset[int]
) -> FrameStream:
    if is_array(path):
        return array_frames(
            path, form.layout, last=last, channels=form.channels, name=form.name, value_range=value_range
        )
    refuse_form(path, form.layout, form.name)
    if path.is_dir():
        return folder_frames(path, last, value_range, ignored)
    if path.suffix.lower() in (GIF, *IMAGES):
        return page_frames(path, last, value_range, ignored)
    return file_frames(path, last, value_range)


def refuse_form(source: object, layout: str | None, array_name: str | None = None) -> None:
    """Refuse what is stated of an array for a source that is none.

    Raises:
        ConfigError: if something is stated.
    """
    if layout is not None or array_name is not None:
        stated = f"layout {layout}" if layout is not None else f"name {array_name}"
        raise ConfigError(f"The {stated} is for arrays but {source} is none; leave it out.")


def _within_memory(stream: FrameStream, name: object) -> Iterable[Tensor]:
    """The frames, gray where they are, as long as they fit into memory."""
    kept: deque[Tensor] = deque()
    count = 0
    for frame in stream.frames:
        kept.append(_narrowed(frame, stream.gray_within))
        count += kept[-1].nbytes
        check_bytes(name, count)
    return kept


def _narrowed(frame: Tensor, gray_within: int | None) -> Tensor:
    """One channel of luma, where the three are so close."""
    if gray_within is None or len(frame) == 1:
        return frame
    spread = frame.amax(dim=0) - frame.amin(dim=0)
    return to_gray(frame) if int(spread.max()) <= gray_within else frame


def _stacked(frames: Iterable[Tensor]) -> Tensor:
    frames = list(frames)
    channels = max(len(frame) for frame in frames)
    return torch.stack([frame.expand(channels, -1, -1) for frame in frames])
