"""Write files while a stream is forecast, among them a CSV file; importing this module does not import PyTorch."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar, runtime_checkable

from framepred.media.growing import GrowingFile

COLUMNS = ("frame", "time", "mse", "cut")


Step = TypeVar("Step")
Written = TypeVar("Written", contravariant=True)


@runtime_checkable
class ScoredStep(Protocol):
    """One frame of a stream with the error of its forecast; see :class:`framepred.inference.stream.StreamStep`."""

    @property
    def index(self) -> int:
        """Number of the frame, from 0."""

    @property
    def time(self) -> float:
        """Seconds from the first frame."""

    @property
    def mse(self) -> float | None:
        """Mean squared error of the forecast for this frame; None for the first frame of a scene."""

    @property
    def cut(self) -> bool:
        """Whether a scene begins with this frame."""


class StepWriter(Protocol[Written]):
    """An open file that takes the steps of a stream."""

    def write(self, step: Written) -> None:
        """Append one step."""


@runtime_checkable
class ChecksStep(Protocol[Written]):
    """A file that cannot take all kinds of steps."""

    def check(self, step: Written) -> None:
        """Raise an error if the file cannot take steps like this one."""


def record(
    steps: Iterable[Step], sinks: Sequence[AbstractContextManager[StepWriter[Step]]]
) -> Generator[Step, None, None]:
    """Write each step to all files, then yield it.

    The files are opened at the first step, so a stream that cannot be forecast leaves none behind.

    Raises:
        ClipError: if a file cannot take such steps, before any file is opened.
    """
    with ExitStack() as stack:
        writers: list[StepWriter[Step]] | None = None
        for step in steps:
            if writers is None:
                for sink in sinks:
                    if isinstance(sink, ChecksStep):
                        sink.check(step)
                writers = [stack.enter_context(sink) for sink in sinks]
            for writer in writers:
                writer.write(step)
            yield step


class CsvSink:
    """A CSV file with a line per frame: number, seconds, mse (empty where unknown) and cut (0 or 1).

    The file is complete up to the last frame at any time.

    Args:
        path: the file; missing folders are made.

    Raises:
        ConfigError: on entering, if another process writes the file.
        MediaError: on entering or writing, if the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> "CsvSink":
        with ExitStack() as opening:
            self._file = GrowingFile(self.path)
            opening.callback(self._file.close)
            self._file.write(",".join(COLUMNS))
            opening.pop_all()
        return self

    def write(self, step: ScoredStep) -> None:
        """Append the line of one frame."""
        mse = "" if step.mse is None else f"{step.mse:.6g}"
        self._file.write(f"{step.index},{step.time:.3f},{mse},{int(step.cut)}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
