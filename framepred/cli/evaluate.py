"""``framepred evaluate``: score weights, or another program's saved predictions."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framepred.cli.options import (
    DIGITS,
    MAX_FRAMES,
    MAX_SIDE,
    ArrayOption,
    BatchOption,
    ClipsOption,
    CompileOption,
    Device,
    DeviceOption,
    DownloadOption,
    HorizonOption,
    JsonOption,
    LayoutOption,
    MaxSideOption,
    Precision,
    PrecisionOption,
    Protocol,
    RangeOption,
    RootOption,
    SeedOption,
    input_path,
    output_path,
    parsed_range,
    refuse_given,
)
from framepred.errors import ConfigError
from framepred.media.formats import check_input, is_folder_of_clips, stated_path
from framepred.media.memory import check_memory
from framepred.media.outputs import check_results_folder
from framepred.media.paths import expand_user

if TYPE_CHECKING:
    from framepred.evaluation import Card

CONFIGS = (".yaml", ".yml")
SIDE = 64  # pixels: height and width of generated frames
BYTES_PER_PIXEL = 64  # of a clip while it is scored: the clip and six predictions as floats, and what metrics take

OF_FOLDERS = ("split", "skip_broken")
OF_FILES = ("layout", "array", "value_range")
OF_DIGITS = ("seed", "root", "download")
OF_CLIPS = ("context", "horizon")
OF_FORECASTS = ("weights", "data", "horizon", "max_side", "compiled", "precision")
"""Parameters that have an effect on such data alone."""


class Part(StrEnum):
    """Splits of a folder by file, or the whole of it."""

    TEST = "test"
    VAL = "val"
    TRAIN = "train"
    ALL = "all"


def evaluate(
    call: typer.Context,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            help="Bundled name (default moving-mnist), folder, .ckpt, .onnx, baseline:NAME, or owner/name on the "
            "Hugging Face Hub. Repeat it to score several in one pass.",
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="moving-mnist, moving-fashion-mnist, mnist_test_seq.npy, a file or a folder of clips, or the "
            "config.yaml of a run, for its test split.",
        ),
    ] = "moving-mnist",
    protocol: Annotated[Protocol, typer.Option("--protocol", help="Which formulas.")] = Protocol.OPENSTL,
    clips: ClipsOption = 1000,
    seed: SeedOption = 0,
    context: Annotated[
        str, typer.Option("--context", help="Observed frames; with --predictions, a file of the frames before --truth.")
    ] = "10",
    horizon: HorizonOption = 10,
    predictions: Annotated[
        Path | None,
        input_path("--predictions", "Another program's predicted frames: file or folder of clips."),
    ] = None,
    truth: Annotated[
        Path | None,
        input_path("--truth", "The true frames of --predictions."),
    ] = None,
    context_frames: Annotated[
        Path | None,
        input_path("--context-frames", "The frames before --truth, which the baselines need."),
    ] = None,
    output: Annotated[
        Path | None,
        output_path("--output", "Folder for card.json and report.html."),
    ] = None,
    root: RootOption = None,
    download: DownloadOption = False,
    layout: LayoutOption = None,
    array: ArrayOption = None,
    value_range: RangeOption = None,
    split: Annotated[
        Part, typer.Option("--split", help="Of a folder: the files that training by default leaves for it, or all.")
    ] = Part.TEST,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Of a folder: leave out files that cannot be used, and say which.")
    ] = False,
    lpips: Annotated[
        bool, typer.Option("--lpips", help="Also measure LPIPS, with AlexNet from torch's cache.")
    ] = False,
    lpips_weights: Annotated[Path | None, typer.Option("--lpips-weights", help="AlexNet's weights for LPIPS.")] = None,
    max_side: MaxSideOption = MAX_SIDE,
    batch_size: BatchOption = 16,
    device: DeviceOption = Device.AUTO,
    compiled: CompileOption = False,
    precision: PrecisionOption = Precision.FLOAT32,
    as_json: JsonOption = False,
) -> None:
    """Score weights, or another program's predictions, beside the baselines, on clips that training never used."""
    observed, context_path = _read_context(context, saved=predictions is not None or truth is not None)
    saved = (predictions, truth, context_frames or context_path)
    chosen = list(dict.fromkeys(weights or ["moving-mnist"]))
    _refuse_unused(call, data, any(saved), counts_context=any(saved) and context_path is None)
    for path in saved if any(saved) else [data]:
        _check_source(path)
    output = output and check_results_folder(output)
    if data in DIGITS:
        at_once = min(batch_size, clips)
        check_memory(
            at_once * (observed + horizon) * SIDE**2 * BYTES_PER_PIXEL,
            f"{at_once:,} clips at a time, of {observed:,} + {horizon:,} frames,",
            "lower --batch-size, --context or --horizon",
        )

    from framepred.cli.evaluation_progress import show_progress
    from framepred.inference.evaluate import ScoreOptions, evaluate_predictions, evaluate_several
    from framepred.inference.evaluation_data import ClipChoice

    choice = ClipChoice(
        clips, observed, horizon, seed, batch_size, root, download, split.value, skip_broken, layout, array,
        parsed_range(value_range),
    )  # fmt: skip
    options = ScoreOptions(
        protocol.value, device.value, lpips_weights or lpips, max_side, show_progress, compiled, precision.value
    )
    if any(saved):
        cards = [evaluate_predictions(*saved, choice, options)]
    else:
        cards = evaluate_several(chosen, data, choice, options)
    _deliver(cards, output, as_json)


def _refuse_unused(call: typer.Context, data: str, saved: bool, counts_context: bool) -> None:
    """Refuse options that have no effect on this data.

    Raises:
        ConfigError: if there are any.
    """
    if saved:
        unused = (*OF_FORECASTS, *OF_DIGITS, *OF_FOLDERS, "array", *["context"] * counts_context)
        refuse_given(call, unused, "saved predictions")
    elif data in DIGITS:
        refuse_given(call, (*OF_FOLDERS, *OF_FILES), data)
    elif Path(data).suffix.lower() in CONFIGS:
        refuse_given(call, (*OF_DIGITS, *OF_FILES, *OF_CLIPS, "skip_broken"), f"{data}, which states its own data")
    else:
        of_folders = () if is_folder_of_clips(expand_user(data)) else OF_FOLDERS
        refuse_given(call, (*OF_DIGITS, *of_folders), data)


def _read_context(context: str, saved: bool) -> tuple[int, Path | None]:
    """A number of frames or, with saved predictions, the path of the frames before them."""
    if saved and not context.lstrip("-").isdecimal():
        return 10, stated_path(context)
    if not re.fullmatch("[0-9]{1,9}", context) or not 1 <= int(context) <= MAX_FRAMES:
        raise ConfigError(f"--context must be a number of frames from 1 to {MAX_FRAMES:,}, not {context}.")
    return int(context), None


def _check_source(source: str | Path | None) -> None:
    """Refuse a missing file before torch is imported."""
    if source is None or str(source) in DIGITS or Path(source).suffix.lower() in CONFIGS:
        return
    if not is_folder_of_clips(expand_user(source)):
        check_input(source)


def _deliver(cards: "list[Card]", output: Path | None, as_json: bool) -> None:
    """Print the cards and write them with their reports; one process does it for all."""
    from rich.console import Console

    from framepred.evaluation.tables import score_table
    from framepred.inference.evaluate import write_results
    from framepred.inference.processes import process_is_first

    if not process_is_first():
        return
    written = write_results(cards, output) if output is not None else []
    if as_json:
        print(cards[0].to_json() if len(cards) == 1 else f"[{', '.join(card.to_json() for card in cards)}]")
        return
    for card in cards:
        Console().print(score_table(card))
    for path, description in written:
        print(f"{path}  {description}")
