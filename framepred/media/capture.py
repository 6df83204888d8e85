"""Video files, cameras and URLs, read in order by OpenCV; BGR ends here."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import av
import torch
from torch import Tensor

from framepred.errors import MediaError
from framepred.media.formats import VIDEOS
from framepred.media.frames import DEFAULT_FPS, FrameStream
from framepred.media.opencv import cv2

GRAY_WITHIN = 3  # levels: MJPEG and MPEG-4 give gray pictures back with channels so far apart, H.264 equal
_WHOLE = 0.9  # a file that ends before this part of its stated length is damaged
_PROBED_PACKETS = 1000
_PATIENCE = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 10_000]  # else FFmpeg's 30 s
_UNSTEADY = 1.5  # longest gap between frames over the shortest; some containers round time stamps to milliseconds


@dataclass(frozen=True)
class _Header:
    """What a file says of its video stream; ``seconds`` is None where it does not say its length."""

    fps: float
    steady: bool
    seconds: float | None


def file_frames(path: Path) -> FrameStream:
    """The frames of a video file, uint8 RGB, upright as its rotation metadata asks.

    Raises:
        MediaError: if the file is no video; while reading, if it breaks off early or its frames change size.
    """
    header = _read_header(path)
    return FrameStream(_file_frames(path, header), header.fps, header.steady, GRAY_WITHIN)


def live_frames(source: str) -> FrameStream:
    """The frames of a camera, given by its number, or of a URL, uint8 RGB, until it ends.

    Raises:
        MediaError: if it cannot be opened.
    """
    camera = source.isdecimal()
    capture = cv2.VideoCapture(int(source)) if camera else cv2.VideoCapture(source, cv2.CAP_FFMPEG, _PATIENCE)
    if not capture.isOpened():
        name = f"Camera {source}" if camera else source
        advice = "check that it is plugged in and not in use" if camera else "check the address and the network"
        raise MediaError(f"{name} cannot be opened; {advice}.")
    fps = capture.get(cv2.CAP_PROP_FPS) or DEFAULT_FPS
    endless = camera or capture.get(cv2.CAP_PROP_FRAME_COUNT) <= 0
    return FrameStream(_grab(capture, source), fps, gray_within=GRAY_WITHIN, endless=endless)


def _read_header(path: Path) -> _Header:
    try:
        with av.open(str(path.absolute())) as container:
            stream = video_stream(container, path)
            fps, steady = _rate(container, stream)
            return _Header(fps, steady, stated_seconds(container, stream))
    except (av.FFmpegError, OSError) as error:
        raise not_a_video(path) from error


def video_stream(container: "av.container.InputContainer", path: Path) -> av.VideoStream:
    """The stream of pictures in a file.

    Raises:
        MediaError: if it has none.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, av.VideoStream):
        raise MediaError(f"{path} holds no pictures, only other streams; give a file with video.")
    return stream


def _rate(container: "av.container.InputContainer", stream: av.VideoStream) -> tuple[float, bool]:
    """Mean rate and steadiness by the first packets' time stamps; headers state a rate that files do not keep."""
    stated = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
    packets = islice(container.demux(stream), _PROBED_PACKETS)
    times = sorted(float(packet.pts * packet.time_base) for packet in packets if packet.pts is not None)
    gaps = [after - before for before, after in pairwise(times) if after > before]
    if not gaps:
        return stated, True
    mean = len(gaps) / (times[-1] - times[0])
    steady = max(gaps) < _UNSTEADY * min(gaps)
    return (stated if steady and abs(stated / mean - 1) < 0.01 else mean), steady


def stated_seconds(container: "av.container.InputContainer", stream: av.VideoStream) -> float | None:
    """How long a file says that its video is, if it does."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1  # else the sound may be what is so long
    return container.duration / av.time_base if alone and container.duration else None


def _file_frames(path: Path, header: _Header) -> Iterator[Tensor]:
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    shown = 0.0
    for frame in _grab(capture, path):
        shown = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 + 1 / header.fps
        yield frame
    check_whole(path, shown, header.seconds)


def check_whole(path: Path, shown: float, stated: float | None) -> None:
    """Refuse a video that ends long before its stated end, both in seconds.

    Raises:
        MediaError: if it does, or shows nothing at all.
    """
    if shown == 0:
        raise not_a_video(path)
    if stated and shown < _WHOLE * stated:
        raise MediaError(
            f"{path} breaks off after {shown:.2f} of {stated:.2f} seconds: the rest is damaged; "
            "copy it again, or cut it there with ffmpeg."
        )


def _grab(capture: cv2.VideoCapture, source: str | Path) -> Iterator[Tensor]:
    shape = None
    try:
        while True:
            found, image = capture.read()
            if not found:
                return
            shape = shape or image.shape
            if image.shape != shape:
                raise MediaError(f"{source} changes the size of its frames midway; cut it in two or re-encode it.")
            yield torch.from_numpy(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).permute(2, 0, 1).contiguous()
    finally:
        capture.release()


def not_a_video(path: Path) -> MediaError:
    """What is said of a file in which no video can be decoded."""
    kinds = ", ".join(VIDEOS)
    return MediaError(f"{path} holds no video that can be decoded; copy it again or convert it to one of {kinds}.")
