"""``framepred predict``: predict what follows the last frame of a file, or of each file of a folder."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framepred.cli.options import (
    NATURAL,
    ArrayOption,
    BatchOption,
    ContextOption,
    Device,
    DeviceOption,
    FramesOption,
    LayoutOption,
    MaxSideOption,
    RangeOption,
    WeightsOption,
    parsed_range,
)
from framepred.cli.without_torch import check_torch, runs_without_torch
from framepred.errors import ClipError, ConfigError, MediaError
from framepred.media.formats import check_input, input_stem, is_folder_of_clips, stated_path
from framepred.media.outputs import check_new_folder, check_output, list_suffixes
from framepred.media.paths import expand_user

if TYPE_CHECKING:
    from framepred.evaluation import Card
    from framepred.inference.predict import PredictOptions
    from framepred.inference.prediction import Prediction
    from framepred.inference.reading_ahead import ReadAhead


MAX_SIDE = 256
"""Longer side of the frames that a network gets, in pixels, as in :func:`framepred.predict`."""


class View(StrEnum):
    """What is written."""

    PREDICTED = "predicted"
    SIDE_BY_SIDE = "side-by-side"
    ERROR = "error"


def predict(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            parser=stated_path,
            help="Video file, folder of frames, .npy or .npz; or a folder of these.",
        ),
    ],
    weights: WeightsOption = NATURAL,
    context: ContextOption = 10,
    frames: FramesOption = 10,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            help=f"{list_suffixes()}. Default: STEM-predicted.mp4. For a folder of clips, a folder.",
        ),
    ] = None,
    adapt: Annotated[
        float | None, typer.Option("--adapt", metavar="SECONDS", help="First train on the clip's own past.")
    ] = None,
    blend: Annotated[
        bool, typer.Option("--blend/--no-blend", help="Blend with optical flow and the last frame.")
    ] = True,
    view: Annotated[
        View, typer.Option("--view", help="What is written; the last two imply --holdout.")
    ] = View.PREDICTED,
    holdout: Annotated[
        bool, typer.Option("--holdout", help="Hide the last frames of INPUT, predict them, and score that.")
    ] = False,
    cuts: Annotated[bool, typer.Option("--cuts/--no-cuts", help="Use only frames after the last scene cut.")] = True,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Of a folder: leave out files that cannot be used, and name them.")
    ] = False,
    layout: LayoutOption = None,
    array: ArrayOption = None,
    value_range: RangeOption = None,
    max_side: MaxSideOption = MAX_SIDE,
    batch_size: BatchOption = 16,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Predict the frames that follow the last one of a clip, from the last --context frames of it."""
    source = expand_user(source)
    if adapt is not None and not 0 < adapt < float("inf"):
        raise ConfigError(f"--adapt takes a positive number of seconds, not {adapt:g}.")
    many = is_folder_of_clips(source)
    if many:
        output = check_new_folder(output or Path(f"{source.resolve().name}-predicted"), inputs=[source])
    else:
        if skip_broken:
            raise ConfigError(f"--skip-broken is for folders of clips, and {source} is one clip; leave it out.")
        source = check_input(source)
        output = check_output(output or Path(f"{input_stem(source)}-predicted.mp4"), inputs=[source])

    plain = not (many or blend or cuts or holdout or adapt or layout or array or value_range)
    plain = plain and view is View.PREDICTED and device is not Device.CUDA
    if plain and runs_without_torch(weights, source, max_side, output):
        from framepred.inference.onnx_only import predict_file

        size = predict_file(
            source,
            output,
            weights,
            context=context,
            frames=frames,
            max_side=max_side,
            on_note=lambda note: typer.echo(note, err=True),
        )
        print(f"{output}: {size}")
        return
    check_torch("predict")
    holdout = holdout or view is not View.PREDICTED
    decoding = None
    if not (many or layout or array or value_range):
        from framepred.inference.reading_ahead import end_size, read_ahead

        wanted = end_size(frames, context, max_side, holdout=holdout, adapts=adapt is not None)
        decoding = read_ahead(source, wanted)  # while PyTorch is imported

    from framepred.cli.progress import shown_progress

    with shown_progress() as on_progress:
        options: PredictOptions = {
            "frames": frames,
            "context": context,
            "adapt": adapt,
            "blend": blend,
            "holdout": holdout,
            "device": device.value,
            "layout": layout,
            "array_name": array,
            "value_range": parsed_range(value_range),
            "max_side": max_side,
            "cuts": cuts,
            "batch_size": batch_size,
            "on_progress": on_progress,
        }
        if many:
            _predict_folder(source, output, weights, view, skip_broken, options)
        else:
            _predict_file(decoding or source, output, weights, view, options)


def _predict_file(
    source: "Path | ReadAhead", output: Path, weights: str, view: View, options: "PredictOptions"
) -> None:
    import framepred

    prediction = framepred.predict(source, weights=weights, **options)
    prediction.save(output, view.value)
    _print_findings(output, prediction)
    print(f"{output}: {prediction.describe(view.value, output)}")


def _predict_folder(
    source: Path, output: Path, weights: str, view: View, skip_broken: bool, options: "PredictOptions"
) -> None:
    from framepred.inference.folders import predict_folder
    from framepred.inference.processes import process_is_first

    try:
        found = predict_folder(
            source,
            output,
            weights=weights,
            view=view.value,
            skip_broken=skip_broken,
            on_clip=_print_findings,
            **options,
        )
    except (ClipError, MediaError) as error:
        raise type(error)(str(error).replace("or skip broken files", "or pass --skip-broken")) from error
    if not process_is_first():
        return
    for sentence in found.left_out:
        typer.echo(f"left out: {sentence}", err=True)
    for name, size in found.outputs.items():
        print(f"{output / name}: {size}")


def _print_findings(_: Path, prediction: "Prediction") -> None:
    for note in prediction.notes:
        typer.echo(note, err=True)
    if prediction.score is not None:
        _print_score(prediction.score)


def _print_score(card: "Card") -> None:
    from rich.console import Console

    from framepred.evaluation.tables import score_table

    Console().print(score_table(card))
