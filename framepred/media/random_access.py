"""Read frames by number: random access into videos, pictures and arrays.

A video is entered by time stamp at the nearest key frame before the wanted frame and decoded from there; the pixels are
those that ``file_frames`` gives in order.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from jaxtyping import Int64
from torch import Tensor

from framepred.errors import MediaError
from framepred.media.arrays import CHANNELS, open_array
from framepred.media.decoding import as_film_frame, file_frames, film_range, film_values
from framepred.media.fetching import local_path
from framepred.media.formats import GIF, IMAGES, frame_files, is_array
from framepred.media.frames import FrameStream
from framepred.media.images import read_image, read_pixels
from framepred.media.pages import page_frames, read_pages, survey_pages
from framepred.media.ranges import RangeChoice, ValueRange
from framepred.media.sequences import sequence_notes
from framepred.media.stored import StoredArray
from framepred.media.values import chosen_range, to_frames
from framepred.media.video_file import VideoFile, not_a_video
from framepred.media.video_header import check_whole, has_high_bit_depth, read_header

VideoMap: TypeAlias = Int64[np.ndarray, "2 n"]
"""Time stamps of a video's frames, in order; below them 1 for key frames, where decoding can begin."""

_NOWHERE = -1
_REOPENED = -1  # instead of a frame to seek to: the start of the file, opened again


class FrameReader(ABC):
    """An open source whose frames can be read by number.

    Attributes:
        clips: number of clips in the source; 1 but for an array of clips.
        frames: number of frames of each clip.
        value_range: the values that become 0 and 1; None where the type states the range.
        notes: one sentence for each property of the source that a viewer should know.
        may_lack: whether values that are stored as integers may be missing, which only reading all of them tells.
    """

    clips: int = 1
    frames: int
    value_range: ValueRange | None = None
    notes: tuple[str, ...] = ()
    may_lack: bool = False

    def close(self) -> None:  # noqa: B027 (most readers hold nothing open)
        """Release what is held open; nothing can be read afterwards."""

    @abstractmethod
    def read(self, frames: range, clip: int = 0) -> Iterator[Tensor]:
        """The frames of these rising numbers, each ``(c, h, w)``: uint8, uint16, or float32 in [0, 1].

        Raises:
            MediaError: if a frame is damaged.
            ClipError: if values are not finite or have no known range.
        """


def open_reader(
    source: str | Path,
    *,
    video_map: VideoMap | None = None,
    layout: str | None = None,
    channels: tuple[int, ...] = CHANNELS,
    array_name: str | None = None,
    value_range: RangeChoice = None,
) -> FrameReader:
    """Open a source for random access; video files give RGB, or one channel where they are gray of more than 8 bits.

    Args:
        source: see :func:`framepred.media.reading.read_clips`.
        video_map: what :func:`map_video` found in a video file; None to look now.
        layout: the order of an array's axes, such as ``thwc``; None to find it by the shape.
        channels: numbers of channels by which the layout of an array is found.
        array_name: which array of a file that holds several.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1.

    Raises:
        MediaError: if it cannot be opened.
        ClipError: if an array is no clip.
        ConfigError: if ``layout`` does not fit.
    """
    path = local_path(source)
    if is_array(path):
        return ArrayReader(path, layout, channels, array_name, value_range)
    if path.is_dir():
        return PictureReader(path, value_range)
    if path.suffix.lower() in IMAGES:
        return PageReader(path, value_range)
    if path.suffix.lower() == GIF:
        return InOrderReader(lambda: page_frames(path), len(survey_pages(path).groups))
    found = map_video(path) if video_map is None else video_map
    if found[1].any():
        return VideoReader(path, found, value_range)
    film = file_frames(path, value_range=value_range if has_high_bit_depth(path) else None)
    return InOrderReader(lambda: file_frames(path, value_range=film.value_range), found.shape[1], film.value_range)


class ArrayReader(FrameReader):
    """Frames of an array file; only those that are wanted are read, but ``.npz`` is unpacked as a whole."""

    def __init__(
        self,
        path: Path,
        layout: str | None = None,
        channels: tuple[int, ...] = CHANNELS,
        name: str | None = None,
        value_range: RangeChoice = None,
    ) -> None:
        self.path = path
        self._array = open_array(path, layout, channels, name)
        self.clips, self.frames = self._array.shape[:2]
        self.may_lack = isinstance(self._array, StoredArray) and self._array.mixes_types
        self.value_range = chosen_range(value_range, self._parts)

    def _parts(self) -> Iterator[np.ndarray]:
        for clip in range(self.clips):
            for time in range(self.frames):
                yield self._array[clip : clip + 1, time : time + 1]

    def read(self, frames: range, clip: int = 0) -> Iterator[Tensor]:
        """The frames of these numbers."""
        part = self._array[clip : clip + 1, frames.start : frames.stop : frames.step]
        yield from to_frames(part, self.path, self.value_range)[0]


class PictureReader(FrameReader):
    """Pictures of a folder, in natural order."""

    def __init__(self, folder: Path, value_range: RangeChoice = None) -> None:
        self.files = frame_files(folder)
        self.frames = len(self.files)
        self.notes = sequence_notes(folder, self.files)
        self.value_range = chosen_range(value_range, lambda: map(read_pixels, self.files))

    def read(self, frames: range, clip: int = 0) -> Iterator[Tensor]:  # noqa: ARG002
        """The frames of these numbers, each with the channels that its file has."""
        return (read_image(self.files[number], self.value_range) for number in frames)


class PageReader(FrameReader):
    """Frames of a TIFF of several pages, an animated PNG or an animated WebP."""

    def __init__(self, path: Path, value_range: RangeChoice = None) -> None:
        self._pages = survey_pages(path)
        self.frames = len(self._pages.groups)
        self.notes = self._pages.notes
        everything = range(self.frames)
        choice = value_range if self._pages.is_tiff else None
        self.value_range = chosen_range(choice, lambda: read_pages(self._pages, everything))

    def read(self, frames: range, clip: int = 0) -> Iterator[Tensor]:  # noqa: ARG002
        """The frames of these numbers."""
        for pixels in read_pages(self._pages, frames):
            yield to_frames(pixels, self._pages.path, self.value_range, "chw")


class InOrderReader(FrameReader):
    """A source that can only be read from its beginning: a GIF, or a video without usable time stamps."""

    def __init__(self, begin: Callable[[], FrameStream], frames: int, value_range: ValueRange | None = None) -> None:
        self.begin = begin
        self.frames = frames
        self.value_range = value_range

    def read(self, frames: range, clip: int = 0) -> Iterator[Tensor]:  # noqa: ARG002
        """The frames of these numbers, decoded from the first on."""
        yield from islice(self.begin().frames, frames.start, frames.stop, frames.step)


class VideoReader(FrameReader):
    """Frames of a video file, upright: uint8 RGB, or the values of a gray film with more than 8 bits.

    Reading on from where the last call stopped needs no seeking.
    """

    def __init__(self, path: Path, found: VideoMap, value_range: RangeChoice = None) -> None:
        self.path = path
        self.frames = found.shape[1]
        self._times = found[0]
        self._keys = np.flatnonzero(found[1])
        self._video = VideoFile(path)
        white = self._video.white
        self.value_range = None if white is None else film_range(path, white, value_range, lambda: film_values(path))
        self._decoder: Iterator[av.VideoFrame] = self._video.frames()
        self._next = 0  # the frame that the decoder gives next, or _NOWHERE

    def read(self, frames: range, clip: int = 0) -> Iterator[Tensor]:  # noqa: ARG002
        """The frames of these numbers."""
        found = (self._find(number) for number in frames)
        return (as_film_frame(self._video.pixels(frame), self.path, self.value_range) for frame in found)

    def close(self) -> None:
        """Release the decoder and the frames that it holds."""
        self._decoder = iter(())  # it refers to this reader: without an end, both would wait for the garbage collector
        self._video.close()

    def _find(self, number: int) -> av.VideoFrame:
        cause = None
        for start in self._starts(number):
            try:
                if start != self._next or start == _REOPENED:
                    self._enter(start)
                frame = self._advance(number)
            except (MediaError, av.FFmpegError, OSError) as error:
                self._next, cause = _NOWHERE, error
                continue
            if frame is not None:
                return frame
        raise self._damaged(number) from cause

    def _enter(self, start: int) -> None:
        if start == _REOPENED:
            self.close()
            self._video = VideoFile(self.path)
        else:
            self._video.seek(int(self._times[start]))
        self._decoder = self._video.frames(from_start=start in (0, _REOPENED))

    def _starts(self, number: int) -> list[int]:
        """Where decoding may begin: here, at the key frame before, or earlier should seeking lead past the frame."""
        keys = [0, *self._keys[self._keys <= number][-2:].tolist()]
        here = [self._next] if keys[-1] <= self._next <= number else []
        return list(dict.fromkeys([*here, *reversed(keys), _REOPENED]))

    def _advance(self, number: int) -> av.VideoFrame | None:
        self._next = _NOWHERE
        self._video.wanted = int(self._times[number])
        for frame in self._decoder:
            if frame.pts is not None and frame.pts >= self._times[number]:
                found = frame.pts == self._times[number]
                self._next = number + 1 if found else _NOWHERE
                return frame if found else None
        return None

    def _damaged(self, number: int) -> MediaError:
        return MediaError(
            f"{self.path} is damaged: its frame {number} of {self.frames} cannot be decoded; "
            "copy it again, or cut it there with ffmpeg."
        )


def map_video(path: Path, thorough: bool = False) -> VideoMap:
    """The time stamps of a video's frames and its key frames; no key frame where only reading in order is safe.

    They are taken from the headers of packets, without decoding, and the first and the last frame are tried. Where
    packets do not state them, the whole video is decoded.

    Args:
        path: the video file.
        thorough: decode every frame, to find damage in the middle.

    Raises:
        MediaError: if the file is no video, breaks off early, or is damaged where frames are decoded.
    """
    header = read_header(path)
    found, end = (None if thorough else _packet_map(path, header.fps)) or _decoded_map(path, header.fps)
    check_whole(path, end if found.size else 0.0, header)
    return found


def _packet_map(path: Path, fps: float) -> tuple[VideoMap, float] | None:
    """The map by the headers of packets, and where these end in seconds; None where they do not state the frames."""
    stamps: list[tuple[int, bool]] = []
    last, latest = None, -math.inf
    with closing(VideoFile(path)) as video:
        if video.vague or not video.enterable:
            return None
        try:
            for packet in video.packets():
                if not packet.size or packet.is_discard:
                    continue
                if packet.pts is None:
                    return None
                if packet.pts > latest:
                    last, latest = packet, packet.pts
                stamps.append((packet.pts, packet.is_keyframe))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise not_a_video(path) from error
        end = video.end_seconds(last, fps)
    found: VideoMap = np.array(sorted(stamps), np.int64).reshape(-1, 2).T
    return (found, end) if _can_be_entered(path, found) else None


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


def _decoded_map(path: Path, fps: float) -> tuple[VideoMap, float]:
    """The map by decoding every frame, and where they end in seconds."""
    with closing(VideoFile(path)) as video:
        stamps = [(-1 if frame.pts is None else frame.pts, bool(frame.key_frame)) for frame in video.frames()]
        enterable, end = video.enterable, video.end_seconds(video.shown, fps)
    found: VideoMap = np.array(stamps, np.int64).reshape(-1, 2).T
    if not enterable or (np.diff(found[0]) <= 0).any():
        found[1] = 0
    return found, end
