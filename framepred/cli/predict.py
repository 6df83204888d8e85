"""``framepred predict``: what comes after the last frame of a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framepred.cli.options import (
    MAX_SIDE,
    BatchOption,
    ContextOption,
    Device,
    DeviceOption,
    MaxSideOption,
    WeightsOption,
    pick_device,
)
from framepred.media.formats import check_input, check_output

if TYPE_CHECKING:
    from framepred.clips import ClipBatch
    from framepred.forecaster import Forecaster


def predict(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Video file, folder of frames, .npy or .npz.")],
    weights: WeightsOption = "moving-mnist",
    context: ContextOption = 10,
    frames: Annotated[int, typer.Option("--frames", min=1, help="Frames to predict.")] = 10,
    output: Annotated[
        Path | None, typer.Option("--output", help=".mp4, .gif, .npy, .npz, or a folder of png; STEM-predicted.mp4.")
    ] = None,
    holdout: Annotated[
        bool, typer.Option("--holdout", help="Hide the last frames of INPUT, predict them, and score that.")
    ] = False,
    layout: Annotated[str | None, typer.Option("--layout", help="Order of an array's axes, such as thwc.")] = None,
    max_side: MaxSideOption = MAX_SIDE,
    batch_size: BatchOption = 16,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Predict the frames that follow the last one of a clip, from the last --context frames of it."""
    source = check_input(source)
    output = check_output(output or Path(f"{source.stem}-predicted.mp4"))

    import torch
    from rich.console import Console
    from rich.progress import track

    from framepred.inference.predict import predict_frames, read_end
    from framepred.inference.scaling import ScaledForecaster
    from framepred.media.writing import write_video
    from framepred.models.pretrained import load

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    seen, video = read_end(source, context, frames if holdout else 0, layout)
    net = ScaledForecaster(load(weights), max_side).to(pick_device(device))
    height, width = seen.context.shape[-2:]
    if max(height, width) > max_side:
        console.print(f"{width}x{height} frames are scaled to {max_side} pixels for the network (--max-side).")
    if not video.steady:
        console.print(f"The frame rate of {source} varies; its mean, {video.fps:.3g}, is written.")

    predicted = []
    for clips in torch.split(seen.context, batch_size):
        future = predict_frames(net, clips, frames)
        predicted.append(torch.stack(list(track(future, "predicting", frames, console=console, transient=True)), dim=1))
    clips = torch.cat(predicted)
    write_video(output, clips if len(clips) > 1 else clips[0], video.fps)
    print(f"{output}: {frames} frames of {width}x{height} at {video.fps:.3g} a second")
    if holdout:
        _print_score(net, seen, source.name, weights)


def _print_score(net: "Forecaster", clips: "ClipBatch", data: str, weights: str) -> None:
    from rich.console import Console

    from framepred.baselines import BASELINES, load_baseline
    from framepred.evaluation import DataRecord, WeightsRecord, evaluate
    from framepred.evaluation.tables import score_table

    baselines = {name: load_baseline(name) for name in BASELINES}
    card = evaluate(net, [clips], data=DataRecord(data), weights=WeightsRecord(weights), baselines=baselines)
    Console().print(score_table(card))
