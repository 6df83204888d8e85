"""Write MP4 and GIF frame by frame, with PyAV."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from jaxtyping import Shaped, UInt8
from PIL import Image

from framepred.errors import ClipError, ConfigError, MediaError
from framepred.media.atomic import atomic_write
from framepred.media.formats import GIF
from framepred.media.locking import locked_file
from framepred.media.outputs import check_output
from framepred.media.pictures import bytes_of_picture
from framepred.media.pixels import DEFAULT_FPS
from framepred.media.written_size import even_size

_X264 = {
    "preset": "veryfast",  # half the time of the default, for an eighth more bytes at the same quality
    "crf": "16",  # constant rate factor: visually nearly lossless
    "x264-params": "mbtree=0",  # it reads uninitialized memory, so that equal clips would give different files
}
MAX_GIF_FPS = 50  # browsers play faster ones at 10
_MIN_GIF_TICKS, _MAX_GIF_TICKS = 2, 65535  # hundredths of a second of a frame: the former as above, the latter 16 bits
PICTURE_CHANNELS = (1, 3)  # gray and RGB
_BT601 = 6  # code of SMPTE 170M: what readers assume that ignore the tag, stated for those that read it
_LIMITED_RANGE = 1  # code of luma from 16 to 235
_MILLISECOND = Fraction(1, 1000)
_TICK = Fraction(1, 90_000)  # seconds: the time base of MPEG, exact for all usual frame rates


def checked_fps(fps: float | int) -> float:
    """The frame rate in frames per second.

    Raises:
        ConfigError: if it is not a positive number.
    """
    if not math.isfinite(fps) or fps <= 0:
        raise ConfigError(f"The frame rate must be a positive number of frames a second, not {fps}.")
    return float(fps)


class VideoWriter:
    """Write a video frame by frame in constant memory; the file appears, whole, when the block ends.

    Args:
        path: an ``.mp4`` file (H.264, yuv420p: plays in a browser; odd sizes are padded by one edge row or column) or
            a ``.gif`` file (gray is exact; RGB has 256 colours a frame).
        fps: frames per second; the durations of GIF frames are whole hundredths of a second that add up to it.
        growing: write an ``.mp4`` in place, one fragment per frame, so that it can be played up to the last frame
            even if the writing is killed or fails; such a file is a few percent larger.
        last_duration: seconds that the last frame is shown; None for one frame of the rate.

    Raises:
        MediaError: if the file cannot be written.
        ConfigError: if ``fps`` or ``last_duration`` is not a positive number, or ``fps`` more than ``MAX_GIF_FPS`` for
            a GIF; on entering, if another process writes the growing file.
        ClipError: at the end of the block, if no frame was written.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float | int = DEFAULT_FPS,
        growing: bool = False,
        last_duration: float | None = None,
    ) -> None:
        self.path = check_output(path)
        self.fps = checked_fps(fps)
        self.last_duration = last_duration
        if last_duration is not None and not 0 < last_duration < math.inf:
            raise ConfigError(f"The last frame is shown for a positive number of seconds, not {last_duration}.")
        suffix = self.path.suffix.lower()
        if suffix not in _ENCODERS:
            raise MediaError(f"{self.path} cannot be written frame by frame; choose {' or '.join(_ENCODERS)}.")
        if suffix == GIF and fps > MAX_GIF_FPS:
            raise ConfigError(f"A GIF shows at most {MAX_GIF_FPS} frames a second, not {fps:g}; write .mp4 instead.")
        if growing and suffix == GIF:
            raise ConfigError(f"{self.path} is a GIF, which cannot be watched while it grows; write .mp4 instead.")
        self._kind = _GrowingMp4 if growing else _ENCODERS[suffix]
        self._growing = growing
        self._encoder: _Encoder | None = None
        self._cleanup = ExitStack()

    def __enter__(self) -> "VideoWriter":
        self._draft = self._cleanup.enter_context(locked_file(self.path) if self._growing else atomic_write(self.path))
        return self

    def write(self, frame: Shaped[Any, "c h w"], time: float | None = None) -> None:
        """Append one frame, RGB or gray: a tensor or an array of uint8, uint16 or floats in [0, 1].

        Args:
            frame: the pixels.
            time: when the frame is shown, in seconds after the first; None follows the rate. The first frame decides
                whether all have times.

        Raises:
            ClipError: if the frame has another shape than the first, not 1 or 3 channels, a type without a known range,
                or values that are not finite.
            ConfigError: if some frames have times and others none, or if a GIF cannot state how long the frame before,
                or the last one, is shown.
            MediaError: if it cannot be encoded.
        """
        shape = tuple(frame.shape)
        check_picture(shape, self.path)
        pixels = bytes_of_picture(frame) if isinstance(frame, np.ndarray) else _to_array(frame)
        with _encoding(self.path):
            self._encoder = self._encoder or self._kind(
                self._draft, shape, self.fps, time is not None, self.last_duration
            )
            if shape != self._encoder.shape:
                raise ClipError(
                    f"All frames of {self.path} must have one shape but {shape} follows {self._encoder.shape}."
                )
            self._encoder.write(pixels, time)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._cleanup:
            if error is not None:
                self._abandon()
                raise error
            if self._encoder is None:
                raise ClipError(f"{self.path} was not written because there is no frame to write; give at least one.")
            with _encoding(self.path):
                self._encoder.finish()

    def _abandon(self) -> None:
        if self._encoder is not None:
            with suppress(av.FFmpegError):
                self._encoder.finish() if self._growing else self._encoder.container.close()


def check_picture(shape: tuple[int, ...], path: Path) -> None:
    """Check that a frame of this shape ``(c, h, w)`` can be written as a picture.

    Raises:
        ClipError: if it has not 1 or 3 channels, or no pixel.
    """
    if len(shape) == 3 and 0 not in shape and shape[0] not in PICTURE_CHANNELS:
        raise ClipError(
            f"Pictures have 1 or 3 channels but the frames for {path} have {shape[0]}; write an array, such as "
            f"{path.with_suffix('.npy')}."
        )
    if len(shape) != 3 or 0 in shape:
        raise ClipError(f"A frame to write has the shape (c, h, w) with 1 or 3 channels, not {shape}.")


class _Encoder(ABC):
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
        self._mux(self.stream.encode())
        self.container.close()


class _Mp4(_Encoder):
    container_options: ClassVar = {"movflags": "faststart"}
    codec_options: ClassVar = _X264

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

    def _picture(self, frame: UInt8[np.ndarray, "c h w"]) -> av.VideoFrame:
        _, height, width = self.shape
        rows, columns = self.stream.height - height, self.stream.width - width
        even = np.pad(frame, ((0, 0), (0, rows), (0, columns)), mode="edge") if rows or columns else frame
        pixels = np.ascontiguousarray(np.broadcast_to(even, (3, *even.shape[1:])).transpose(1, 2, 0))
        picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        return self._reformatter.reformat(picture, format="yuv420p", dst_colorspace=Colorspace.ITU601)


class _GrowingMp4(_Mp4):
    """Each frame is encoded at once and is in the file when the next one arrives; no index grows in memory.

    The header is written with the first frame, so that a file is empty or can be played. A part of a frame that could
    not be written whole is removed, and nothing is written after it.
    """

    container_options: ClassVar = {
        "movflags": "delay_moov+empty_moov+default_base_moof+frag_every_frame+skip_trailer",
        "flush_packets": "1",
    }
    codec_options: ClassVar = _X264 | {"tune": "zerolatency"}  # live sources do not wait

    def _open(self, path: str) -> tuple["av.container.OutputContainer", av.VideoStream]:
        self._path = Path(path)
        self._size = 0  # bytes up to the last whole frame
        self._error: av.FFmpegError | None = None
        container, stream = super()._open(path)
        self.time_base = stream.codec_context.time_base = _MILLISECOND  # live sources keep no exact rate
        return container, stream

    def write(self, frame: UInt8[np.ndarray, "c h w"], time: float | None) -> None:
        with self._whole_frames():
            super().write(frame, time)

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


class _Gif(_Encoder):
    """GIF by FFmpeg, because Pillow drops a frame that equals the one before."""

    time_base = Fraction(1, 100)

    def _open(self, path: str) -> tuple["av.container.OutputContainer", av.VideoStream]:
        last = _gif_duration(round((self.last_duration or 1 / self.fps) / self.time_base))
        container = av.open(path, "w", format="gif", options={"loop": "0", "final_delay": str(last)})
        gray = self.shape[0] == 1
        # Whole frames of colours: FFmpeg finds changes by palette indices, which is wrong where palettes differ.
        stream = container.add_stream("gif", rate=100, options={} if gray else {"gifflags": "0"})
        _, stream.height, stream.width = self.shape
        stream.pix_fmt = "gray" if gray else "pal8"
        return container, stream

    def _ticks(self, wanted: int) -> int:
        return self._last + _gif_duration(wanted - self._last) if self.count else wanted

    def _picture(self, frame: UInt8[np.ndarray, "c h w"]) -> av.VideoFrame:
        return _gray_picture(frame) if len(frame) == 1 else _palette_picture(frame)


_ENCODERS: dict[str, type[_Encoder]] = {".mp4": _Mp4, GIF: _Gif}


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


def _to_array(frame: Any) -> UInt8[np.ndarray, "c h w"]:
    from framepred.media.frames import to_8_bits  # imports PyTorch, which an array does not need

    return np.asarray(to_8_bits(frame).numpy())


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


@contextmanager
def _encoding(path: Path) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise MediaError(
            f"{path} cannot be encoded ({error.strerror}); check the free space and the size of the frames."
        ) from error
