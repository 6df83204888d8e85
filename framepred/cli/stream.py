"""``framepred stream``: predict as it plays, and say what surprises."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framepred.cli.options import (
    NATURAL,
    BatchOption,
    Device,
    DeviceOption,
    JsonOption,
    LayoutOption,
    MaxSideOption,
    WeightsOption,
    pick_device,
)
from framepred.inference.surprise import Alarm
from framepred.media.formats import check_growing, check_input, is_live

if TYPE_CHECKING:
    from rich.console import Console

    from framepred.forecaster import Forecaster
    from framepred.inference.stream import Step
    from framepred.media.live import Moment

MAX_SIDE = 128  # pixels: fewer than for files, because what plays on its own does not wait


def stream(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Camera number, URL, or what predict reads.")],
    weights: WeightsOption = NATURAL,
    frames: Annotated[int, typer.Option("--frames", min=1, help="Frames to forecast at each step.")] = 10,
    csv: Annotated[Path | None, typer.Option("--csv", help="Table: frame, time, mse, surprise.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help=".mp4 of seen | predicted above the curve of surprise.")
    ] = None,
    alarm: Annotated[
        float | None, typer.Option("--alarm", metavar="Z", help="Say when surprise passes this robust z-score.")
    ] = None,
    layout: LayoutOption = None,
    max_side: MaxSideOption = MAX_SIDE,
    batch_size: BatchOption = 1,  # noqa: ARG001  public on every verb that predicts; one stream plays at a time
    device: DeviceOption = Device.AUTO,
    as_json: JsonOption = False,
) -> None:
    """Follow a camera, a URL or a file: forecast at each frame, and measure how surprising that frame was.

    Weights may be baseline:NAME. A file ends at its end, everything else with Ctrl-C; what was written so far is whole
    at any time.
    """
    source = source if is_live(source) else str(check_input(source))
    csv = csv and check_growing(csv, ".csv", source)
    output = output and check_growing(output, ".mp4", source)
    bell = None if alarm is None else Alarm(alarm)

    from rich.console import Console

    from framepred.inference.sinks import film, record, table
    from framepred.inference.stream import Follower, follow
    from framepred.media.live import Player

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    follower = Follower(_forecaster(weights).to(pick_device(device)), frames, max_side)
    with _ended_by_signals() as ended:
        player = Player(source, console.print, layout, ended)
        files = [table(csv)] if csv else []
        files += [film(output, player.fps, frames, alarm)] if output else []
        if not player.steady:
            console.print(f"The frame rate of {source} varies; its mean, {player.fps:.3g}, gives the times.")
        for note in player.notes:
            console.print(note)
        report = _Report(source, bell, max_side, as_json, console)
        with closing(record(follow(follower, player), files)) as steps, _rate_shown(console, report):
            for number, moment, step in steps:
                report.add(number, moment, step)
    report.end([path for path in (csv, output) if path])


def _forecaster(name: str) -> "Forecaster":
    from framepred.baselines import load_baseline
    from framepred.models.pretrained import load

    kind, _, baseline = name.partition(":")
    return load_baseline(baseline) if kind == "baseline" else load(name)


@contextmanager
def _ended_by_signals() -> Iterator[Event]:
    """An event that Ctrl-C sets, and a polite kill: the frame at hand is finished first; a second one does not wait."""
    ended = Event()

    def end(*_: object) -> None:
        if ended.is_set():
            raise KeyboardInterrupt
        ended.set()

    former = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        ended.set()
        for number, handler in former.items():
            signal.signal(number, handler)


class _Report:
    """What is told of a stream: alarms and the end on stdout, the rest on stderr."""

    def __init__(self, source: str, alarm: Alarm | None, max_side: int, as_json: bool, console: "Console") -> None:
        self._source = source
        self._alarm = alarm
        self._max_side = max_side
        self._as_json = as_json
        self._console = console
        self._start = time.perf_counter()
        self._frames = self._alarms = self._cuts = 0

    @property
    def rate(self) -> float:
        """Frames a second since the start."""
        return self._frames / (time.perf_counter() - self._start)

    def add(self, number: int, moment: "Moment", step: "Step") -> None:
        """Count a frame, and tell what happened at it."""
        self._frames += 1
        height, width = moment.frame.shape[-2:]
        if number == 0 and max(height, width) > self._max_side:
            self._console.print(
                f"{width}x{height} frames are scaled to {self._max_side} pixels for the network (--max-side)."
            )
        if step.cut:
            self._cuts += 1
            self._console.print(f"Scene cut at frame {number}, {moment.time:.2f} s: the state begins anew.")
        if self._alarm is not None and self._alarm.rings(step.surprise):
            self._alarms += 1
            self._tell(
                f"Alarm at frame {number}, {moment.time:.2f} s: surprise {step.surprise:.1f}.",
                {"event": "alarm", "frame": number, "time": moment.time, "mse": step.mse, "surprise": step.surprise},
            )

    def end(self, files: list[Path]) -> None:
        """Tell what there was in all, and where it is written."""
        rate = self.rate
        written = [str(path) for path in files if self._frames]
        counts = {"frames": self._frames, "alarms": self._alarms, "cuts": self._cuts}
        told = ", ".join(f"{count} {name if count != 1 else name[:-1]}" for name, count in counts.items())
        self._tell(
            "\n".join([f"{self._source}: {told}; {rate:.1f} frames a second.", *written]),
            {"event": "end", "source": self._source, **counts, "frames_per_second": rate, "files": written},
        )

    def _tell(self, sentence: str, event: dict[str, Any]) -> None:
        print(json.dumps(event) if self._as_json else sentence, flush=True)


@contextmanager
def _rate_shown(console: "Console", report: _Report) -> Iterator[None]:
    """In a terminal, frames a second while they come."""
    from rich.live import Live

    with Live(
        get_renderable=lambda: f"{report.rate:.1f} frames a second",
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ):
        yield
