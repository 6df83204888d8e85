"""Files that are written while a stream is forecast; each is complete up to the last frame at any time."""

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from jaxtyping import UInt8
from torch import Tensor

from framepred.clips import to_uint8
from framepred.inference.stream import StreamStep
from framepred.media.atomic import explain_os_errors
from framepred.media.encoding import VideoWriter
from framepred.visualization.pictures import check_channels
from framepred.visualization.stream_page import StreamPage

COLUMNS = ("frame", "time", "mse", "cut")


class StepWriter(Protocol):
    """An open file that takes the steps of a stream."""

    def write(self, step: StreamStep) -> None:
        """Append one step."""


def record(steps: Iterable[StreamStep], sinks: Sequence[AbstractContextManager[StepWriter]]) -> Generator[StreamStep]:
    """Write each step to all files, then yield it.

    The files are opened at the first step, so a stream that cannot be forecast leaves none behind.

    Raises:
        ClipError: if a video is wanted of frames that are neither gray nor RGB.
    """
    with ExitStack() as stack:
        writers: list[StepWriter] | None = None
        for step in steps:
            if writers is None:
                if any(isinstance(sink, VideoSink) for sink in sinks):
                    check_channels(step.frame)
                writers = [stack.enter_context(sink) for sink in sinks]
            for writer in writers:
                writer.write(step)
            yield step


class CsvSink:
    """A CSV file with a line per frame: number, seconds, mse (empty where unknown) and cut (0 or 1).

    Args:
        path: the file; missing folders are made.

    Raises:
        MediaError: on entering or writing, if the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> "CsvSink":
        with explain_os_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self.path.open("wb", buffering=0)  # unbuffered: complete whatever ends the program
        self._write_line(",".join(COLUMNS))
        return self

    def write(self, step: StreamStep) -> None:
        """Append the line of one frame."""
        mse = "" if step.mse is None else f"{step.mse:.6g}"
        self._write_line(f"{step.index},{step.time:.3f},{mse},{int(step.cut)}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _write_line(self, line: str) -> None:
        with explain_os_errors(self.path):
            self._file.write(f"{line}\n".encode())


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
        self._forecasts: deque[UInt8[Tensor, "c h w"]] = deque(maxlen=lead)  # the first is for the next frame

    def __enter__(self) -> "VideoSink":
        self._writer.__enter__()
        return self

    def write(self, step: StreamStep) -> None:
        """Append the page of one frame."""
        height, width = step.frame.shape[-2:]
        self._page = self._page or StreamPage(height, width, self._lead)
        if step.mse is None:  # a scene begins
            self._forecasts.clear()
        predicted = self._forecasts[0] if len(self._forecasts) == self._lead else None
        self._forecasts.append(to_uint8(step.future[-1]).cpu())
        self._writer.write(self._page.drawn(step.frame, predicted, step.mse, step.time), step.time)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)
