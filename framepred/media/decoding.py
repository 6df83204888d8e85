"""Decode video files with PyAV. Every reader of files uses this decoder, so that all of them give the same pixels.

Frames are uint8 RGB, upright as the display matrix asks, with transparency laid on black. Matrix and range of colours
follow the file's tags; HDR values are taken as they are stored. The fields of interlaced video stay woven together.
"""

from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

from torch import Tensor

from framepred.media.frames import FrameStream, as_frame
from framepred.media.pixels import DEFAULT_FPS, GRAY_WITHIN
from framepred.media.video_file import VideoFile
from framepred.media.video_header import (
    Header,
    Pixels,
    frames_of_one_size,
    last_rgb_frames,
    read_header,
    rgb_frames,
    video_times,
)


def file_frames(path: Path, last: int | None = None) -> FrameStream:
    """The frames of a video file, uint8 RGB, upright.

    Args:
        path: the file.
        last: give at most this many frames at the end; where the container allows it, only they are decoded.

    Raises:
        MediaError: if the file is no video; while reading, if it is damaged or its frames change size.
    """
    header = read_header(path)
    if last is not None:
        pixels = last_rgb_frames(path, header, last)
        return FrameStream(_frames(pixels, path), header.fps, header.steady, GRAY_WITHIN, notes=header.notes)
    video = VideoFile(path)
    frames, times = _frames(rgb_frames(video, header), path), video_times(video, header)
    return FrameStream(frames, header.fps, header.steady, GRAY_WITHIN, notes=header.notes, times=times)


def intact_frames(path: Path) -> FrameStream:
    """The frames of a video file that are neither damaged nor refer to damaged ones, uint8 RGB, upright.

    Raises:
        MediaError: if the file is no video; while reading, if the end of the file is damaged.
    """
    header = read_header(path, skips_damage=True)
    pixels = rgb_frames(VideoFile(path, skips_damage=True), header)
    return FrameStream(_frames(pixels, path), header.fps, header.steady, GRAY_WITHIN, notes=header.notes)


def stream_frames(name: str, stream: BufferedIOBase) -> FrameStream:
    """The frames of a video that is read as its bytes arrive, such as standard input or a named pipe.

    Args:
        name: what it is called in messages.
        stream: the bytes; they need not be seekable.

    Raises:
        MediaError: if it holds no video that can be decoded in order.
    """
    video = VideoFile(Path(name), stream)
    rate = video.stream.average_rate or video.stream.guessed_rate or DEFAULT_FPS
    header = Header(float(rate), steady=False)  # as far as is known
    frames = _frames(rgb_frames(video, header), Path(name))
    return FrameStream(frames, header.fps, gray_within=GRAY_WITHIN, times=video_times(video, header))


def _frames(pixels: Iterator[Pixels], path: Path) -> Iterator[Tensor]:
    for frame in frames_of_one_size(pixels, path):
        yield as_frame(frame)
