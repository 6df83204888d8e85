"""Containers of video that are written frame by frame, with PyAV: MP4, MP4 that grows, and GIF."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from jaxtyping import UInt8
from PIL import Image
from typing_extensions import override

from framepred.errors import ConfigError
from framepred.media.formats import GIF
from framepred.media.written_size import even_size

_X264 = {
    "preset": "veryfast",  # half the time of the default, for an eighth more bytes at the same quality
    "crf": "16",  # constant rate factor: visually nearly lossless
    "x264-params": "mbtree=0",  # it reads uninitialized memory, so that equal clips would give different files
}
_MIN_GIF_TICKS = 2  # hundredths of a second of a frame; browsers show shorter ones for ten
MAX_GIF_FPS = 100 // _MIN_GIF_TICKS
_MAX_GIF_TICKS = 65535  # 16 bits
_BT601 = 6  # code of SMPTE 170M: what readers assume that ignore the tag, stated for those that read it
_LIMITED_RANGE = 1  # code of luma from 16 to 235
_MILLISECOND = Fraction(1, 1000)
_TICK = Fraction(1, 90_000)  # seconds: the time base of MPEG, exact for all usual frame rates


class Encoder(ABC):
    """A container with one video stream.

    Attributes:
        shape: of every frame, ``(c, h, w)``.
        time_base: the unit of time stamps, in seconds.
        timed: whether the frames carry times of their own.
        last_duration: seconds that the last frame is shown; None for one frame of the rate.
    """

    time_base: Fraction

    def __init__(
        self, draft: Path, shape: tuple[int, ...], fps: float, timed: bool, last_duration: float | None
    ) -> None:
        self.shape = shape
        self.fps = fps
        self.timed = timed
        self.last_duration = last_duration
        self.count = 0
        self._last = -1
        self.container, self.stream = self._open(str(draft.absolute()))

    @abstractmethod
    def _open(self, path: str) -> tuple["av.container.OutputContainer", av.VideoStream]: ...

    @abstractmethod
    def _picture(self, frame: UInt8[np.ndarray, "c h w"]) -> av.VideoFrame: ...

    def write(self, frame: UInt8[np.ndarray, "c h w"], time: float | None) -> None:
        """Append one frame.

        Args:
            frame: the pixels.
            time: when it is shown, in seconds after the first; None follows the rate.

        Raises:
            ConfigError: if some frames have times and others none, or if a GIF cannot state how long one is shown.
        """
        if self.timed != (time is not None):
            raise ConfigError("Either all frames of a video have a time or none has; give each frame a time.")
        picture = self._picture(frame)
        shown = self.count / _fraction(self.fps) if time is None else Fraction(time)
        self._last = self._ticks(round(shown / self.time_base))
        picture.pts, picture.time_base = self._last, self.time_base
        self._mux(self.stream.encode(picture))
        self.count += 1

    def _ticks(self, wanted: int) -> int:
        """The time stamp of the next frame, after that of the frame before."""
        return max(self._last + 1, wanted)

    def _mux(self, packets: "list[av.Packet[av.VideoStream]]") -> None:
        for packet in packets:
            if self.last_duration is not None:
                packet.duration = round(self.last_duration / self.time_base)  # FFmpeg takes only that of the last
            self.container.mux(packet)

    def finish(self) -> None:
        """Write what waits, and close the file."""
        self._mux(self.stream.encode())
        self.container.close()


class Mp4(Encoder):
    """H.264 in yuv420p, which plays in a browser; odd sizes are padded by one edge row or column."""

    container_options: ClassVar = {"movflags": "faststart"}
    codec_options: ClassVar = _X264

    @override
    def _open(self, path: str) -> tuple["av.container.OutputContainer", av.VideoStream]:
        self.time_base = _TICK if self.timed else 1 / _fraction(self.fps)
        self._reformatter = VideoReformatter()  # one for all frames: making it takes milliseconds
        container = av.open(path, "w", format="mp4", options=self.container_options)
        in_order = {"bf": "0"} if self.timed else {}  # else the muxer states how long the frames last in coding order
        stream = container.add_stream("libx264", rate=_fraction(self.fps), options=self.codec_options | in_order)
        _, height, width = self.shape
        (stream.height, stream.width), stream.pix_fmt = even_size(height, width), "yuv420p"
        coding = stream.codec_context
        coding.time_base = self.time_base
        coding.colorspace = coding.color_primaries = coding.color_trc = _BT601
        coding.color_range = _LIMITED_RANGE
        return container, stream

    @override
    def _picture(self, frame: UInt8[np.ndarray, "c h w"]) -> av.VideoFrame:
        _, height, width = self.shape
        rows, columns = self.stream.height - height, self.stream.width - width
        even = np.pad(frame, ((0, 0), (0, rows), (0, columns)), mode="edge") if rows or columns else frame
        pixels = np.ascontiguousarray(np.broadcast_to(even, (3, *even.shape[1:])).transpose(1, 2, 0))
        picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        return self._reformatter.reformat(picture, format="yuv420p", dst_colorspace=Colorspace.ITU601)


class GrowingMp4(Mp4):
    """Each frame is encoded at once and is in the file when the next one arrives; no index grows in memory.

    Where frames have times, the last one is shown as long as the one before: live sources do not keep a stated rate.
    The header is written with the first frame, so that a file is empty or can be played. A part of a frame that could
    not be written whole is removed, and nothing is written after it.
    """

    container_options: ClassVar = {
        "movflags": "delay_moov+empty_moov+default_base_moof+frag_every_frame+skip_trailer",
        "flush_packets": "1",
    }
    codec_options: ClassVar = _X264 | {"tune": "zerolatency"}  # live sources do not wait

    @override
    def _open(self, path: str) -> tuple["av.container.OutputContainer", av.VideoStream]:
        self._path = Path(path)
        self._size = 0  # bytes up to the last whole frame
        self._error: av.FFmpegError | None = None
        container, stream = super()._open(path)
        self.time_base = stream.codec_context.time_base = _MILLISECOND  # live sources keep no exact rate
        return container, stream

    @override
    def write(self, frame: UInt8[np.ndarray, "c h w"], time: float | None) -> None:
        former = self._last
        with self._whole_frames():
            super().write(frame, time)
        if self.timed and self.count > 1:
            self.last_duration = float((self._last - former) * self.time_base)

    @override
    def finish(self) -> None:
        if self._error is None:
            with self._whole_frames():
                super().finish()

    @contextmanager
    def _whole_frames(self) -> Iterator[None]:
        """Remove what the block has written if it fails; after that, only its error is left."""
        if self._error is not None:
            raise self._error
        try:
            yield
        except av.FFmpegError as error:
            self._error = error
            with suppress(av.FFmpegError):
                self.container.close()  # what it still holds is removed as well
            with suppress(OSError):
                os.truncate(self._path, self._size)
            raise
        with suppress(OSError):  # somebody removed the file
            self._size = self._path.stat().st_size


class Gif(Encoder):
    """GIF by FFmpeg, because Pillow drops a frame that equals the one before."""

    time_base = Fraction(1, 100)

    @override
    def _open(self, path: str) -> tuple["av.container.OutputContainer", av.VideoStream]:
        last = _gif_duration(round((self.last_duration or 1 / self.fps) / self.time_base))
        container = av.open(path, "w", format="gif", options={"loop": "0", "final_delay": str(last)})
        gray = self.shape[0] == 1
        # Whole frames of colours: FFmpeg finds changes by palette indices, which is wrong where palettes differ.
        stream = container.add_stream("gif", rate=100, options={} if gray else {"gifflags": "0"})
        _, stream.height, stream.width = self.shape
        stream.pix_fmt = "gray" if gray else "pal8"
        return container, stream

    @override
    def _ticks(self, wanted: int) -> int:
        return self._last + _gif_duration(wanted - self._last) if self.count else wanted

    @override
    def _picture(self, frame: UInt8[np.ndarray, "c h w"]) -> av.VideoFrame:
        return _gray_picture(frame) if len(frame) == 1 else _palette_picture(frame)


ENCODERS: dict[str, type[Encoder]] = {".mp4": Mp4, GIF: Gif}


def _gif_duration(wanted: int) -> int:
    """How long a GIF shows a frame, in hundredths of a second.

    Raises:
        ConfigError: if it cannot be stated.
    """
    if wanted > _MAX_GIF_TICKS:
        raise ConfigError(
            f"A GIF shows a frame for at most {_MAX_GIF_TICKS / 100:.0f} seconds, not {wanted / 100:.0f}; write .mp4 "
            "instead."
        )
    return max(wanted, _MIN_GIF_TICKS)


def _gray_picture(frame: UInt8[np.ndarray, "1 h w"]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[0]), format="gray")


def _palette_picture(frame: UInt8[np.ndarray, "3 h w"]) -> av.VideoFrame:
    """A frame with a palette: exact for up to 256 colours, otherwise the nearest colours with dithering."""
    pixels = np.ascontiguousarray(frame.transpose(1, 2, 0))
    # One number for each colour: sorting these is many times faster than sorting rows.
    packed = pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    found = np.unique(packed)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=-1)
    indices = np.searchsorted(found, packed).astype(np.uint8)
    if len(colours) > 256:
        image = Image.fromarray(pixels).quantize(256)
        colours, indices = np.reshape(image.getpalette() or [], (-1, 3)), np.asarray(image)
    palette = np.full((256, 4), 255, dtype=np.uint8)  # ARGB
    palette[: len(colours), 1:] = colours
    indexed: Any = (indices, palette)  # PyAV's stub does not list pairs
    return av.VideoFrame.from_ndarray(indexed, format="pal8")


def _fraction(fps: float) -> Fraction:
    """The exact rate behind a rounded one: 29.97… becomes 30000/1001; below 1, the time between frames is the exact."""
    return Fraction(fps).limit_denominator(1001) if fps >= 1 else 1 / Fraction(1 / fps).limit_denominator(1001)
