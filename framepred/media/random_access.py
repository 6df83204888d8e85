"""Frames by number: random access into videos, folders of pictures and arrays, decoded as they are asked for.

A video is entered by time stamp at the nearest key frame before the frame wanted and decoded from there, by PyAV; the
pixels are those that ``file_frames`` gives in order.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from jaxtyping import Int64
from torch import Tensor

from framepred.errors import MediaError
from framepred.media.arrays import CHANNELS, open_array, to_frames
from framepred.media.capture import check_whole, file_frames, not_a_video, stated_seconds, video_stream
from framepred.media.formats import GIF, check_input, frame_files, is_array
from framepred.media.frames import DEFAULT_FPS, FrameStream
from framepred.media.gif import gif_frames
from framepred.media.images import read_image
from framepred.media.opencv import cv2

# Time stamps of a video's frames, in order; below them 1 where decoding can begin, at a key frame.
VideoMap: TypeAlias = Int64[np.ndarray, "2 n"]

_VAGUE_CONTAINERS, _VAGUE_CODECS = ("avi",), ("vp8",)  # packets without a time of showing; packets that show nothing
_UPRIGHT = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
_NOWHERE = -1


class FrameReader(ABC):
    """An open source whose frames can be read by number.

    Attributes:
        clips: how many clips the source holds; 1 but for an array of clips.
        frames: how many frames each clip has.
    """

    clips: int
    frames: int

    def close(self) -> None:  # noqa: B027 (most hold nothing)
        """Give back what is held open; nothing can be read any more."""

    @abstractmethod
    def read(self, frames: range, clip: int = 0) -> Iterator[Tensor]:
        """The frames of these numbers, rising, each ``(c, h, w)``: uint8, uint16, or float32 in [0, 1].

        Raises:
            MediaError: if a frame is damaged.
            ClipError: if floats lie outside [0, 1] or are not finite.
        """


def open_reader(
    source: str | Path,
    *,
    video_map: VideoMap | None = None,
    layout: str | None = None,
    channels: tuple[int, ...] = CHANNELS,
) -> FrameReader:
    """Open a video file, a folder of pictures or an array file for random access; video files give RGB.

    Args:
        source: the file or folder.
        video_map: what :func:`map_video` found in a video file; None looks now.
        layout: the order of an array file's axes, such as ``thwc``; None where its shape tells.
        channels: how many channels the frames of an array may have; by default 4 are RGB and transparency.

    Raises:
        MediaError: if it cannot be opened.
        ClipError: if an array is no clip.
        ConfigError: if ``layout`` does not fit.
    """
    path = check_input(source)
    if is_array(path):
        return ArrayReader(path, layout, channels)
    if path.is_dir():
        return PictureReader(path)
    if path.suffix.lower() == GIF:
        return InOrderReader(lambda: gif_frames(path), sum(1 for _ in gif_frames(path).frames))
    found = map_video(path) if video_map is None else video_map
    return VideoReader(path, found) if found[1].any() else InOrderReader(lambda: file_frames(path), found.shape[1])


class ArrayReader(FrameReader):
    """Frames of an array file; only those asked for are read, but ``.npz`` is unpacked whole."""

    def __init__(self, path: Path, layout: str | None = None, channels: tuple[int, ...] = CHANNELS) -> None:
        self.path = path
        self.flat = 4 in channels and channels != CHANNELS
        self._array = open_array(path, layout, channels)
        self.clips, self.frames = self._array.shape[:2]

    def read(self, frames: range, clip: int = 0) -> Iterator[Tensor]:
        """The frames of these numbers."""
        part = self._array[clip : clip + 1, frames.start : frames.stop : frames.step]
        yield from to_frames(part, self.path, transparency=not self.flat)[0]


class PictureReader(FrameReader):
    """Pictures of a folder, in natural order."""

    clips = 1

    def __init__(self, folder: Path) -> None:
        self.files = frame_files(folder)
        self.frames = len(self.files)

    def read(self, frames: range, clip: int = 0) -> Iterator[Tensor]:  # noqa: ARG002
        """The frames of these numbers, each with the channels that its file has."""
        return (read_image(self.files[number]) for number in frames)


class InOrderReader(FrameReader):
    """A source that cannot be entered but at its beginning: a GIF, or a video without usable time stamps."""

    clips = 1

    def __init__(self, begin: Callable[[], FrameStream], frames: int) -> None:
        self.begin = begin
        self.frames = frames

    def read(self, frames: range, clip: int = 0) -> Iterator[Tensor]:  # noqa: ARG002
        """The frames of these numbers, decoded from the first on."""
        yield from islice(self.begin().frames, frames.start, frames.stop, frames.step)


class VideoReader(FrameReader):
    """Frames of a video file, uint8 RGB, upright; reading on from where the last call stopped needs no seeking."""

    clips = 1

    def __init__(self, path: Path, found: VideoMap) -> None:
        self.path = path
        self.frames = found.shape[1]
        self._times = found[0]
        self._keys = np.flatnonzero(found[1])
        try:
            self._container = av.open(str(path.absolute()))
        except (av.FFmpegError, OSError) as error:
            raise not_a_video(path) from error
        self._stream = video_stream(self._container, path)
        self._stream.codec_context.thread_count = 1  # threads decode ahead: memory and time for frames not wanted
        self._reformatter = VideoReformatter()
        self._decoder: Iterator[av.VideoFrame] = self._decoded()
        self._next = 0  # the frame that the decoder gives next, or _NOWHERE

    def read(self, frames: range, clip: int = 0) -> Iterator[Tensor]:  # noqa: ARG002
        """The frames of these numbers."""
        return (self._pixels(self._find(number)) for number in frames)

    def close(self) -> None:
        """Give back the decoder and the frames that it holds."""
        self._decoder = iter(())  # it refers to this reader: without end, both would wait for the garbage collector
        self._container.close()

    def _find(self, number: int) -> av.VideoFrame:
        for start in self._starts(number):
            try:
                if start != self._next:
                    self._container.seek(int(self._times[start]), stream=self._stream)
                    self._decoder = self._decoded()
                frame = self._advance(number)
            except av.FFmpegError as error:
                raise self._damaged(number) from error
            if frame is not None:
                return frame
        raise self._damaged(number)

    def _starts(self, number: int) -> list[int]:
        """Where decoding may begin: here, at the key frame before, or earlier should that one lead past the frame."""
        keys = [0, *self._keys[self._keys <= number][-2:].tolist()]
        here = [self._next] if keys[-1] <= self._next <= number else []
        return list(dict.fromkeys([*here, *reversed(keys)]))

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Frames from here on; those that no other frame is made from are passed over until one is wanted."""
        for packet in self._container.demux(self._stream):
            early = packet.pts is not None and packet.pts < self._times[self._wanted]
            self._stream.codec_context.skip_frame = "NONREF" if early else "DEFAULT"
            yield from packet.decode()

    def _advance(self, number: int) -> av.VideoFrame | None:
        self._next, self._wanted = _NOWHERE, number
        for frame in self._decoder:
            if frame.pts is not None and frame.pts >= self._times[number]:
                found = frame.pts == self._times[number]
                self._next = number + 1 if found else _NOWHERE
                return frame if found else None
        return None

    def _pixels(self, frame: av.VideoFrame) -> Tensor:
        """To RGB exactly as OpenCV does it."""
        pixels: np.ndarray = self._reformatter.reformat(frame, format="bgr24", interpolation="BICUBIC").to_ndarray()
        rgb = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
        if frame.rotation % 360 in _UPRIGHT:
            rgb = np.asarray(cv2.rotate(rgb, _UPRIGHT[frame.rotation % 360]))
        return torch.from_numpy(rgb).permute(2, 0, 1)

    def _damaged(self, number: int) -> MediaError:
        return MediaError(
            f"{self.path} is damaged: its frame {number} of {self.frames} cannot be decoded; "
            "copy it again, or cut it there with ffmpeg."
        )


def map_video(path: Path, thorough: bool = False) -> VideoMap:
    """The time stamps of a video's frames and its key frames; no key frame where only reading in order is safe.

    Packets' headers tell, without decoding, and the first and the last frame are tried; where they do not tell,
    the whole video is decoded.

    Args:
        path: the video file.
        thorough: decode every frame, to find damage in the midst.

    Raises:
        MediaError: if the file is no video, breaks off early, or is damaged where frames are decoded.
    """
    with _opened(path) as (container, stream):
        vague = container.format.name in _VAGUE_CONTAINERS or stream.codec_context.name in _VAGUE_CODECS
        stamps = [(p.pts, p.is_keyframe) for p in container.demux(stream) if p.size and not p.is_discard]
        found = _map(sorted((time, key) for time, key in stamps if time is not None))
        told = not vague and 0 < len(stamps) == found.shape[1]
        rate = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        stated, tick = stated_seconds(container, stream), float(stream.time_base or 0)
    if thorough or not (told and _can_be_entered(path, found)):
        found = _decoded_map(path)
    check_whole(path, _seconds(found, rate, tick), stated)
    return found


@contextmanager
def _opened(path: Path) -> Iterator[tuple["av.container.InputContainer", av.VideoStream]]:
    try:
        with av.open(str(path.absolute())) as container:
            stream = video_stream(container, path)
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        raise not_a_video(path) from error


def _map(stamps: list[tuple[int, bool]]) -> VideoMap:
    return np.array(stamps, np.int64).reshape(-1, 2).T


def _can_be_entered(path: Path, found: VideoMap) -> bool:
    """Whether the first and the last frame are where the packets say."""
    if not found[1].any() or (np.diff(found[0]) <= 0).any():
        return False
    last = found.shape[1] - 1
    try:
        with closing(VideoReader(path, found)) as reader:
            return all(list(reader.read(range(number, number + 1))) for number in {last, 0})
    except MediaError:
        return False


def _decoded_map(path: Path) -> VideoMap:
    """The map by decoding every frame."""
    stamps: list[tuple[int, bool]] = []
    with _opened(path) as (container, stream):
        try:
            for frame in container.decode(stream):
                stamps.append((-1 if frame.pts is None else frame.pts, frame.key_frame))
        except av.FFmpegError as error:
            raise MediaError(
                f"{path} is damaged after frame {len(stamps)}; copy it again, or cut it there with ffmpeg."
            ) from error
    found = _map(stamps)
    if (np.diff(found[0]) <= 0).any():
        found[1] = 0
    return found


def _seconds(found: VideoMap, rate: float, tick: float) -> float:
    """From the first frame's beginning to the last one's end."""
    return float(np.ptp(found[0])) * tick + 1 / rate if found.size else 0.0
