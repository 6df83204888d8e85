"""``framepred evaluate``: a score that says how it was measured."""

from pathlib import Path
from typing import Annotated

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
from framepred.media.formats import check_input


def evaluate(
    weights: WeightsOption = "moving-mnist",
    data: Annotated[
        str, typer.Option("--data", help="moving-mnist, moving-fashion-mnist, mnist_test_seq.npy, or clips of yours.")
    ] = "moving-mnist",
    protocol: Annotated[Protocol, typer.Option("--protocol", help="Which formulas.")] = Protocol.OPENSTL,
    clips: Annotated[int, typer.Option("--clips", min=1, help="How many test clips, at most.")] = 1000,
    seed: SeedOption = 0,
    context: ContextOption = 10,
    horizon: Annotated[int, typer.Option("--horizon", min=1, help="Frames to predict.")] = 10,
    output: Annotated[Path | None, typer.Option("--output", help="Folder for card.json.")] = None,
    root: RootOption = None,
    download: DownloadOption = False,
    max_side: MaxSideOption = MAX_SIDE,
    batch_size: BatchOption = 16,
    device: DeviceOption = Device.AUTO,
    as_json: JsonOption = False,
) -> None:
    """Score weights, or baseline:NAME, beside the baselines, on test clips that training never saw."""
    if data not in DIGITS:
        check_input(data)

    from rich.console import Console

    from framepred.cli.scoring import Selection, open_forecaster, open_test_clips, score
    from framepred.evaluation.tables import score_table

    test = open_test_clips(data, Selection(clips, seed, context, horizon, batch_size, root, download))
    net, record = open_forecaster(weights, next(iter(test.batches)))
    card = score(net, record, test, protocol.value, pick_device(device), max_side)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        card.write(output / "card.json")
    if as_json:
        print(card.to_json())
        return
    Console().print(score_table(card))
    if output is not None:
        print(output / "card.json")
