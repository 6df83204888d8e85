"""Cameras, live streams and films at addresses, read in order, as NumPy arrays; OpenCV's BGR ends here."""

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from framepred.errors import MediaError
from framepred.media.frame_times import stamped_times
from framepred.media.http_file import film_at, is_http, states_size
from framepred.media.opencv import cv2
from framepred.media.pixels import DEFAULT_FPS
from framepred.media.video_file import VideoFile
from framepred.media.video_header import arriving_header, frames_of_one_size, upright_frames, video_times

_TIMEOUT_MS = 10_000  # FFmpeg's own is 30 seconds
_MAX_CAMERA_DIGITS = 9  # OpenCV takes 32-bit numbers
_MOTION_JPEG = cv2.VideoWriter.fourcc(*"MJPG")
"""FFmpeg numbers these pictures at 25 a second, whenever they arrive."""

_TIMEOUTS = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]


class LivePictures(NamedTuple):
    """An open camera or address.

    Attributes:
        frames: uint8 RGB ``(3, h, w)``, until it ends.
        fps: frames per second that it states.
        endless: whether frames arrive in real time and are lost when nobody takes them.
        times: seconds of each frame after the first, to be read after the frame. Of what is endless: its time stamps,
            which may repeat and jump; None for cameras and Motion JPEG, which have none.
    """

    frames: Iterator[UInt8[np.ndarray, "3 h w"]]
    fps: float
    endless: bool
    times: Iterator[float] | None


def live_pictures(source: str) -> LivePictures:
    """The frames of a camera, given by its number, or of a URL.

    An http address is that of a film, which has an end, where the server states its size or the film its length; any
    other one is that of a live stream.

    Raises:
        MediaError: if it cannot be opened; while reading, if its frames change size, or the connection to a film at an
            http address breaks off.
    """
    # Films are closed before they are opened again: some servers answer one request at a time.
    film = film_at(source) if is_http(source) and states_size(source) else None
    if film is not None:
        return _film_pictures(film)
    capture = _opened(source)
    fps = capture.get(cv2.CAP_PROP_FPS) or DEFAULT_FPS
    endless = source.isdecimal() or capture.get(cv2.CAP_PROP_FRAME_COUNT) <= 0
    if not endless and is_http(source):
        capture.release()
        film = film_at(source, has_end=True)
        if film is not None:
            return _film_pictures(film)
        capture = _opened(source)
    return LivePictures(_grab(capture, source), fps, endless, _times(capture, source, fps, endless))


def _times(capture: cv2.VideoCapture, source: str, fps: float, endless: bool) -> Iterator[float] | None:
    def stamp() -> float:
        return float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000

    if not endless:
        return stamped_times(stamp, fps)
    if source.isdecimal() or capture.get(cv2.CAP_PROP_FOURCC) == _MOTION_JPEG:
        return None
    return (stamp() for _ in count())


def _opened(source: str) -> cv2.VideoCapture:
    camera = source.isdecimal()
    if camera:
        capture = cv2.VideoCapture(int(source)) if len(source) <= _MAX_CAMERA_DIGITS else cv2.VideoCapture()
    else:
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, _TIMEOUTS)
    if not capture.isOpened():
        name = f"Camera {source}" if camera else source
        advice = "check that it is plugged in and not in use" if camera else "check the address and the network"
        raise MediaError(f"{name} cannot be opened; {advice}.")
    return capture


def _film_pictures(film: VideoFile) -> LivePictures:
    header = arriving_header(film)
    pixels = frames_of_one_size(upright_frames(film, header), film.path)
    frames = (np.ascontiguousarray(frame.transpose(2, 0, 1)) for frame in pixels)
    return LivePictures(frames, header.fps, False, video_times(film, header))


def _grab(capture: cv2.VideoCapture, source: str) -> Iterator[UInt8[np.ndarray, "3 h w"]]:
    shape = None
    try:
        while True:
            found, image = capture.read()
            if not found:
                return
            shape = shape or image.shape
            if image.shape != shape:
                raise MediaError(f"{source} changes the size of its frames; start again at the new size.")
            yield np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).transpose(2, 0, 1))
    finally:
        capture.release()
