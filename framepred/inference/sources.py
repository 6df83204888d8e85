"""Sources of clips: files, folders, arrays and tensors; each is decoded once for one prediction."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

from framepred.clips import WHITE, RawFrame
from framepred.errors import ClipError, ConfigError
from framepred.inference.reading_ahead import DecodedEnd, EndSize, ReadAhead
from framepred.media.arrays import AXES, CHANNELS, replace_frames, to_frames
from framepred.media.formats import ARRAYS, is_array, spoken_name
from framepred.media.frames import DEFAULT_FPS, FrameStream, with_nan
from framepred.media.pictures import shrunk_size
from framepred.media.pixels import GRAY_WITHIN
from framepred.media.ranges import DefaultRange, RangeChoice, StatedRange, ValueRange, as_choice, with_missing
from framepred.media.reading import Video, open_frames, read_clips
from framepred.media.resizing import resized, to_gray
from framepred.media.stored import arranged
from framepred.media.values import chosen_range, range_notes, scaling_note

Source: TypeAlias = str | Path | NDArray[np.generic] | Tensor
"""A path, or frames in memory: ``(t, h, w)``, ``(t, c, h, w)`` or ``(n, t, c, h, w)``, else ``(t, h, w, c)``."""


@dataclass(frozen=True)
class SourceForm:
    """How the values of a source are to be understood.

    Attributes:
        layout: the order of an array's axes, such as ``thwc``; None where its shape determines it.
        channels: channels that the network takes, by which the layout of an array is found; None for gray or RGB.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1; ``auto`` for those
            that the values suggest; None for ``learned_range``, or else those that the type states, where 16 bits of
            files of which fewer are used count as fewer.
        array_name: which array of a file that holds several; None where only one can be meant.
        learned_range: the values that the network was trained on as 0 and 1; None if it was trained on bytes.
        keeps_nan: whether missing pixels, for which the range states a filler, are NaN in the frames.
        ignored: numbers of frames of arrays, TIFF files and folders of pictures that may hold anything.
    """

    layout: str | None = None
    channels: int | None = None
    value_range: StatedRange = None
    array_name: str | None = None
    learned_range: ValueRange | None = None
    keeps_nan: bool = False
    ignored: frozenset[int] = frozenset()

    @property
    def range_of_files(self) -> RangeChoice:
        """The range for files: the stated one, else the default."""
        choice = DefaultRange(self.learned_range) if self.value_range is None else as_choice(self.value_range)
        return with_missing(choice) if self.keeps_nan else choice

    @property
    def range_of_arrays(self) -> RangeChoice:
        """The range for arrays in memory: those without a stated range keep their type, unless the network has one."""
        return None if self.value_range is None and self.learned_range is None else self.range_of_files

    @property
    def accepted_channels(self) -> tuple[int, ...]:
        """Numbers of channels by which the layout of an array is found."""
        return CHANNELS if self.channels is None else (self.channels,)

    def read(self, path: str | Path, last: int | None = None) -> Video:
        """Read an array file, all of it or its last frames; see :func:`~framepred.media.reading.read_clips`."""
        return read_clips(
            path,
            last=last,
            layout=self.layout,
            array_name=self.array_name,
            channels=self.accepted_channels,
            value_range=self.range_of_files,
            ignored=self.ignored,
        )

    def open(self, path: str | Path, last: int | None = None) -> FrameStream:
        """Open another file, or a folder; see :func:`~framepred.media.reading.open_frames`."""
        return open_frames(
            path,
            last=last,
            layout=self.layout,
            array_name=self.array_name,
            value_range=self.range_of_files,
            ignored=self.ignored,
        )


@dataclass(frozen=True)
class SourceEnd:
    """The end of the clips of a source.

    Attributes:
        frames: the last frames in full size, ``(n, t, c, h, w)``: uint8, uint16, or float32 in [0, 1].
        recent: the last frames scaled down, ``(n, p, c, h_small, w_small)``; as many as were asked for, or all.
        fps: mean number of frames per second.
        steady: whether all frames last equally long.
        notes: one sentence for each property of the source that a viewer should know.
        value_range: the values that became 0 and 1; None where the type states them.
    """

    frames: Shaped[Tensor, "n t c h w"]
    recent: Shaped[Tensor, "n p c h_small w_small"]
    fps: float
    steady: bool
    notes: tuple[str, ...] = ()
    value_range: ValueRange | None = None

    @property
    def filler(self) -> float | None:
        """What stands for missing pixels, which are NaN, where a network reads them; None where NaN is not read."""
        return None if self.value_range is None else self.value_range.filler_in_unit


@dataclass(frozen=True)
class OpenSource:
    """All clips of a source side by side.

    Attributes:
        frames: the frames ``(n, c, h, w)``, one after the other.
        fps: mean number of frames per second.
        steady: whether all frames last equally long.
        notes: one sentence for each property of the source that a viewer should know.
        value_range: the values that became 0 and 1; None where the type states them.
    """

    frames: Iterator[RawFrame]
    fps: float
    steady: bool
    notes: tuple[str, ...] = ()
    value_range: ValueRange | None = None


def source_name(source: Source | ReadAhead) -> str:
    """The name of a source in messages and cards."""
    path = source.path if isinstance(source, ReadAhead) else source
    return Path(spoken_name(path)).name if isinstance(path, (str, Path)) else "the array"


def read_end(source: Source | ReadAhead, size: EndSize, form: SourceForm) -> SourceEnd:
    """Read the end of every clip of a source, decoding no more than is asked for where the file allows it.

    Args:
        source: a path, array or tensor, or a video file that is being decoded.
        size: how many frames are read.
        form: how the values are to be understood.

    Raises:
        MediaError: if the source cannot be read.
        ClipError: if an array is no clip, or its values do not fit.
        ConfigError: if the layout does not fit.
    """
    if isinstance(source, ReadAhead):
        decoded = source.take() if source.size == size else None
        return read_end(source.path, size, form) if decoded is None else _decoded_end(decoded)
    if not isinstance(source, (str, Path)):
        clips, value_range = clips_in_memory(source, form)
        return _both_ends(clips, size, _notes_in_memory(clips, value_range), value_range)
    if is_array(Path(source)):
        video = form.read(source, last=size.recent)
        return _both_ends(video.clips, size, video.notes, video.value_range)
    return _stream_end(form.open(source, last=size.recent), size, source_name(source))


def open_source(source: Source, form: SourceForm) -> OpenSource:
    """Open all clips of a source side by side.

    Raises:
        MediaError: if the source cannot be read.
        ClipError: if an array is no clip, or its values do not fit.
        ConfigError: if the layout does not fit.
    """
    if not isinstance(source, (str, Path)):
        clips, value_range = clips_in_memory(source, form)
        notes = _notes_in_memory(clips, value_range)
        return OpenSource(iter(clips.unbind(dim=1)), DEFAULT_FPS, True, notes, value_range)
    if is_array(Path(source)):
        video = form.read(source)
        return OpenSource(iter(video.clips.unbind(dim=1)), video.fps, True, video.notes, video.value_range)
    return open_stream(form.open(source), source_name(source))


def open_stream(stream: FrameStream, name: str) -> OpenSource:
    """A stream as a source of one clip."""
    frames = (frame[None] for frame in stream.frames)
    notes = () if stream.value_range is None else scaling_note(stream.value_range, name)
    return OpenSource(frames, stream.fps, stream.steady, (*stream.notes, *notes), stream.value_range)


def clips_in_memory(
    source: NDArray[np.generic] | Tensor, form: SourceForm
) -> tuple[Shaped[Tensor, "n t c h w"], ValueRange | None]:
    """Clips ``(n, t, c, h, w)`` from an array or tensor, and the values that became 0 and 1.

    Raises:
        ClipError: if the shape is no clip's, the type has no known range, or floats are not finite or outside [0, 1].
        ConfigError: if the layout does not fit.
    """
    clips = replace_frames(arranged_in_memory(source, form), form.ignored)
    value_range = chosen_range(form.range_of_arrays, lambda: [clips])
    return to_frames(clips, "The array", value_range), value_range


def _notes_in_memory(clips: Shaped[Tensor, "n t c h w"], value_range: ValueRange | None) -> tuple[str, ...]:
    return () if value_range is None else range_notes(clips, value_range, "the array")


def values_in_memory(source: NDArray[np.generic] | Tensor) -> NDArray[Any]:
    """The values of an array or tensor; masked ones are NaN.

    Raises:
        ClipError: if it is neither, or a tensor without dense values.
    """
    if isinstance(source, np.ndarray):
        return with_nan(source)
    if not isinstance(source, Tensor) or source.is_meta or source.layout != torch.strided:
        found = "a tensor without dense values" if isinstance(source, Tensor) else f"a {type(source).__name__}"
        raise ClipError(
            f"Frames are a path, a NumPy array or a PyTorch tensor, not {found}; stack single frames by numpy.stack."
        )
    try:
        return (source.float() if source.dtype == torch.bfloat16 else source).detach().cpu().numpy()
    except (RuntimeError, TypeError) as error:  # NumPy has no such numbers, or the tensor is a lazy conjugate
        raise ClipError(
            f"Frames of the type {source.dtype} cannot be read; convert them to uint8, uint16 or float32."
        ) from error


def arranged_in_memory(source: NDArray[np.generic] | Tensor, form: SourceForm) -> NDArray[np.generic]:
    """A view ``(n, t, c, h, w)`` of frames in memory.

    Raises:
        ClipError: if the shape is no clip's.
        ConfigError: if the layout does not fit.
    """
    array = values_in_memory(source)
    order = form.layout or _found_layout(array.shape, form)
    if not set("thw") <= set(order) <= set(AXES) or len(order) != array.ndim or len(set(order)) != len(order):
        raise ConfigError(f"The layout {order} does not name the {array.ndim} axes of the array {array.shape}.")
    clips = arranged(array, order)
    if 0 in clips.shape:
        raise ClipError(f"The array holds no frames: its shape is {array.shape}.")
    return clips


def shrink_raw(frame: Shaped[Tensor, "c _h _w"], max_side: int) -> Shaped[Tensor, "c _h_small _w_small"]:
    """A frame of a file with its longer side at most ``max_side`` pixels; type and range stay."""
    height, width = frame.shape[-2:]
    size = shrunk_size(height, width, max_side)
    return frame if size == (height, width) else resized(frame, size)


def shrink_clips(clips: Shaped[Tensor, "n t c _h _w"], max_side: int) -> Shaped[Tensor, "n t c _h_small _w_small"]:
    """Every frame of clips by :func:`shrink_raw`, one after the other, so that memory stays small."""
    return torch.stack([torch.stack([shrink_raw(frame, max_side) for frame in clip]) for clip in clips])


def _found_layout(shape: Sequence[int], form: SourceForm) -> str:
    candidates = {3: ["thw"], 4: ["tchw", "thwc"], 5: ["ntchw", "nthwc"]}.get(len(shape), [])
    accepted = form.accepted_channels
    fitting = [order for order in candidates if "c" not in order or shape[order.index("c")] in accepted]
    if not fitting:
        raise ClipError(
            f"An array of the shape {tuple(shape)} is no clip (t, h, w), (t, c, h, w), (n, t, c, h, w) or (t, h, w, c) "
            f"with {' or '.join(map(str, accepted))} channels; reshape it, or give the layout, such as nthw."
        )
    return fitting[0]


def _both_ends(
    clips: Shaped[Tensor, "n p c h w"],
    size: EndSize,
    notes: tuple[str, ...] = (),
    value_range: ValueRange | None = None,
) -> SourceEnd:
    small = shrink_clips(clips[:, -size.recent :], size.max_side)
    return SourceEnd(clips[:, -size.last :], small, DEFAULT_FPS, True, notes, value_range)


def _stream_end(stream: FrameStream, size: EndSize, name: str) -> SourceEnd:
    """Both ends in one pass."""
    frames: deque[Tensor] = deque(maxlen=size.last)
    small: deque[Tensor] = deque(maxlen=size.recent)
    for frame in stream.frames:
        frames.append(frame)
        small.append(shrink_raw(frame, size.max_side))
    full, shrunk = _stacked(frames, small, stream.gray_within)
    notes = (*stream.notes, *range_notes(full, stream.value_range, name))
    return SourceEnd(full, shrunk, stream.fps, stream.steady, notes, stream.value_range)


def _decoded_end(end: DecodedEnd) -> SourceEnd:
    full, small = ([torch.from_numpy(picture) for picture in pictures] for pictures in (end.full, end.small))
    return SourceEnd(*_stacked(full, small, GRAY_WITHIN), end.header.fps, end.header.steady, end.header.notes)


def _stacked(
    full: Collection[Tensor], small: Collection[Tensor], gray_within: int | None
) -> tuple[Shaped[Tensor, "1 t c h w"], Shaped[Tensor, "1 p c _h _w"]]:
    """Both ends as clips; those of a video file or GIF whose last frames are gray get one channel."""
    gray = gray_within is not None and all(_is_gray(frame, gray_within) for frame in full)
    return _stack(full, gray)[None], _stack(small, gray)[None]


def _is_gray(frame: Tensor, within: int) -> bool:
    return len(frame) == 1 or int((frame.amax(dim=0) - frame.amin(dim=0)).max()) <= within


def _stack(frames: Iterable[Tensor], gray: bool) -> Shaped[Tensor, "t c h w"]:
    found = [to_gray(frame) if gray and len(frame) > 1 else frame for frame in frames]
    channels = max(len(frame) for frame in found)
    return torch.stack([frame.expand(channels, -1, -1) for frame in found])


def to_source_values(path: str | Path, value_range: ValueRange | None) -> Callable[[Tensor], Tensor] | None:
    """What turns frames in [0, 1] back into the values of the source for a file; None where nothing does."""
    store = to_stored(path, value_range)
    return None if store is None or value_range is None else lambda frames: store(value_range.values(frames))


def to_stored(path: str | Path, value_range: ValueRange | None) -> Callable[[Tensor], Tensor] | None:
    """What gives values of the source the type that a file holds; None where a file does not hold them.

    Arrays get the values themselves, as floats where they are no whole numbers. Png files get them as 16-bit integers,
    if these can hold the range and are no coarser than its 256 levels of 8 bits.
    """
    suffix = Path(path).suffix.lower()
    if value_range is None or (suffix and suffix not in ARRAYS):
        return None
    if suffix:
        return value_range.stored
    white = WHITE[torch.uint16]
    fine = value_range.whole or value_range.high - value_range.low >= WHITE[torch.uint8]
    if value_range.low < 0 or value_range.high > white or not fine:
        return None
    return lambda values: values.round().clamp(0, white).int().to(torch.uint16)
