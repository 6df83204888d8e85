"""What a video file states about itself, and whether its frames keep to it; PyTorch is not needed."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import TypeAlias

import av

from framepred.errors import MediaError
from framepred.media.frame_times import STAMP_TOLERANCE, stamped_times
from framepred.media.pixels import DEFAULT_FPS, more_bits
from framepred.media.video_file import VAGUE_CONTAINERS, VideoFile, not_a_video
from framepred.media.video_pixels import BYTE, Pixels, bits_of, has_alpha

_WHOLE = 0.9  # a file that ends before this part of its stated length is damaged
_PROBED_PACKETS = 1000
_UNSTEADY = 1.5  # longest gap between frames over the shortest, which some containers round to milliseconds
_SAME_RATE = 0.01  # relative difference under which the stated rate, which is a fraction, is preferred
_PROGRESSIVE = 1  # FFmpeg's AVFieldOrder: 0 unknown, 1 progressive, more for interlaced
_Stamp: TypeAlias = tuple[int | None, bool]  # the time stamp of a packet, and whether it holds a key frame
_HDR = {16: "PQ", 18: "HLG"}  # FFmpeg's AVColorTransferCharacteristic


@dataclass(frozen=True)
class Header:
    """What a file states about its video stream.

    Attributes:
        fps: mean frames per second.
        steady: whether all frames last equally long.
        seconds: stated duration; None where there is none, or where the number of packets is compared instead.
        notes: one sentence for each property of the file that a viewer should know.
        timed: whether packets state when their frames are shown.
        white: the highest value of a gray film with more than 8 bits, whose frames are values; None for bytes.
    """

    fps: float
    steady: bool = True
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    timed: bool = True
    white: int | None = None


def read_header(path: Path, skips_damage: bool = False) -> Header:
    """Rate, length and notes of a video file, from its first packets and its first frame.

    Args:
        path: the file.
        skips_damage: whether damage after the first frame is passed over.

    Raises:
        MediaError: if no frame can be decoded.
    """
    with closing(VideoFile(path, skips_damage=skips_damage)) as video:
        stamps: list[_Stamp] = []
        first = None
        try:
            for packet in islice(video.packets(), _PROBED_PACKETS):
                if packet.size:
                    stamps.append((packet.pts, packet.is_keyframe))
                first = first or next(iter(packet.decode()), None)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise not_a_video(path) from error
        if first is None:
            raise not_a_video(path)
        fps, steady = _rate(video, stamps)
        stamped = all(stamp is not None for stamp, _ in stamps)
        timed = video.exact and video.container.format.name not in VAGUE_CONTAINERS and stamped
        seconds = None if video.counted else video.stated_seconds()
        return Header(fps, steady, seconds, _notes(video, first), timed, video.white)


def arriving_header(video: VideoFile) -> Header:
    """What an open stream of bytes states before its packets are read."""
    rate = video.stream.average_rate or video.stream.guessed_rate or DEFAULT_FPS
    seconds = None if video.counted else video.stated_seconds()
    return Header(float(rate), steady=False, seconds=seconds, white=video.white)


def upright_frames(video: VideoFile, header: Header) -> Iterator[Pixels]:
    """Yield all frames of an open file, and close it at the end.

    Raises:
        MediaError: if the file is damaged, or ends long before its stated end.
    """
    last = None
    with closing(video):
        for last in video.frames():
            yield video.pixels(last)
        check_whole(video.path, 0 if last is None else video.end_seconds(last, header.fps), header)


def video_times(video: VideoFile, header: Header) -> Iterator[float] | None:
    """Seconds of each frame after the first, to be read after the frame; None where the file does not state them."""
    if not header.timed:
        return None
    return stamped_times(lambda: None if video.shown is None else video.shown.time, header.fps, header.steady)


def has_high_bit_depth(path: Path) -> bool:
    """Whether a file is a gray film with more than 8 bits, whose frames are values; no for what is no film."""
    try:
        with closing(VideoFile(path)) as video:
            return video.white is not None
    except MediaError:
        return False  # the usual reader explains what is wrong


def keeps_rate(path: Path) -> bool:
    """Whether all frames of a video file last equally long, by the time stamps of all its packets.

    Raises:
        MediaError: if bytes of the container are damaged.
    """
    with closing(VideoFile(path)) as video:
        return _rate(video, [(packet.pts, packet.is_keyframe) for packet in video.packets() if packet.size])[1]


def last_upright_frames(path: Path, header: Header, count: int) -> Iterator[Pixels]:
    """Yield the last frames of a file, found by seeking near the end, or by decoding the whole file.

    Raises:
        MediaError: if the file is damaged, or ends long before its stated end.
    """
    with closing(VideoFile(path)) as video:
        start = video.start_of_last(count, header.fps)
        frames = None if start is None else video.frames_from(start)
        if frames is not None:
            frame = None
            for frame in frames:
                yield video.pixels(frame)
            check_whole(path, video.end_seconds(frame, header.fps), header)
            return
    yield from deque(upright_frames(VideoFile(path), header), maxlen=count)


def check_whole(path: Path, seconds: float, header: Header) -> None:
    """Refuse a video that ends long before its stated end.

    Args:
        path: the file.
        seconds: where the frames that were read end; 0 if none was.
        header: what the file states.

    Raises:
        MediaError: if it does, or if no frame was read.
    """
    if seconds <= 0:
        raise not_a_video(path)
    if header.seconds and seconds < _WHOLE * header.seconds:
        raise MediaError(
            f"{path} breaks off after {seconds:.2f} of {header.seconds:.2f} seconds: the rest is missing or damaged; "
            "copy it again, or cut it there with ffmpeg."
        )


def frames_of_one_size(frames: Iterable[Pixels], path: Path) -> Iterator[Pixels]:
    """Yield frames as long as all have one size.

    Raises:
        MediaError: if a frame has another size than the first.
    """
    size = None
    for frame in frames:
        height, width, _ = frame.shape
        size = size or (height, width)
        if (height, width) != size:
            raise MediaError(
                f"{path} changes the size of its frames from {size[1]}×{size[0]} to {width}×{height}; cut it in two "
                "there, or re-encode it."
            )
        yield frame


def _rate(video: VideoFile, stamps: Sequence[_Stamp]) -> tuple[float, bool]:
    """Mean rate and steadiness by the time stamps of packets; headers state rates that files do not keep.

    Frames that are shown before the first key frame do not count: they refer to others that a recording may lack.
    """
    stated = float(video.stream.average_rate or video.stream.guessed_rate or DEFAULT_FPS)
    tick = float(video.stream.time_base or 0)
    times = sorted({stamp * tick for stamp, _ in stamps if stamp is not None})
    begin = next((stamp * tick for stamp, is_key in stamps if is_key and stamp is not None), -math.inf)
    known = [time for time in times if time >= begin]
    gaps = [after - before for before, after in pairwise(known)]
    if not video.exact or not gaps or any(stamp is None for stamp, _ in stamps):
        return stated, True
    mean = len(gaps) / (known[-1] - known[0])
    drift = max(abs(time - known[0] - number / mean) for number, time in enumerate(known))
    steady = max(gaps) - tick < _UNSTEADY * min(gaps) and drift * mean < STAMP_TOLERANCE
    return (stated if steady and abs(stated / mean - 1) < _SAME_RATE else mean), steady


def _notes(video: VideoFile, first: av.VideoFrame) -> tuple[str, ...]:
    notes = []
    if first.interlaced_frame or int(video.stream.codec_context.field_order or 0) > _PROGRESSIVE:
        notes.append(
            f"{video.path} is interlaced: the two fields of each frame are woven together, as they are stored."
        )
    shape = video.stream.sample_aspect_ratio
    if shape and shape != 1:
        notes.append(
            f"{video.path} has pixels {float(shape):.3g} times as wide as high; frames are "
            f"{first.width}×{first.height} pixels, as they are stored."
        )
    if video.white is None and bits_of(first.format) > BYTE:
        notes.append(more_bits(video.path, bits_of(first.format)))
    if video.stream.metadata.get("alpha_mode") == "1" and not has_alpha(first.format):
        notes.append(f"{video.path} states transparency, which FFmpeg does not decode here; its colours are kept.")
    transfer = _HDR.get(int(first.color_trc or 0))
    if transfer:
        notes.append(f"{video.path} is HDR ({transfer}): its values are taken as they are, without tone mapping.")
    return tuple(notes)
