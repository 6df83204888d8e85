"""What a network that adapts to a video predicts of it, beside the baselines that a video has to be beaten with."""

from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from torch import Tensor

from framepred.baselines import load_baseline
from framepred.clips import ClipBatch, to_unit
from framepred.evaluation import DataRecord, evaluate
from framepred.forecaster import Forecaster
from framepred.inference.adapt import adapt
from framepred.inference.scaling import shrink
from framepred.inference.scenes import find_scenes
from framepred.media.reading import read_video
from framepred.models import load
from framepred.visualization.panels import write_panel

CONTEXT, HORIZON = 10, 10
LONGER_SIDE = 176
OBSERVED = 2 / 3
"""Share of each video that is observed, the first; what lies after it is scored."""

MEASURES = {"mse": "MSE ·10³", "psnr": "PSNR dB", "ssim": "SSIM openstl"}


def print_real_videos(folder: Path, weights: str, seconds: float, output: Path) -> None:
    """Score every video of a folder, print a table for each, and write a picture of the predictions of each."""
    output.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.iterdir()):
        frames = shrink(to_unit(read_video(path)), LONGER_SIDE)
        observed = frames[: int(OBSERVED * len(frames))]
        net = load(weights)
        adapted = adapt(net, observed, seconds=seconds, context=CONTEXT, horizon=HORIZON)
        forecasters = {
            "last frame": load_baseline("last-frame"),
            "optical flow": load_baseline("optical-flow"),
            weights: net,
            f"{weights}, adapted": adapted.blend,
        }
        _print_table(path.name, frames, forecasters)
        _write_picture(output / f"{path.stem}.png", frames, adapted.blend)


def windows(frames: Float[Tensor, "t c h w"]) -> list[int]:
    """Where the scored windows begin: all windows after what was observed, with one shot in them and their context."""
    first = int(OBSERVED * len(frames))
    return [
        start
        for scene in find_scenes(frames)
        for start in range(scene.start + CONTEXT, scene.stop - HORIZON + 1)
        if start >= first
    ]


def _print_table(name: str, frames: Float[Tensor, "t c h w"], forecasters: dict[str, Forecaster]) -> None:
    net, *_ = forecasters.values()
    card = evaluate(net, _batches(frames), data=DataRecord(name), baselines=forecasters)
    pixels = frames[0].numel()
    table = Table("", *MEASURES.values(), title=f"{name}: {card.data.clips} windows of {tuple(frames.shape[1:])}")
    for label, scores in card.baselines.items():
        table.add_row(label, f"{1000 * scores['mse'] / pixels:.3f}", f"{scores['psnr']:.2f}", f"{scores['ssim']:.4f}")
    Console(width=100).print(table)


def _batches(frames: Float[Tensor, "t c h w"]) -> Iterator[ClipBatch]:
    for start in windows(frames):
        yield ClipBatch.cut(frames[None, start - CONTEXT : start + HORIZON], CONTEXT)


@torch.inference_mode()
def _write_picture(path: Path, frames: Float[Tensor, "t c h w"], net: Forecaster) -> None:
    """The window in the middle of those that are scored."""
    starts = windows(frames)
    start = starts[len(starts) // 2]
    context, target = frames[None, start - CONTEXT : start], frames[None, start : start + HORIZON]
    write_panel(path, context, target, net(context, HORIZON))
