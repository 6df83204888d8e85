"""Write the predictions of a forecaster for every clip of a file as videos, clip by clip.

Usage:
    framepred data moving-mnist --output clips.npy --clips 8
    python scripts/export_predictions.py clips.npy predictions/
"""

from pathlib import Path
from typing import Annotated

import torch
import typer

import framepred
from framepred.errors import ClipError
from framepred.inference.networks import channels_of, open_forecaster, range_of
from framepred.inference.sources import SourceForm
from framepred.media.reading import read_clips
from one_sentence import one_sentence_errors


def main(
    clips: Annotated[Path, typer.Argument(help="A video, or .npy of (n, t, c, h, w).")],
    folder: Annotated[Path, typer.Argument(help="Folder for the videos.")],
    weights: Annotated[
        str, typer.Option(help="Weight file, name of bundled weights, or baseline:NAME.")
    ] = "moving-mnist",
    context: Annotated[int, typer.Option(min=1, help="Frames to observe, from the beginning of each clip.")] = 10,
    horizon: Annotated[int, typer.Option(min=1, help="Frames to predict.")] = 10,
) -> None:
    """Predict what follows the first frames of each clip."""
    net = open_forecaster(weights).net.eval()
    form = SourceForm(channels=channels_of(net), learned_range=range_of(net))
    video = read_clips(clips, channels=form.accepted_channels, value_range=form.range_of_files)
    for note in video.notes:
        typer.echo(note, err=True)
    for number, clip in enumerate(video.clips):
        if len(clip) < context:
            raise ClipError(f"Clip {number} of {clips} has {len(clip)} frames; --context asks for {context}.")
        with torch.inference_mode():
            future = net(clip[None, :context], horizon=horizon)
        path = folder / f"{clips.stem}-{number:04d}.mp4"
        framepred.write_video(path, future[0], fps=video.fps)
        typer.echo(path)


if __name__ == "__main__":
    with one_sentence_errors():
        typer.run(main)
