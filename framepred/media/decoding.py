"""Decode video files with PyAV. Every reader of files uses this decoder, so that all of them give the same pixels.

Frames are uint8 RGB, upright as the display matrix asks, with transparency laid on black. Matrix and range of colours
follow the file's tags; HDR values are taken as they are stored. The fields of interlaced video stay woven together.
Gray films with more than 8 bits give one channel: uint16, or floats in [0, 1] where their white is not 65535.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from framepred.media.frames import FrameStream, as_frame
from framepred.media.pixels import GRAY_WITHIN
from framepred.media.ranges import DefaultRange, RangeChoice, ValueRange, as_choice, refuse_range
from framepred.media.values import WHITE_16_BITS, chosen_range, to_frames
from framepred.media.video_file import VideoFile
from framepred.media.video_header import (
    Header,
    arriving_header,
    frames_of_one_size,
    last_upright_frames,
    read_header,
    upright_frames,
    video_times,
)
from framepred.media.video_pixels import Pixels


def file_frames(path: Path, last: int | None = None, value_range: RangeChoice = None) -> FrameStream:
    """The frames of a video file, upright: uint8 RGB, or one channel of a gray film with more than 8 bits.

    Args:
        path: the file.
        last: give at most this many frames at the end; where the container allows it, only they are decoded.
        value_range: the values that become 0 and 1, for gray films with more than 8 bits.

    Raises:
        MediaError: if the file is no video; while reading, if it is damaged or its frames change size.
        ConfigError: if a range is stated for a film of bytes.
    """
    header = read_header(path)
    chosen = film_range(path, header.white, value_range, lambda: film_values(path, last))
    if last is not None:
        return _stream(path, header, last_upright_frames(path, header, last), chosen)
    video = VideoFile(path)
    return _stream(path, header, upright_frames(video, header), chosen, video_times(video, header))


def intact_frames(path: Path, value_range: RangeChoice = None) -> FrameStream:
    """The frames of a video file that are neither damaged nor refer to damaged ones; see :func:`file_frames`.

    Raises:
        MediaError: if the file is no video; while reading, if the end of the file is damaged.
        ConfigError: if a range is stated for a film of bytes.
    """
    header = read_header(path, skips_damage=True)
    chosen = film_range(path, header.white, value_range, lambda: film_values(path, skips_damage=True))
    return _stream(path, header, upright_frames(VideoFile(path, skips_damage=True), header), chosen)


def stream_frames(name: str, stream: BufferedIOBase, value_range: RangeChoice = None) -> FrameStream:
    """The frames of a video that is read as its bytes arrive, such as standard input or a named pipe.

    Args:
        name: what it is called in messages.
        stream: the bytes; they need not be seekable.
        value_range: see :func:`file_frames`; values that are yet to come suggest none.

    Raises:
        MediaError: if it holds no video that can be decoded in order; while reading, if it is damaged or breaks off.
        ConfigError: if a range is stated for a film of bytes.
    """
    video = VideoFile(Path(name), stream)
    header = arriving_header(video)
    choice = as_choice(value_range)
    if isinstance(choice, DefaultRange):
        choice = choice.learned
    known = None if choice == "auto" else choice
    chosen = film_range(name, header.white, known, lambda: [np.zeros((1, 1, 1), np.uint16)])  # of which the type tells
    if header.white is not None and chosen is None:
        whole = f"The values 0 to {header.white} of {name} become black to white; state a range if it uses fewer."
        header = replace(header, notes=(whole,))
    return _stream(Path(name), header, upright_frames(video, header), chosen, video_times(video, header))


def film_range(
    name: object, white: int | None, stated: RangeChoice, values: Callable[[], Iterable[NDArray[np.uint16]]]
) -> ValueRange | None:
    """The values of a gray film with more than 8 bits that become 0 and 1; None for the range of bytes or of 16 bits.

    A film states how many bits its values have. Of 16 bits cameras may use fewer, so without a stated range the values
    tell, as those of pictures do.

    Args:
        name: the film, for messages.
        white: the highest value that it can hold; None for bytes.
        stated: what is stated of the range.
        values: gives the frames in question, which are decoded where their values tell.

    Raises:
        MediaError: if the file is damaged where it is decoded.
        ConfigError: if a range is stated for a film of bytes.
    """
    if white is None:
        refuse_range(stated, name)
        return None
    choice = as_choice(stated)
    if isinstance(choice, DefaultRange) and choice.learned is None and white < WHITE_16_BITS:
        choice = None
    found = chosen_range(choice, values)
    return ValueRange(0.0, float(white), whole=True) if found is None and white < WHITE_16_BITS else found


def film_values(path: Path, last: int | None = None, *, skips_damage: bool = False) -> Iterator[Pixels]:
    """The pixels of a film, all or those of the last frames.

    Raises:
        MediaError: if the file is damaged.
    """
    header = read_header(path, skips_damage)
    if last is not None:
        return last_upright_frames(path, header, last)
    return upright_frames(VideoFile(path, skips_damage=skips_damage), header)


def as_film_frame(pixels: Pixels, path: Path, value_range: ValueRange | None) -> Tensor:
    """The pixels of a film as a frame ``(c, h, w)``: bytes as they are, values by their range."""
    if pixels.dtype == np.uint8:
        return as_frame(pixels)
    return to_frames(pixels.transpose(2, 0, 1), path, value_range, "chw")


def _stream(
    path: Path,
    header: Header,
    pixels: Iterable[Pixels],
    value_range: ValueRange | None,
    times: Iterator[float] | None = None,
) -> FrameStream:
    return FrameStream(
        (as_film_frame(frame, path, value_range) for frame in frames_of_one_size(pixels, path)),
        header.fps,
        header.steady,
        GRAY_WITHIN if header.white is None else None,
        notes=header.notes,
        value_range=value_range,
        times=times,
    )
