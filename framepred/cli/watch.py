"""``framepred watch``: say when something unusual happens."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand
from typing_extensions import override

from framepred.cli.options import (
    ArrayOption,
    Device,
    DeviceOption,
    JsonOption,
    LayoutOption,
    OneClipOption,
    RangeOption,
    given_options,
    output_path,
    refuse_given,
)
from framepred.cli.signals import StopRequest, stop_when_ready
from framepred.cli.without_torch import has_torch
from framepred.errors import ClipError, ConfigError, MediaError
from framepred.inference.watching.event_tables import (
    check_event_tables,
    check_no_events,
    check_outside_events,
    reserved_events,
)
from framepred.media.formats import check_input, is_live, stated_path
from framepred.media.locking import locked_file, reserved
from framepred.media.outputs import check_distinct, check_output, check_results_folder
from framepred.media.paths import expand_user

if TYPE_CHECKING:
    from rich.console import Console

    from framepred.inference.live_page import LivePage
    from framepred.inference.watch import Watch, WatchStep
    from framepred.inference.watching.events import Event
    from framepred.inference.watching.recording import Recorder

NORMAL_SECONDS = "60"
LAST_FRAME = "baseline:last-frame"
LEAST_SIDE, MAX_SIDE, LARGEST_SIDE = 32, 128, 4096  # pixels, as in framepred.watch
SERVE_DEFAULT = "127.0.0.1:8400"
"""Address of the live page unless another is given."""

ADDRESS = re.compile(r"[^/\\]*:[^/\\]+")
"""``host:port``; neither a path nor a URL."""

PROFILE_SUFFIX = ".safetensors"


class WatchCommand(TyperCommand):
    """The command ``watch``; its option ``--serve`` may stand without a value, which Typer does not offer."""

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, after each ``--serve`` without an address got the default one."""
        pairs = pairwise([*args, ""])
        bare = [arg == "--serve" and not ADDRESS.fullmatch(after) for arg, after in pairs]
        complete = [f"{arg}={SERVE_DEFAULT}" if alone else arg for arg, alone in zip(args, bare, strict=True)]
        return super().parse_args(ctx, complete)


def watch(
    call: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Camera number, URL, or any INPUT of predict.")],
    normal: Annotated[
        str,
        typer.Option("--normal", metavar="PATH|SECONDS", help="Uneventful footage, or seconds of the beginning."),
    ] = NORMAL_SECONDS,
    profile: Annotated[
        Path | None, typer.Option("--profile", help=f"{PROFILE_SUFFIX}: read if it exists, else written.")
    ] = None,
    false_alarms: Annotated[
        float, typer.Option("--false-alarms", metavar="PER_HOUR", help="False alarms an hour that are acceptable.")
    ] = 1.0,
    events: Annotated[
        Path | None,
        output_path("--events", "Folder for clips, pictures, events.jsonl and events.csv."),
    ] = None,
    keep: Annotated[
        float, typer.Option("--keep", metavar="MB", min=1, help="Megabytes that --events takes; the oldest go first.")
    ] = 1024,
    csv: Annotated[Path | None, typer.Option("--csv", help="Table of all frames: time, score, threshold.")] = None,
    output: Annotated[Path | None, typer.Option("--output", help=".mp4 with heat map and curve of the score.")] = None,
    webhook: Annotated[str | None, typer.Option("--webhook", metavar="URL", help="Post each event as JSON.")] = None,
    serve: Annotated[
        str | None,
        typer.Option("--serve", metavar="[HOST:PORT]", help=f"Serve a live page, by default at {SERVE_DEFAULT}."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="CSV of the unusual frames: 'start,end' seconds, or 'frame,label'.")
    ] = None,
    weights: Annotated[
        str, typer.Option("--weights", help="What forecasts each frame: a bundled name, path or baseline:NAME.")
    ] = LAST_FRAME,
    adapt: Annotated[
        float | None, typer.Option("--adapt", metavar="SECONDS", help="First let the weights learn the normal footage.")
    ] = None,
    cuts: Annotated[bool, typer.Option("--cuts", help="The source has scene cuts, which are not unusual.")] = False,
    layout: LayoutOption = None,
    array: ArrayOption = None,
    value_range: RangeOption = None,
    max_side: Annotated[
        int,
        typer.Option(
            "--max-side",
            min=LEAST_SIDE,
            max=LARGEST_SIDE,
            help="Frames with a longer side are scaled to it; a profile keeps its own.",
        ),
    ] = MAX_SIDE,
    batch_size: OneClipOption = 1,  # noqa: ARG001  public on every command that predicts
    device: DeviceOption = Device.AUTO,
    as_json: JsonOption = False,
) -> None:
    """Watch a camera, a URL or a file, and say when something unusual happens, how unusual, and where.

    A file ends at its end, everything else with Ctrl-C; all files are complete up to the last frame at any time.
    """
    source = source if is_live(source) else str(check_input(source))
    wanted = _normal(normal)
    inputs: list[str | Path] = [source, *filter(None, [labels]), *([wanted] if isinstance(wanted, Path) else [])]
    profile = profile and check_output(profile, inputs=inputs, suffixes=(PROFILE_SUFFIX,))
    csv = csv and check_output(csv, inputs=inputs, suffixes=(".csv",))
    output = output and check_output(output, inputs=inputs, suffixes=(".mp4",))
    events = events and check_results_folder(events)
    files = [path for path in (csv, output, profile) if path is not None]
    check_distinct(files)
    if csv is not None:
        check_no_events(csv)
    if events is not None:
        check_outside_events(events, files)
        check_event_tables(events)
    if events is None and serve is None:
        refuse_given(call, ("keep",), "a watch without --events or --serve")
    if not 0 < false_alarms < float("inf"):
        raise ConfigError(f"--false-alarms must be a positive number an hour, not {false_alarms:g}.")
    if profile is not None and adapt is not None:
        raise ConfigError("--profile does not hold the network that --adapt trains; leave out one of them.")
    if webhook is not None:
        from framepred.inference.watching.addresses import check_webhook

        check_webhook(webhook)
    if labels is not None and not labels.is_file():
        raise MediaError(f"{labels} does not exist; give a CSV of the unusual frames.")

    if not has_torch():
        _check_without_torch(source, wanted, weights, bool(adapt or cuts or layout or array or value_range))

    from rich.console import Console

    import framepred
    from framepred.inference.watching.recording import recorded

    if value_range is not None:
        from framepred.media.ranges import parse_range  # imports PyTorch

    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    ignored = given_options(call, ("normal", "max_side")) if profile and profile.is_file() else []
    if ignored:
        console.print(f"{profile} exists and is used; {' and '.join(ignored)} would make a new one.")
    truth = None
    if labels is not None:
        from framepred.inference.watching.labels import Evaluation, read_labels  # scikit-learn is slow to import

        truth = read_labels(labels)
    with (
        _reserved(csv, output, events),
        stop_when_ready() as stop,
        _live_page(serve, events, false_alarms, console) as page,
    ):
        try:
            watching = framepred.watch(
                source,
                normal=wanted,
                profile=profile if profile and profile.is_file() else None,
                false_alarms=false_alarms,
                weights=weights,
                adapt=adapt,
                device=device.value,
                layout=layout,
                array_name=array,
                value_range=None if value_range is None else parse_range(value_range),
                max_side=max_side,
                cuts=cuts,
                on_notice=console.print,
                stop=stop,
            )
        except ClipError:
            stop.raise_if_set("Stopped before the normal footage was complete; nothing was written.")
            raise
        if profile and not profile.is_file():
            watching.profile.save(profile)
        measured = None if truth is None else Evaluation(watching.fps)
        printer = _Printer(as_json)
        recorders = [*_recorders(watching, csv, output, events, keep, webhook, page, console), printer]
        with closing(recorded(watching, [*recorders, measured] if measured else recorders)) as playing:
            for _ in playing:
                if page is not None:
                    page.apply(watching)
        _wait_for_viewers(page, stop, console)
    if measured is not None and truth is not None:
        print(measured.result(truth).to_text(as_json))
    _print_end(source, printer.frames, printer.events, [path for path in (csv, output, events) if path], as_json)
    stop.raise_if_set("Stopped; the files are complete up to the last frame.")


def _normal(normal: str) -> "float | Path":
    """Seconds, or the path of footage; a path that exists is a path."""
    path = expand_user(stated_path(normal))
    if not path.exists():
        try:
            seconds = float(normal)
        except ValueError:
            raise MediaError(f"{normal} does not exist; give normal footage, or a number of seconds.") from None
        if not 0 < seconds < float("inf"):
            raise ConfigError(f"--normal must be a positive number of seconds, not {normal}.")
        return seconds
    return path if path.is_dir() else check_input(path)


def _check_without_torch(source: str, normal: float | Path, weights: str, needs_torch: bool) -> None:
    """Refuse a call that needs PyTorch.

    Raises:
        ConfigError: in this case.
    """
    from framepred.inference.watching.playing import needs_no_torch

    files: list[str | Path] = [source, *([normal] if isinstance(normal, Path) else [])]
    forecast = weights == LAST_FRAME or Path(weights).suffix.lower() == ".onnx"
    if needs_torch or not forecast or not all(map(needs_no_torch, files)):
        raise ConfigError(
            "PyTorch is not installed; without it watch takes a camera, a URL, a video file or .npy of uint8, "
            f"--weights {LAST_FRAME} or an .onnx export, and not --adapt, --cuts, --layout, --array or --range."
        )


@contextmanager
def _reserved(csv: Path | None, output: Path | None, events: Path | None) -> Iterator[None]:
    """Lock what the watch writes while the normal footage is read, before the recorders take it."""
    with ExitStack() as locks:
        for path in filter(None, (csv, output)):
            locks.enter_context(reserved(path, locked_file(path)))
        if events is not None:
            locks.enter_context(reserved_events(events))
        yield


def _recorders(
    watching: "Watch",
    csv: Path | None,
    output: Path | None,
    events: Path | None,
    keep: float,
    webhook: str | None,
    page: "LivePage | None",
    console: "Console",
) -> "Iterator[Recorder]":
    from framepred.inference.watching.recording import EventFolder, FrameTable, WatchVideo
    from framepred.inference.watching.webhook import Webhook

    if csv is not None:
        yield FrameTable(csv)
    if output is not None:
        yield WatchVideo(output, watching.fps)
    folder = events if page is None else page.folder
    if folder is not None:
        yield EventFolder(folder, keep_mb=keep)
    if webhook is not None:
        yield Webhook(webhook, console.print)
    if page is not None:
        yield page


@contextmanager
def _live_page(
    serve: str | None, events: Path | None, false_alarms: float, console: "Console"
) -> "Iterator[LivePage | None]":
    if serve is None:
        yield None
        return
    from framepred.inference.live_page import serve_page

    with serve_page(serve, events, false_alarms) as page:
        console.print(f"Live page: {page.address}")
        yield page


def _wait_for_viewers(page: "LivePage | None", stop: StopRequest, console: "Console") -> None:
    """Keep the page of a source that has ended until Ctrl-C."""
    if page is not None and not stop.is_set():
        page.end()
        console.print("The source has ended; the page stays until Ctrl-C.")
        while not stop.wait(0.2):
            pass


class _Printer:
    """Prints each event, and counts frames and events."""

    def __init__(self, as_json: bool) -> None:
        self.frames = self.events = 0
        self._as_json = as_json

    def write(self, _: "WatchStep") -> None:
        self.frames += 1

    def add(self, event: "Event") -> None:
        self.events += 1
        print(json.dumps({"event": "event", **event.to_dict()}) if self._as_json else event.sentence, flush=True)

    def close(self) -> None:
        """Do nothing: standard output stays open."""


def _print_end(source: str, frames: int, events: int, files: list[Path], as_json: bool) -> None:
    written = [str(path) for path in files if path.exists()]
    if as_json:
        print(json.dumps({"event": "end", "source": source, "frames": frames, "events": events, "files": written}))
    else:
        print("\n".join([f"{source}: {frames} frames, {events} event{'s' * (events != 1)}.", *written]))
    sys.stdout.flush()
