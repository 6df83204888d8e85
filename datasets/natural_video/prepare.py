"""Training clips of natural video from a folder of videos: python prepare.py VIDEOS FOLDER.

FOLDER gets ``train/*.npy`` and ``val/*.npy``, uint8 ``(n, t, 1, h, w)`` with t = 20 and h = w = 80. Only the first two
thirds of each video are read; the first three quarters of these frames give training clips, the rest validation clips.
A training clip is a crop of a video at a random scale, or a composition: still pictures from the videos that move over
one another as a camera and objects would move them. Clip ``i`` of a split is a function of (seed, split, i).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
import torch
import typer

from framepred import write_video
from framepred.inference.scenes import find_scenes
from framepred.media.opencv import cv2
from framepred.media.reading import read_video

Shot: TypeAlias = list[np.ndarray]
"""A shot at several scales, each uint8 ``(t, h, w, c)``."""

LENGTH, SIDE = 20, 80
"""Frames per clip; height and width of a clip in pixels."""

READ_SHARE, TRAIN_SHARE = 2 / 3, 3 / 4
"""The share of each video that is read, and the share of these frames that trains."""

SCALES = (144, 176, 224, 288, 384)
"""Longer sides in pixels to which videos are reduced; a video is not enlarged."""

VAL_CLIPS = 200
CLIPS_PER_FILE = 400

FLIPPED, REVERSED, DOUBLE_SPEED = 0.5, 0.3, 0.2
"""Shares of the clips that are mirrored; and, of the crops, that run backward or at twice the speed."""

MAX_OBJECTS = 3
SPEED = 2.5
"""Standard deviation of the velocity of pictures and objects, in pixels per frame and axis."""

TURN, ZOOM = 0.6, 0.008
"""Standard deviations of a picture's rotation in degrees per frame, and of its growth as a share per frame."""

STILL_BACKGROUND, STILL_OBJECT = 0.3, 0.1
"""Shares of the backgrounds and of the objects that do not move."""

NOISE_LEVELS = (0, 0, 1, 3)
"""Standard deviations of the noise of a composition, in gray levels, equally likely."""


def main(
    videos: Annotated[Path, typer.Argument(help="Folder of videos.")],
    folder: Annotated[Path, typer.Argument(help="Folder for the clips.")],
    clips: Annotated[int, typer.Option(help="Number of training clips.")] = 8000,
    real: Annotated[float, typer.Option(help="Share of the training clips that are crops of the videos.")] = 0.6,
    seed: Annotated[int, typer.Option(help="Seed of the clips.")] = 0,
) -> None:
    """Write training and validation clips and print their number."""
    for line in prepare(videos, folder, clips=clips, real=real, seed=seed):
        print(line)


def prepare(
    source: Path, folder: Path, *, clips: int = 8000, val_clips: int = VAL_CLIPS, real: float = 0.6, seed: int = 0
) -> Iterator[str]:
    """Write the clips of both splits; yields one line on each split.

    Args:
        source: folder of videos.
        folder: folder for the clips.
        clips: number of training clips.
        val_clips: number of validation clips, all of them crops.
        real: share of the training clips that are crops of the videos.
        seed: seed of the clips.
    """
    read = [read_video(path) for path in sorted(source.iterdir())]
    read = [video[: int(READ_SHARE * len(video))] for video in read]
    train = [shot for video in read for shot in shots(video[: int(TRAIN_SHARE * len(video))])]
    val = [shot for video in read for shot in shots(video[int(TRAIN_SHARE * len(video)) :])]
    for split, found, count, share in (("train", train, clips, real), ("val", val, val_clips, 1.0)):
        made = (make_clip(found, share, np.random.default_rng([seed, split == "val", i])) for i in range(count))
        write_clips(made, folder / split)
        frames = sum(len(shot[0]) for shot in found)
        yield f"{split}: {count} clips from {len(found)} shots, {frames} frames; {share:.0%} crops of the videos"


def shots(video: torch.Tensor) -> list[Shot]:
    """Return the shots of a video that are long enough for a clip, each at every scale."""
    found = [video[scene.start : scene.stop].permute(0, 2, 3, 1).numpy() for scene in find_scenes(video)]
    return [scaled(shot) for shot in found if len(shot) >= LENGTH]


def scaled(shot: np.ndarray) -> Shot:
    """Return the shot at each of ``SCALES`` that does not enlarge it."""
    height, width = shot.shape[1:3]
    ratios = [scale / max(height, width) for scale in SCALES if scale <= max(height, width)]
    sizes = [(round(width * ratio), max(SIDE, round(height * ratio))) for ratio in ratios]
    return [np.stack([resized(frame, size) for frame in shot]) for size in sizes]


def resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a frame ``(h, w, c)`` at a width and height; OpenCV drops the axis of a single channel."""
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)


def make_clip(sources: Sequence[Shot], real: float, random: np.random.Generator) -> np.ndarray:
    """Return one clip, uint8 ``(t, h, w)``, of one colour channel or gray."""
    clip = crop(sources, random) if random.random() < real else composition(sources, random)
    return clip[:, :, ::-1] if random.random() < FLIPPED else clip


def crop(sources: Sequence[Shot], random: np.random.Generator) -> np.ndarray:
    """Return a crop of a shot, sometimes backward or at twice the speed."""
    lengths = np.array([len(shot[0]) for shot in sources])
    shot = sources[random.choice(len(sources), p=lengths / lengths.sum())]
    frames = one_channel(shot[random.integers(len(shot))], random)
    step = 2 if len(frames) >= 2 * LENGTH and random.random() < DOUBLE_SPEED else 1
    start = random.integers(len(frames) - step * (LENGTH - 1))
    window = frames[start : start + step * (LENGTH - 1) + 1 : step]
    top, left = (random.integers(side - SIDE + 1) for side in frames.shape[1:])
    window = window[:, top : top + SIDE, left : left + SIDE]
    return window[::-1] if random.random() < REVERSED else window


def composition(sources: Sequence[Shot], random: np.random.Generator) -> np.ndarray:
    """Return a moving background with up to ``MAX_OBJECTS`` moving objects, sometimes with noise."""
    canvas = np.stack(list(moving_picture(sources, random, STILL_BACKGROUND)))
    for _ in range(random.integers(0, MAX_OBJECTS + 1)):
        mask = np.stack(list(moving_outline(random)))
        texture = np.stack(list(moving_picture(sources, random, STILL_OBJECT)))
        canvas = mask * texture + (1 - mask) * canvas
    noise = random.normal(0, random.choice(NOISE_LEVELS), canvas.shape)
    return (canvas + noise).clip(0, 255).round().astype(np.uint8)


def moving_picture(sources: Sequence[Shot], random: np.random.Generator, still: float) -> Iterator[np.ndarray]:
    """Yield one picture under a camera that pans, turns and zooms at a constant rate: float32 ``(h, w)`` per frame."""
    shot = sources[random.integers(len(sources))]
    picture = one_channel(shot[random.integers(len(shot))][random.integers(len(shot[0]))][None], random)[0]
    height, width = picture.shape
    centre = random.uniform((0, 0), (width, height))
    velocity = random.normal(0, SPEED, 2) * (random.random() > still)
    turn, zoom = random.normal(0, (TURN, ZOOM)) * (random.random() > 0.5)
    angle = random.uniform(-10, 10)  # degrees at the first frame
    for time in range(LENGTH):
        matrix = cv2.getRotationMatrix2D(centre.tolist(), angle + turn * time, float(np.exp(zoom * time)))
        matrix[:, 2] += SIDE / 2 - centre + velocity * (time - LENGTH / 2)
        frame = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        yield frame.astype(np.float32)


def moving_outline(random: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the mask of a moving polygon: its share of each pixel, float32 ``(h, w)`` per frame."""
    corners = random.integers(3, 9)
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    radii = random.uniform(6, 26, corners)  # pixels
    polygon = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    centre, velocity = random.uniform(0, SIDE, 2), random.normal(0, SPEED, 2)
    for time in range(LENGTH):
        mask = np.zeros((SIDE, SIDE), np.float32)
        moved = polygon + centre + velocity * (time - LENGTH / 2)
        cv2.fillPoly(mask, [np.round(16 * moved).astype(np.int32)], 1.0, lineType=cv2.LINE_AA, shift=4)  # 1/16 pixel
        yield cv2.GaussianBlur(mask, (3, 3), 0)


def one_channel(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a random colour channel or gray, ``(t, h, w)``: a network of one channel gets colour frames so."""
    channels = frames.shape[-1]
    channel = random.integers(channels + 1)
    if channel < channels:
        return frames[..., channel]
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]) if channels == 3 else frames[..., 0]


def write_clips(clips: Iterator[np.ndarray], folder: Path) -> None:
    """Write clips to files of ``CLIPS_PER_FILE`` each."""
    pending: list[np.ndarray] = []
    number = 0
    for clip in clips:
        pending.append(clip)
        if len(pending) == CLIPS_PER_FILE:
            write_video(folder / f"{number:03}.npy", torch.from_numpy(np.stack(pending)[:, :, None]))
            pending, number = [], number + 1
    if pending:
        write_video(folder / f"{number:03}.npy", torch.from_numpy(np.stack(pending)[:, :, None]))


if __name__ == "__main__":
    typer.run(main)
