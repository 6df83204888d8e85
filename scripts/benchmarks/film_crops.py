"""Crops of one predicted window of a film at full size, as a picture or a clip: truth, optical flow, network, blend."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from framepred.baselines import load_baseline
from framepred.clips import to_unit
from framepred.inference.predict import predict
from framepred.inference.reading_ahead import PAST
from framepred.media.reading import read_video
from framepred.media.writing import write_video
from framepred.models import load

CONTEXT, HORIZON = 10, 10
LEAD_TIMES = (1, 5, 10)
INCHES_PER_PIXEL = 1 / 100
COLOURS = 256  # of the palette, so that the file stays small
CLIP_FPS = 4
"""Frames per second of a clip: slow enough to compare its pictures."""


def write_crops(video: Path, weights: str, start: int, crop: Sequence[int], output: Path) -> Path:
    """Predict ``HORIZON`` frames of a film and write crops of them beside the truth.

    A picture has a row for each forecast and a column for each of ``LEAD_TIMES``. A clip has a frame for each lead time
    that shows truth, optical flow and blend from left to right.

    Args:
        video: the film.
        weights: bundled name, folder or checkpoint.
        start: index of the first predicted frame.
        crop: left, top, width and height in pixels.
        output: path of the picture, or of the clip where it ends in ``.mp4`` or ``.gif``.
    """
    frames = read_video(video)[max(0, start - PAST) : start + HORIZON]
    past, truth = frames[:-HORIZON], to_unit(frames[-HORIZON:])
    net = load(weights)
    alone, blend = (
        to_unit(predict(past, frames=HORIZON, weights=net, blend=blend, layout="tchw").frames)
        for blend in (False, True)
    )
    with torch.inference_mode():
        flow = load_baseline("optical-flow").eval()(past[None, -CONTEXT:], HORIZON)[0]
    if output.suffix in (".mp4", ".gif"):
        write_video(output, torch.cat([_cropped(part, crop) for part in (truth, flow, blend)], dim=3), CLIP_FPS)
        return output
    rows = {"truth": truth, "optical flow": flow, "network alone": alone, "blend (default)": blend}
    drawing = BytesIO()
    _draw({name: row[[lead - 1 for lead in LEAD_TIMES]] for name, row in rows.items()}, crop).savefig(drawing, dpi=100)
    Image.open(drawing).convert("RGB").quantize(COLOURS).save(output, optimize=True)
    return output


def _cropped(frames: Float[Tensor, "k c h w"], crop: Sequence[int]) -> Float[Tensor, "k c h_crop w_crop"]:
    left, top, width, height = crop
    return frames[:, :, top : top + height, left : left + width].clamp(0, 1)


def _draw(rows: dict[str, Float[Tensor, "k c h w"]], crop: Sequence[int]) -> Figure:
    width, height = crop[2:]
    size = (len(LEAD_TIMES) * width * INCHES_PER_PIXEL, len(rows) * height * INCHES_PER_PIXEL)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), len(LEAD_TIMES), squeeze=False)
    for axes_row, (name, frames) in zip(grid, rows.items(), strict=True):
        axes_row[0].set_ylabel(name)
        for axes, picture in zip(axes_row, _cropped(frames, crop), strict=True):
            axes.imshow(picture.permute(1, 2, 0).numpy(), interpolation="none", cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
    for axes, lead in zip(grid[0], LEAD_TIMES, strict=True):
        axes.set_title(f"lead time {lead}", fontsize="medium")
    return figure
