"""``framepred evaluate``: a score that says how it was measured."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framepred.cli.options import (
    DIGITS,
    MAX_SIDE,
    BatchOption,
    ContextOption,
    Device,
    DeviceOption,
    DownloadOption,
    JsonOption,
    MaxSideOption,
    Protocol,
    RootOption,
    SeedOption,
    WeightsOption,
    pick_device,
)
from framepred.media.formats import check_input, is_folder_of_clips
from framepred.media.outputs import check_results_folder

if TYPE_CHECKING:
    from framepred.cli.scoring import Selection, TestClips

CONFIG = ".yaml"


class Part(StrEnum):
    """Splits of a folder by file, or the whole of it."""

    TEST = "test"
    VAL = "val"
    TRAIN = "train"
    ALL = "all"


def evaluate(
    weights: WeightsOption = "moving-mnist",
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="moving-mnist, moving-fashion-mnist, mnist_test_seq.npy, clips of yours, a folder of them, or the "
            "config.yaml of a run, for its test split.",
        ),
    ] = "moving-mnist",
    protocol: Annotated[Protocol, typer.Option("--protocol", help="Which formulas.")] = Protocol.OPENSTL,
    clips: Annotated[int, typer.Option("--clips", min=1, help="How many test clips, at most.")] = 1000,
    seed: SeedOption = 0,
    context: ContextOption = 10,
    horizon: Annotated[int, typer.Option("--horizon", min=1, help="Frames to predict.")] = 10,
    output: Annotated[Path | None, typer.Option("--output", help="Folder for card.json.")] = None,
    root: RootOption = None,
    download: DownloadOption = False,
    split: Annotated[
        Part, typer.Option("--split", help="Of a folder: the files that training by default leaves for it, or all.")
    ] = Part.TEST,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Of a folder: leave out files that cannot be used, and say which.")
    ] = False,
    max_side: MaxSideOption = MAX_SIDE,
    batch_size: BatchOption = 16,
    device: DeviceOption = Device.AUTO,
    as_json: JsonOption = False,
) -> None:
    """Score weights, or baseline:NAME, beside the baselines, on test clips that training never saw."""
    if data not in DIGITS and not is_folder_of_clips(Path(data)) and Path(data).suffix != CONFIG:
        check_input(data)
    output = output and check_results_folder(output)

    from rich.console import Console

    from framepred.cli.scoring import Selection, open_forecaster, score
    from framepred.evaluation.tables import score_table

    chosen = Selection(clips, seed, context, horizon, batch_size, root, download)
    test = _open_clips(data, chosen, split.value, skip_broken)
    net, record = open_forecaster(weights, next(iter(test.batches)))
    card = score(net, record, test, protocol.value, pick_device(device), max_side)
    if output is not None:
        card.write(output / "card.json")
    if as_json:
        print(card.to_json())
        return
    Console().print(score_table(card))
    if output is not None:
        print(output / "card.json")


def _open_clips(data: str, chosen: "Selection", split: str, skip_broken: bool) -> "TestClips":
    from framepred.cli.folder_clips import open_folder, open_run_data
    from framepred.cli.scoring import open_test_clips

    if data not in DIGITS and Path(data).suffix == CONFIG:
        return open_run_data(Path(data), chosen)
    if data not in DIGITS and is_folder_of_clips(Path(data)):
        return open_folder(Path(data), chosen, split, skip_broken)
    return open_test_clips(data, chosen)
