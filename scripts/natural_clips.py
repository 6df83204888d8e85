"""Make the training clips of `natural-small`: natural_clips.py VIDEOS OUTPUT.

VIDEOS is a folder of videos, OUTPUT gets `train/*.npy` and `val/*.npy`, uint8 (n, t, 1, h, w). Only the first two
thirds of each video are read: of these, the first three quarters give training clips and the rest validation clips. A
training clip is a crop of a video at a random scale, or pictures from the videos that move past one another as a camera
and things would move them. Clip i of a split is a function of (seed, split, i).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from framepred import write_video
from framepred.inference.scenes import find_cuts
from framepred.media.opencv import cv2
from framepred.media.reading import read_video

LENGTH, SIDE = 20, 80
OBSERVED, TRAINED = 2 / 3, 3 / 4
"""The share of each video that is read at all, and the share of that which trains."""

SCALES = (144, 176, 224, 288, 384)
"""Longer sides in pixels at which videos are cropped, where the video is as large."""

A_FILE = 400
"""Clips a file."""


def main(
    videos: Annotated[Path, typer.Argument(help="Folder of videos.")],
    output: Annotated[Path, typer.Argument(help="Folder for the clips.")],
    clips: Annotated[int, typer.Option(help="Training clips.")] = 8000,
    real: Annotated[float, typer.Option(help="Share of training clips that are crops of the videos.")] = 0.6,
    seed: Annotated[int, typer.Option(help="Which clips.")] = 0,
) -> None:
    """Write the clips, and say how many of what."""
    parts = [read_video(path) for path in sorted(videos.iterdir())]
    parts = [clip[: int(OBSERVED * len(clip))] for clip in parts]
    train = [shot for clip in parts for shot in shots(clip[: int(TRAINED * len(clip))])]
    val = [shot for clip in parts for shot in shots(clip[int(TRAINED * len(clip)) :])]
    for split, sources, count, share in (("train", train, clips, real), ("val", val, 200, 1.0)):
        made = (make(sources, share, np.random.default_rng([seed, split == "val", i])) for i in range(count))
        write(made, output / split)
        frames = sum(len(shot[0]) for shot in sources)
        print(f"{split}: {count} clips from {len(sources)} shots, {frames} frames; {share:.0%} crops of the videos")


def shots(clip: torch.Tensor) -> list[list[np.ndarray]]:
    """The shots of a clip that are long enough, each at every scale: uint8 ``(t, h, w, c)``."""
    ends = [*find_cuts(clip), len(clip)]
    begins = [0, *ends[:-1]]
    found = [clip[begin:end].permute(0, 2, 3, 1).numpy() for begin, end in zip(begins, ends, strict=True)]
    return [scaled(shot) for shot in found if len(shot) >= LENGTH]


def scaled(shot: np.ndarray) -> list[np.ndarray]:
    """The shot at each of ``SCALES`` that does not enlarge it."""
    height, width = shot.shape[1:3]
    ratios = [scale / max(height, width) for scale in SCALES if scale <= max(height, width)]
    sizes = [(round(width * ratio), max(SIDE, round(height * ratio))) for ratio in ratios]
    return [np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in shot]) for size in sizes]


def make(sources: list[list[np.ndarray]], real: float, random: np.random.Generator) -> np.ndarray:
    """One clip, uint8 ``(t, h, w)``, of one colour channel or gray."""
    clip = cropped(sources, random) if random.random() < real else moved(sources, random)
    if random.random() < 0.5:
        clip = clip[:, :, ::-1]
    return clip


def cropped(sources: list[list[np.ndarray]], random: np.random.Generator) -> np.ndarray:
    """A crop of a shot as it was filmed, now and then backward or at double speed."""
    lengths = np.array([len(shot[0]) for shot in sources])
    shot = sources[random.choice(len(sources), p=lengths / lengths.sum())]
    frames = one_channel(shot[random.integers(len(shot))], random)
    step = 2 if len(frames) >= 2 * LENGTH and random.random() < 0.2 else 1
    begin = random.integers(len(frames) - step * (LENGTH - 1))
    window = frames[begin : begin + step * (LENGTH - 1) + 1 : step]
    top, left = (random.integers(side - SIDE + 1) for side in frames.shape[1:])
    window = window[:, top : top + SIDE, left : left + SIDE]
    return window[::-1] if random.random() < 0.3 else window


def moved(sources: list[list[np.ndarray]], random: np.random.Generator) -> np.ndarray:
    """Pictures from the videos, the first behind, each moving on its own; now and then with noise."""
    canvas = np.stack(list(walk(sources, random, still=0.3)))
    for _ in range(random.integers(0, 4)):
        mask = np.stack(list(outline(random)))
        thing = np.stack(list(walk(sources, random, still=0.1)))
        canvas = mask * thing + (1 - mask) * canvas
    noise = random.normal(0, random.choice([0, 0, 1, 3]), canvas.shape)
    return (canvas + noise).clip(0, 255).round().astype(np.uint8)


def walk(sources: list[list[np.ndarray]], random: np.random.Generator, still: float) -> Iterator[np.ndarray]:
    """One picture under a camera that pans, turns and zooms steadily: float32 ``(h, w)`` a frame."""
    shot = sources[random.integers(len(sources))]
    picture = one_channel(shot[random.integers(len(shot))][random.integers(len(shot[0]))][None], random)[0]
    height, width = picture.shape
    place = random.uniform((0, 0), (width, height))
    velocity = random.normal(0, 2.5, 2) * (random.random() > still)
    turn, zoom = random.normal(0, (0.6, 0.008)) * (random.random() > 0.5)  # degrees and share a frame
    angle = random.uniform(-10, 10)
    for time in range(LENGTH):
        matrix = cv2.getRotationMatrix2D(place.tolist(), angle + turn * time, float(np.exp(zoom * time)))
        matrix[:, 2] += SIDE / 2 - place + velocity * (time - LENGTH / 2)
        shown = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        yield shown.astype(np.float32)


def outline(random: np.random.Generator) -> Iterator[np.ndarray]:
    """A soft-edged thing on its way: its share of each pixel, float32 ``(h, w)`` a frame."""
    corners = random.integers(3, 9)
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    radii = random.uniform(6, 26, corners)
    shape = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    place, velocity = random.uniform(0, SIDE, 2), random.normal(0, 2.5, 2)
    for time in range(LENGTH):
        mask = np.zeros((SIDE, SIDE), np.float32)
        at = shape + place + velocity * (time - LENGTH / 2)
        cv2.fillPoly(mask, [np.round(16 * at).astype(np.int32)], 1.0, lineType=cv2.LINE_AA, shift=4)
        yield cv2.GaussianBlur(mask, (3, 3), 0)


def one_channel(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A colour channel or gray of ``(t, h, w, c)``: ``(t, h, w)``, as one-channel networks see colour frames."""
    channel = random.integers(frames.shape[-1] + 1)
    if channel == frames.shape[-1]:
        return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    return frames[..., channel]


def write(clips: Iterator[np.ndarray], folder: Path) -> None:
    """Write clips to files of ``A_FILE`` each."""
    kept: list[np.ndarray] = []
    number = 0
    for clip in clips:
        kept.append(clip)
        if len(kept) == A_FILE:
            write_video(folder / f"{number:03}.npy", torch.from_numpy(np.stack(kept)[:, :, None]))
            kept, number = [], number + 1
    if kept:
        write_video(folder / f"{number:03}.npy", torch.from_numpy(np.stack(kept)[:, :, None]))


if __name__ == "__main__":
    typer.run(main)
