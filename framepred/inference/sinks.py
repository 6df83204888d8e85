"""What following a stream leaves behind: files that are whole up to the last frame at any time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from jaxtyping import UInt8
from torch import Tensor

from framepred.clips import to_uint8
from framepred.inference.stream import Step
from framepred.media.atomic import explain_os_errors
from framepred.media.encoding import VideoWriter
from framepred.media.live import Moment
from framepred.visualization.stream_page import StreamPage

Keep: TypeAlias = Callable[[int, Moment, Step], None]  # number of the frame from 0, the frame, what it gave

COLUMNS = "frame,time,mse,surprise\n"


def record(
    steps: Iterable[tuple[int, Moment, Step]], files: Sequence[AbstractContextManager[Keep]]
) -> Generator[tuple[int, Moment, Step]]:
    """Keep each step in all files, then pass it on.

    The files are opened after the first step: a stream that cannot be followed leaves none behind.
    """
    with ExitStack() as opened:
        keeps: list[Keep] | None = None
        for step in steps:
            if keeps is None:
                keeps = [opened.enter_context(file) for file in files]
            for keep in keeps:
                keep(*step)
            yield step


@contextmanager
def table(path: Path) -> Iterator[Keep]:
    """A CSV file with a line for each frame: number, seconds, mse and surprise, empty where these are unknown.

    Raises:
        MediaError: if the file cannot be written.
    """
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb", buffering=0)

    def write(line: str) -> None:
        with explain_os_errors(path):
            file.write(line.encode())

    with file:
        write(COLUMNS)
        yield lambda number, moment, step: write(
            f"{number},{moment.time:.3f},{_known(step.mse, '.6g')},{_known(step.surprise, '.3f')}\n"
        )


@contextmanager
def film(path: Path, fps: float, lead: int, alarm: float | None) -> Iterator[Keep]:
    """A video of each frame as it was seen | as it was predicted, above the curve of surprise.

    Args:
        path: an ``.mp4`` file.
        fps: frames a second.
        lead: how many frames before, the prediction that is shown was made; the follower's horizon.
        alarm: a line in the curve, if there is an alarm.

    Raises:
        MediaError: if the file cannot be written.
    """
    page: StreamPage | None = None
    ahead: deque[UInt8[Tensor, "c h w"]] = deque(maxlen=lead)  # the oldest is of the frame that comes
    with VideoWriter(path, fps, growing=True) as writer:

        def show(_: int, moment: Moment, step: Step) -> None:
            nonlocal page
            height, width = moment.frame.shape[-2:]
            page = page or StreamPage(height, width, lead, alarm)
            if step.mse is None:  # a scene begins
                ahead.clear()
            predicted = ahead[0] if len(ahead) == lead else None
            ahead.append(to_uint8(step.future[-1]).cpu())
            writer.write(page.drawn(moment.frame, predicted, step.surprise, moment.time), moment.time)

        yield show


def _known(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
