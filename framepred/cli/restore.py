"""``framepred restore``: rebuild missing frames from both sides, or raise the frame rate."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framepred.cli.options import (
    MAX_SIDE,
    ArrayOption,
    Device,
    DeviceOption,
    LayoutOption,
    MaxSideOption,
    RangeOption,
    parsed_range,
    refuse_given,
)
from framepred.errors import ConfigError
from framepred.inference.missing import check_factor, parse_missing, read_missing
from framepred.media.formats import check_input, input_stem, stated_path
from framepred.media.outputs import check_output, list_suffixes

if TYPE_CHECKING:
    from framepred.inference.restoration import Restoration


class Method(StrEnum):
    """How missing frames are rebuilt: by motion, by a network, or by one of the baselines."""

    AUTO = "auto"
    MOTION = "motion"
    BIDIRECTIONAL = "bidirectional"
    LINEAR = "linear"
    MOTION_COMPENSATED = "motion-compensated"
    MINTERPOLATE = "minterpolate"
    LAST_FRAME = "last-frame"
    HOPFIELD = "hopfield"


def restore(
    call: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="INPUT", parser=stated_path, help="Video file, folder of frames, .npy or .npz."),
    ],
    missing: Annotated[
        str | None, typer.Option("--missing", metavar="7,8,12-15", help="Frames to rebuild, counted from 0.")
    ] = None,
    missing_file: Annotated[
        Path | None, typer.Option("--missing-file", help="Text file of such numbers and ranges, one or more per line.")
    ] = None,
    find: Annotated[
        bool, typer.Option("--find", help="Also rebuild frames that are repeated, frozen or damaged.")
    ] = False,
    upsample: Annotated[
        int, typer.Option("--upsample", min=1, help="Factor of the frame rate: 2 puts a frame between each two.")
    ] = 1,
    method: Annotated[
        Method,
        typer.Option("--method", help="auto takes motion for films, and the network, bidirectional, for small digits."),
    ] = Method.AUTO,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="Of the network, which auto then takes: bundled name, folder, .ckpt, or owner/name on the Hugging "
            "Face Hub. Weights that forecast do so from both sides. Default: moving-mnist.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help=f"{list_suffixes()}. Default: STEM-restored.mp4.")
    ] = None,
    beside: Annotated[
        Method | None, typer.Option("--beside", help="Show the result of this method on the left, such as linear.")
    ] = None,
    holdout: Annotated[
        bool, typer.Option("--holdout", help="The frames of --missing are intact: hide, rebuild and score them.")
    ] = False,
    audio: Annotated[bool, typer.Option("--audio", help="Keep the sound track of INPUT; the output is .mp4.")] = False,
    cuts: Annotated[bool, typer.Option("--cuts/--no-cuts", help="Never blend across a scene cut.")] = True,
    layout: LayoutOption = None,
    array: ArrayOption = None,
    value_range: RangeOption = None,
    max_side: MaxSideOption = MAX_SIDE,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Rebuild the missing or corrupted frames of a video from both sides, or raise its frame rate."""
    source = check_input(source)
    output = check_output(output or Path(f"{input_stem(source)}-restored.mp4"), inputs=[source])
    numbers = _numbers(missing, missing_file, upsample)
    if numbers is None and upsample == 1 and not find:
        raise ConfigError(
            "Say which frames are missing, as in --missing 7,8,12-15, let --find look for them, or raise the rate by "
            "--upsample 2."
        )
    if holdout and (numbers is None or upsample > 1 or find):
        raise ConfigError(
            "--holdout scores the frames of --missing at their own rate; leave --upsample and --find out."
        )

    chosen_network = method is Method.AUTO and weights is not None
    if not chosen_network and Method.BIDIRECTIONAL not in (method, beside):
        refuse_given(call, ("weights", "max_side"), f"--method {method.value}")

    import framepred
    from framepred.cli.progress import shown_count

    baselines = [Method.LINEAR, Method.LAST_FRAME] if holdout else []
    with shown_count("restoring") as on_frame:
        restoration = framepred.restore(
            source,
            missing=numbers,
            find=find,
            upsample=upsample,
            method=method.value,
            compare=[name.value for name in [*([beside] if beside else []), *baselines]],
            weights=weights,
            holdout=holdout,
            device=device.value,
            layout=layout,
            array_name=array,
            value_range=parsed_range(value_range),
            max_side=max_side,
            cuts=cuts,
            on_frame=on_frame,
        )
        restoration.save(output, beside.value if beside else None, sound=audio)
    for note in restoration.notes:
        typer.echo(note, err=True)
    print(f"{output}: {restoration.describe(output, beside.value if beside else None)}")
    if holdout:
        _print_scores(restoration)


def _numbers(missing: str | None, missing_file: Path | None, factor: int) -> frozenset[int] | None:
    """The frames that the options name; None where neither is given."""
    check_factor(factor)
    found = [] if missing is None else [parse_missing(missing, factor)]
    found += [] if missing_file is None else [read_missing(missing_file, factor)]
    return frozenset().union(*found) if found else None


def _print_scores(restoration: "Restoration") -> None:
    """Print the score of each method; large frames show PSNR first and errors per pixel."""
    from rich.console import Console
    from rich.table import Table

    from framepred.evaluation.cards import DataRecord
    from framepred.evaluation.protocols import find_protocol
    from framepred.evaluation.tables import COMPACT, metric_columns

    protocol, scores = find_protocol("openstl"), restoration.scores
    first = next(iter(scores.values()))
    data = DataRecord("restored", size=first.size)
    columns = metric_columns(("mse", "psnr"), protocol.measures, data)
    title = f"{first.frames} frames, protocol {protocol.id}"
    table = Table(title=title, min_width=len(title), **COMPACT)
    for heading in ("", *(column.heading for column in columns)):
        table.add_column(heading, justify="right" if heading else "left")
    for method, score in scores.items():
        table.add_row(method, *(column.text(getattr(score, column.metric)) for column in columns))
    Console().print(table)
