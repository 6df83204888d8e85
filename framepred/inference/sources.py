"""Sources of clips: files, folders, arrays and tensors, read once for one prediction."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

from framepred.clips import RawFrame
from framepred.errors import ClipError, ConfigError
from framepred.media.arrays import AXES, CHANNELS, arranged, to_frames
from framepred.media.formats import check_input, is_array
from framepred.media.frames import DEFAULT_FPS, FrameStream
from framepred.media.random_access import open_reader
from framepred.media.reading import open_frames
from framepred.media.resizing import resized

Source: TypeAlias = str | Path | NDArray[np.generic] | Tensor
"""A path, or frames in memory: ``(t, h, w)``, ``(t, c, h, w)`` or ``(n, t, c, h, w)``, else ``(t, h, w, c)``."""

MANY_CHANNELS = tuple(range(1, 4097))
"""Numbers of channels that an array may have where its layout is stated."""


@dataclass(frozen=True)
class SourceEnd:
    """The end of the clips of a source.

    Attributes:
        frames: the last frames in full size, ``(n, t, c, h, w)``: uint8, uint16, or float32 in [0, 1].
        recent: as many frames before the end as were asked for, or all there are, ``(n, p, c, h_small, w_small)``;
            these include ``frames``.
        fps: mean number of frames per second.
        steady: whether all frames last equally long.
    """

    frames: Shaped[Tensor, "n t c h w"]
    recent: Shaped[Tensor, "n p c h_small w_small"]
    fps: float
    steady: bool


def source_name(source: Source) -> str:
    """The name of a source in messages and cards."""
    return Path(source).name if isinstance(source, (str, Path)) else "the array"


def read_end(
    source: Source,
    last: int,
    *,
    recent: int,
    max_side: int,
    layout: str | None = None,
    channels: int | None = None,
) -> SourceEnd:
    """Read the end of every clip of a source, decoding it once and holding no more than is asked for.

    Args:
        source: a path, array or tensor.
        last: number of last frames in full size; fewer where the clips are shorter.
        recent: number of last frames scaled down, at least ``last``.
        max_side: longest side of the latter, in pixels.
        layout: the order of an array's axes, such as ``thwc``; None where its shape determines it.
        channels: channels that the frames of an array must have, which also determines its layout; None for any.

    Raises:
        MediaError: if the source cannot be read.
        ClipError: if an array is no clip.
        ConfigError: if ``layout`` does not fit.
    """
    if isinstance(source, (str, Path)):
        path = check_input(source)
        if not is_array(path):
            return _stream_end(open_frames(path, layout=layout), last, recent, max_side)
        clips = _array_end(path, recent, layout, channels)
    else:
        clips = clips_in_memory(source, layout, channels)[:, -recent:]
    small = torch.stack([torch.stack([shrink_raw(frame, max_side) for frame in clip]) for clip in clips])
    return SourceEnd(clips[:, -last:], small, DEFAULT_FPS, True)


def open_source(
    source: Source, layout: str | None = None, channels: int | None = None
) -> tuple[Iterable[RawFrame], float, bool]:
    """Open all clips of a source side by side.

    Returns:
        The frames ``(n, c, h, w)`` one after the other, their rate, and whether it is steady.

    Raises:
        MediaError: if the source cannot be read.
        ClipError: if an array is no clip.
        ConfigError: if ``layout`` does not fit.
    """
    if not isinstance(source, (str, Path)):
        return clips_in_memory(source, layout, channels).unbind(dim=1), DEFAULT_FPS, True
    path = check_input(source)
    if is_array(path):
        return _array_frames(path, layout, channels), DEFAULT_FPS, True
    stream = open_frames(path, layout=layout)
    return (frame[None] for frame in stream.frames), stream.fps, stream.steady


def clips_in_memory(
    source: NDArray[np.generic] | Tensor, layout: str | None = None, channels: int | None = None
) -> Shaped[Tensor, "n t c h w"]:
    """Clips ``(n, t, c, h, w)`` from an array or tensor, with channels before height where both orders fit.

    Raises:
        ClipError: if the shape is no clip's, the type has no known range, or floats
            are not finite or outside [0, 1].
        ConfigError: if ``layout`` does not fit.
    """
    array = source.detach().cpu().numpy() if isinstance(source, Tensor) else source
    order = layout or _guess_layout(array.shape, channels)
    if not set("thw") <= set(order) <= set(AXES) or len(order) != array.ndim or len(set(order)) != len(order):
        raise ConfigError(f"The layout {order} does not name the {array.ndim} axes of the array {array.shape}.")
    found = arranged(array, order)
    if 0 in found.shape:
        raise ClipError(f"The array holds no frames: its shape is {array.shape}.")
    return to_frames(found, Path("The array"), transparency=channels is None and found.shape[2] == 4)


def accepted_channels(layout: str | None, channels: int | None) -> tuple[int, ...]:
    """Numbers of channels that an array may have.

    Args:
        layout: the order of its axes where it is stated; then any number will do.
        channels: channels of the weights; None or 1 where they run on each channel by itself.
    """
    if channels is not None and channels > 1:
        return (channels,)
    return MANY_CHANNELS if layout else CHANNELS


def shrink_raw(frame: Shaped[Tensor, "c _h _w"], max_side: int) -> Shaped[Tensor, "c _h_small _w_small"]:
    """A frame of a file with its longer side at most ``max_side`` pixels; type and range stay."""
    height, width = frame.shape[-2:]
    ratio = min(1.0, max_side / max(height, width))
    size = max(1, round(height * ratio)), max(1, round(width * ratio))
    return frame if size == (height, width) else resized(frame, size)


def _guess_layout(shape: Sequence[int], channels: int | None) -> str:
    candidates = {3: ["thw"], 4: ["tchw", "thwc"], 5: ["ntchw", "nthwc"]}.get(len(shape), [])
    accepted = accepted_channels(None, channels)
    fitting = [order for order in candidates if "c" not in order or shape[order.index("c")] in accepted]
    if not fitting:
        raise ClipError(
            f"An array of the shape {tuple(shape)} is no clip (t, h, w), (t, c, h, w), (t, h, w, c) or "
            "(n, t, c, h, w); reshape it, or give the layout, such as nthw."
        )
    return fitting[0]


def _array_end(path: Path, last: int, layout: str | None, channels: int | None) -> Shaped[Tensor, "n t c h w"]:
    with closing(open_reader(path, layout=layout, channels=accepted_channels(layout, channels))) as reader:
        wanted = range(max(0, reader.frames - last), reader.frames)
        return torch.stack([torch.stack(list(reader.read(wanted, clip))) for clip in range(reader.clips)])


def _array_frames(path: Path, layout: str | None, channels: int | None) -> Iterator[RawFrame]:
    with closing(open_reader(path, layout=layout, channels=accepted_channels(layout, channels))) as reader:
        for number in range(reader.frames):
            wanted = range(number, number + 1)
            yield torch.stack([frame for clip in range(reader.clips) for frame in reader.read(wanted, clip)])


def _stream_end(stream: FrameStream, last: int, recent: int, max_side: int) -> SourceEnd:
    """Both in one pass; a video file or GIF whose last frames are gray gives one channel."""
    frames: deque[Tensor] = deque(maxlen=last)
    small: deque[Tensor] = deque(maxlen=recent)
    for frame in stream.frames:
        frames.append(frame)
        small.append(shrink_raw(frame, max_side))
    if stream.gray_within is not None and all(_is_gray(frame, stream.gray_within) for frame in frames):
        frames, small = ([frame[1:2].clone() for frame in part] for part in (frames, small))  # type: ignore[assignment]
    return SourceEnd(_stack(frames)[None], _stack(small)[None], stream.fps, stream.steady)


def _is_gray(frame: Tensor, within: int) -> bool:
    return int((frame.amax(dim=0) - frame.amin(dim=0)).max()) <= within


def _stack(frames: Iterable[Tensor]) -> Shaped[Tensor, "t c h w"]:
    frames = list(frames)
    channels = max(len(frame) for frame in frames)
    return torch.stack([frame.expand(channels, -1, -1) for frame in frames])
