"""Read video from files, folders of frames, arrays, cameras and URLs."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.errors import ClipError, ConfigError
from framepred.media.arrays import array_frames, read_array
from framepred.media.capture import file_frames, live_frames
from framepred.media.formats import GIF, check_input, is_array, is_live
from framepred.media.frames import DEFAULT_FPS, FrameStream
from framepred.media.gif import gif_frames
from framepred.media.images import folder_frames


@dataclass(frozen=True)
class Video:
    """What was read: clips and their rate.

    Attributes:
        clips: ``(n, t, c, h, w)``, uint8, uint16, or float32 in [0, 1]; RGB or gray; n is 1 for everything but an
            array of clips.
        fps: mean number of frames a second; ``DEFAULT_FPS`` for arrays and folders.
        steady: whether all frames last equally long; if not, ``fps`` is only their mean.
    """

    clips: Shaped[Tensor, "n t c h w"]
    fps: float
    steady: bool = True


def read_video(path: str | Path, *, layout: str | None = None) -> Shaped[Tensor, "t c h w"]:
    """One whole clip, uint8 (uint16 or float32 in [0, 1] where the source has it), RGB or gray.

    Args:
        path: a video file, a folder of frames, or an array file.
        layout: the order of an array file's axes, such as ``thwc``; None where its shape tells.

    Raises:
        MediaError: if it cannot be read.
        ClipError: if an array is no clip, or is several.
    """
    clips = read_clips(path, layout=layout).clips
    if len(clips) != 1:
        raise ClipError(f"{path} holds {len(clips)} clips but one is wanted here; use read_clips for all of them.")
    return clips[0]


def read_clips(path: str | Path, *, last: int | None = None, layout: str | None = None) -> Video:
    """All clips of a source with their rate, whole or only the end of each.

    A video file or GIF is gray, one channel, when its channels never differ in the frames kept by more than the
    codec's rounding; folders and arrays have the channels they state.

    Args:
        path: a video file, a folder of frames, or an array file.
        last: keep at most this many frames at the end, and no more in memory; None keeps all.
        layout: the order of an array file's axes, such as ``thwc``; None where its shape tells.

    Raises:
        MediaError: if it cannot be read.
        ClipError: if an array is no clip.
        ConfigError: if ``last`` is less than 1, or ``layout`` does not fit.
    """
    if last is not None and last < 1:
        raise ConfigError(f"The number of last frames to read must be at least 1, not {last}.")
    path = check_input(path)
    if is_array(path):
        return Video(read_array(path, last, layout), DEFAULT_FPS)
    stream = open_frames(path, layout=layout)
    kept = deque((_narrowed(frame, stream.gray_within) for frame in stream.frames), maxlen=last)
    return Video(_stacked(kept)[None], stream.fps, stream.steady)


def open_frames(source: str | Path, *, layout: str | None = None) -> FrameStream:
    """The frames of a source one at a time; video files and GIFs give RGB, even when gray.

    Args:
        source: a video file, a folder of frames, an array file with one clip, a camera number or a URL.
        layout: the order of an array file's axes, such as ``thwc``; None where its shape tells.

    Raises:
        MediaError: if it cannot be opened; while reading, if it turns out to be damaged.
        ClipError: if an array is no clip, or is several.
        ConfigError: if ``layout`` does not fit.
    """
    if is_live(str(source)):
        return live_frames(str(source))
    path = check_input(source)
    if is_array(path):
        return array_frames(path, layout)
    if layout is not None:
        raise ConfigError(f"The layout {layout} is for arrays but {path} is none; leave --layout out.")
    if path.is_dir():
        return folder_frames(path)
    return gif_frames(path) if path.suffix.lower() == GIF else file_frames(path)


def _narrowed(frame: Tensor, gray_within: int | None) -> Tensor:
    """One channel, green, where the three are so close."""
    if gray_within is None:
        return frame
    spread = frame.amax(dim=0) - frame.amin(dim=0)
    return frame[1:2].clone() if int(spread.max()) <= gray_within else frame


def _stacked(frames: Iterable[Tensor]) -> Tensor:
    frames = list(frames)
    channels = max(len(frame) for frame in frames)
    return torch.stack([frame.expand(channels, -1, -1) for frame in frames])
