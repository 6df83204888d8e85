"""``framepred stream``: forecast a source as it plays."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framepred.cli.options import (
    NATURAL,
    ArrayOption,
    CompileOption,
    Device,
    DeviceOption,
    FramesOption,
    JsonOption,
    LayoutOption,
    MaxSideOption,
    OneClipOption,
    Precision,
    PrecisionOption,
    RangeOption,
    WeightsOption,
    parsed_range,
)
from framepred.cli.signals import stop_when_ready
from framepred.cli.without_torch import check_torch, runs_without_torch
from framepred.inference.watching.event_tables import check_no_events
from framepred.media.formats import check_input, is_live
from framepred.media.outputs import check_distinct, check_output

if TYPE_CHECKING:
    from rich.console import Console

    from framepred.inference.stream import StreamStep
    from framepred.inference.stream_log import StreamEvent

MAX_SIDE = 128  # pixels: fewer than for files, because a live source does not wait


def stream(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Camera number, URL, or any INPUT of predict.")],
    weights: WeightsOption = NATURAL,
    frames: FramesOption = 10,
    csv: Annotated[Path | None, typer.Option("--csv", help="Table: frame, time, mse, cut.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help=".mp4 of observed | forecast above the curve of the error.")
    ] = None,
    blend: Annotated[
        bool, typer.Option("--blend/--no-blend", help="Blend with optical flow and the last frame.")
    ] = True,
    cuts: Annotated[bool, typer.Option("--cuts/--no-cuts", help="Reset the state at scene cuts.")] = True,
    layout: LayoutOption = None,
    array: ArrayOption = None,
    value_range: RangeOption = None,
    max_side: MaxSideOption = MAX_SIDE,
    batch_size: OneClipOption = 1,  # noqa: ARG001  public on every command that predicts
    device: DeviceOption = Device.AUTO,
    compiled: CompileOption = False,
    precision: PrecisionOption = Precision.FLOAT32,
    as_json: JsonOption = False,
) -> None:
    """Forecast a camera, a URL or a file at each frame, and measure the error of each forecast.

    Weights may be baseline:NAME. A file ends at its end, everything else with Ctrl-C; the files are complete up to the
    last frame at any time.
    """
    source = source if is_live(source) else str(check_input(source))
    csv = csv and check_output(csv, inputs=[source], suffixes=(".csv",))
    output = output and check_output(output, inputs=[source], suffixes=(".mp4",))
    check_distinct(path for path in (csv, output) if path is not None)
    if csv is not None:
        check_no_events(csv)

    accelerated = compiled or precision is not Precision.FLOAT32
    plain = not (blend or cuts or output or layout or array or value_range or accelerated) and device is not Device.CUDA
    if plain and runs_without_torch(weights, source, max_side):
        _stream_without_torch(Path(source), weights, frames, csv, max_side, as_json)
        return
    check_torch("stream")

    from rich.console import Console

    import framepred
    from framepred.inference.sinks import CsvSink, VideoSink, record
    from framepred.inference.stream_log import StreamLog

    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    with stop_when_ready() as stop:
        playing = framepred.stream(
            source,
            frames=frames,
            weights=weights,
            device=device.value,
            compiled=compiled,
            precision=precision.value,
            layout=layout,
            array_name=array,
            value_range=parsed_range(value_range),
            max_side=max_side,
            blend=blend,
            cuts=cuts,
            on_notice=console.print,
            stop=stop,
        )
        table = [CsvSink(csv)] if csv else []
        video = [VideoSink(output, playing.fps, frames)] if output else []
        log = StreamLog(source)
        with closing(record(playing, [*table, *video])) as steps, _shown_rate(console, lambda: log.rate):
            for step in steps:
                if step.index == 0:
                    _note_scaling(step, max_side, console)
                for event in log.add(step):
                    _print_event(event, as_json, console)
    _print_event(log.end([path for path in (csv, output) if path]), as_json, console)
    stop.raise_if_set("Stopped; the files are complete up to the last frame.")


def _stream_without_torch(
    source: Path, weights: str, frames: int, csv: Path | None, max_side: int, as_json: bool
) -> None:
    from rich.console import Console

    from framepred.inference.csv_sink import CsvSink, record
    from framepred.inference.onnx_only import stream_file
    from framepred.inference.stream_log import StreamLog

    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    with stop_when_ready() as stop:
        log = StreamLog(str(source))
        steps = stream_file(source, weights, frames=frames, max_side=max_side, on_note=console.print)
        with closing(record(steps, [CsvSink(csv)] if csv else [])) as recorded, _shown_rate(console, lambda: log.rate):
            for step in recorded:
                log.add(step)
                if stop.is_set():
                    break
    _print_event(log.end([csv] if csv else []), as_json, console)
    stop.raise_if_set("Stopped; the files are complete up to the last frame.")


def _note_scaling(step: "StreamStep", max_side: int, console: "Console") -> None:
    height, width = step.frame.shape[-2:]
    if max(height, width) > max_side:
        console.print(f"{width}x{height} frames are scaled to {max_side} pixels for the network (--max-side).")


def _print_event(event: "StreamEvent", as_json: bool, console: "Console") -> None:
    """JSON and results to stdout; cuts and lost frames, which are no result, to stderr."""
    if as_json:
        print(event.to_json(), flush=True)
    elif event.kind in ("cut", "missing"):
        console.print(event.sentence)
    else:
        print(event.sentence, flush=True)


@contextmanager
def _shown_rate(console: "Console", rate: Callable[[], float]) -> Iterator[None]:
    """In a terminal, show frames per second while they arrive."""
    from rich.live import Live

    with Live(
        get_renderable=lambda: f"{rate():.1f} frames a second",
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ):
        yield
