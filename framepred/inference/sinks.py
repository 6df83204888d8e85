"""Files that are written while a stream is forecast; each is complete up to the last frame at any time."""

from collections import deque
from pathlib import Path
from types import TracebackType

from jaxtyping import UInt8
from torch import Tensor

from framepred.clips import to_uint8
from framepred.inference.csv_sink import COLUMNS, CsvSink, record
from framepred.inference.stream import StreamStep
from framepred.media.encoding import VideoWriter
from framepred.visualization.pictures import check_channels
from framepred.visualization.stream_page import StreamPage

__all__ = ["COLUMNS", "CsvSink", "VideoSink", "record"]


class VideoSink:
    """A video of each frame beside the forecast that was made for it, above the curve of the error.

    Args:
        path: an ``.mp4`` file.
        fps: frames per second.
        lead: number of frames before a frame at which the forecast that is shown was made; the horizon of the stream.

    Raises:
        MediaError: on entering or writing, if the file cannot be written.
    """

    def __init__(self, path: str | Path, fps: float, lead: int) -> None:
        self._writer = VideoWriter(path, fps, growing=True)
        self._lead = lead
        self._page: StreamPage | None = None
        self._forecasts: deque[UInt8[Tensor, "c h w"]] = deque(
            maxlen=lead
        )  # oldest first; when full, the first is for the next frame

    def __enter__(self) -> "VideoSink":
        self._writer.__enter__()
        return self

    def check(self, step: StreamStep) -> None:
        """Refuse frames that are neither gray nor RGB.

        Raises:
            ClipError: if they are not.
        """
        check_channels(step.frame)

    def write(self, step: StreamStep) -> None:
        """Append the page of one frame."""
        height, width = step.frame.shape[-2:]
        self._page = self._page or StreamPage(height, width, self._lead)
        if step.mse is None and not step.lost:  # the first frame of a scene, for which there is no forecast
            self._forecasts.clear()
        predicted = self._forecasts[0] if len(self._forecasts) == self._lead else None
        self._forecasts.append(to_uint8(step.future[-1]).cpu())
        self._writer.write(self._page.drawn(step.frame, predicted, step.mse, step.time), step.time)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)
