"""Write MP4 and GIF frame by frame, with PyAV."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from jaxtyping import Shaped, UInt8

from framepred.errors import ClipError, ConfigError, MediaError
from framepred.media.atomic import atomic_write
from framepred.media.encoders import ENCODERS, MAX_GIF_FPS, Encoder, GrowingMp4
from framepred.media.formats import GIF
from framepred.media.locking import locked_file
from framepred.media.outputs import check_output
from framepred.media.pictures import bytes_of_picture
from framepred.media.pixels import DEFAULT_FPS

PICTURE_CHANNELS = (1, 3)  # gray and RGB


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
        last_duration: seconds that the last frame is shown; None for one frame of the rate, or, in a growing file whose
            frames have times, for as long as the frame before.

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
        if suffix not in ENCODERS:
            raise MediaError(f"{self.path} cannot be written frame by frame; choose {' or '.join(ENCODERS)}.")
        if suffix == GIF and fps > MAX_GIF_FPS:
            raise ConfigError(f"A GIF shows at most {MAX_GIF_FPS} frames a second, not {fps:g}; write .mp4 instead.")
        if growing and suffix == GIF:
            raise ConfigError(f"{self.path} is a GIF, which cannot be watched while it grows; write .mp4 instead.")
        self._kind = GrowingMp4 if growing else ENCODERS[suffix]
        self._growing = growing
        self._encoder: Encoder | None = None
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


def _to_array(frame: Any) -> UInt8[np.ndarray, "c h w"]:
    from framepred.media.frames import to_8_bits  # imports PyTorch, which an array does not need

    return np.asarray(to_8_bits(frame).numpy())


@contextmanager
def _encoding(path: Path) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise MediaError(
            f"{path} cannot be encoded ({error.strerror}); check the free space and the size of the frames."
        ) from error
