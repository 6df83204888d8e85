"""Training clips of natural video: python prepare.py VIDEOS FOLDER [--rendered RENDERED].

FOLDER gets ``train/*.npy`` and ``val/*.npy``, uint8 ``(n, t, 1, h, w)`` with t = 30 and h = w = 80. Only the first two
thirds of each video are read; the first three quarters of these frames give training clips. A validation clip predicts
frames of the last quarter, from a context that may reach back into the training part. Frames that repeat the frame
before are removed. Pictures among the videos serve as textures.

A training clip is a crop of a video, a crop of a rendered film (``render.py``), or a composition: still pictures that
move over one another as a camera and objects would move them. Clip ``i`` of a split is a function of (seed, split, i).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
import torch
import typer
from jaxtyping import Float, UInt8

from framepred import write_video
from framepred.inference.scenes import find_scenes
from framepred.media.opencv import cv2
from framepred.media.reading import read_video

Shot: TypeAlias = list[UInt8[np.ndarray, "t _h _w c"]]
"""A shot at several scales."""

Picture: TypeAlias = Float[np.ndarray, "h w"]

CONTEXT, LENGTH, SIDE = 20, 30, 80
"""Frames of a clip before those that validation predicts; frames of a clip; height and width in pixels."""

PICTURES = (".png", ".jpg", ".jpeg")
"""File names of single pictures end like this."""

READ_SHARE, TRAIN_SHARE = 2 / 3, 3 / 4
"""The share of each video that is read, and the share of these frames that trains."""

SCALES = (144, 176, 224, 288, 384)
"""Longer sides in pixels to which videos are reduced; a video is not enlarged."""

REPEATED = 0.1
"""A frame repeats the frame before if it changes by less than this share of the shot's median change."""

VAL_CLIPS = 200
CLIPS_PER_FILE = 400

FLIPPED, REVERSED, DOUBLE_SPEED = 0.5, 0.3, 0.2
"""Shares of the clips that are mirrored; and, of the crops, that run backward or at twice the speed."""

MAX_OBJECTS = 3
MEDIAN_SPEED, SPEED_SPREAD = 1.5, 1.0
"""Median speed in pixels per frame, and standard deviation of its logarithm: one in twenty is faster than 8 pixels."""

ACCELERATION = 0.05
"""Standard deviation of the acceleration, in pixels per frame² and axis."""

SHAKING, SHAKE = 0.25, 0.5
"""Share of the compositions with a shaking camera, and standard deviation of the shaking in pixels and axis."""

TURN, ZOOM = 0.6, 0.008
"""Standard deviations of a picture's rotation in degrees per frame, and of its growth as a share per frame."""

STILL_CAMERA, STILL_OBJECT = 0.4, 0.1
"""Shares of the cameras and of the objects that do not move."""

NEAREST = 2.0
"""Most that the camera's motion shifts an object, as a multiple of the shift of the background (parallax)."""

BENDING, BEND = 0.3, 2.0
"""Share of the pictures that travelling waves bend, as water or cloth, and largest amplitude of a wave in pixels."""

FADING, FADE = 0.15, 0.01
"""Share of the compositions whose light changes, and standard deviation of the change as a share per frame."""

NOISE_LEVELS = (0, 0, 1, 3)
"""Standard deviations of the noise of a composition, in gray levels, equally likely."""


@dataclass(frozen=True)
class Sources:
    """What the clips of a split are made from.

    Attributes:
        videos: shots of videos.
        rendered: shots of rendered films; may be empty.
        textures: shots whose frames serve as pictures of compositions.
    """

    videos: Sequence[Shot]
    rendered: Sequence[Shot]
    textures: Sequence[Shot]


@dataclass(frozen=True)
class Shares:
    """Shares of the clips that are crops of the videos and of the rendered films; the others are compositions."""

    videos: float
    rendered: float = 0.0


def main(
    videos: Annotated[Path, typer.Argument(help="Folder of videos and pictures.")],
    folder: Annotated[Path, typer.Argument(help="Folder for the clips.")],
    rendered: Annotated[Path | None, typer.Option(help="Folder of films that render.py made.")] = None,
    clips: Annotated[int, typer.Option(help="Number of training clips.")] = 8000,
    video_share: Annotated[float, typer.Option(help="Share of the training clips that are crops of the videos.")] = 0.6,
    rendered_share: Annotated[float, typer.Option(help="Share that are crops of rendered films, if given.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the clips.")] = 0,
) -> None:
    """Write training and validation clips and print their number."""
    shares = Shares(video_share, rendered_share if rendered else 0.0)
    for line in prepare(videos, folder, rendered, clips=clips, shares=shares, seed=seed):
        print(line)


def prepare(
    source: Path,
    folder: Path,
    rendered: Path | None = None,
    *,
    clips: int = 8000,
    val_clips: int = VAL_CLIPS,
    shares: Shares,
    seed: int = 0,
) -> Iterator[str]:
    """Write the clips of both splits; yields one line on each split.

    Args:
        source: folder of videos and pictures.
        folder: folder for the clips.
        rendered: folder of rendered films, which only train.
        clips: number of training clips.
        val_clips: number of validation clips, all of them crops of the videos.
        shares: shares of the kinds of training clips.
        seed: seed of the clips.
    """
    read = [read_part(path) for path in sorted(source.iterdir())]
    parts = [divided(video) for video in read]
    found = [shot for train, _ in parts for shot in shots(train)]
    films = [shot for path in sorted(rendered.iterdir()) for shot in shots(read_video(path))] if rendered else []
    train = Sources(long_enough(found), long_enough(films), textures=found)
    val = Sources(long_enough(shot for _, val in parts for shot in shots(val)), [], [])
    for split, sources, count, wanted in (("train", train, clips, shares), ("val", val, val_clips, Shares(1.0))):
        made = (make_clip(sources, wanted, np.random.default_rng([seed, split == "val", i])) for i in range(count))
        write_clips(made, folder / split)
        frames = sum(len(shot[0]) for shot in sources.videos)
        yield (
            f"{split}: {count} clips from {len(sources.videos)} shots of videos, {frames} frames; {wanted.videos:.0%} "
            f"are crops of them, {wanted.rendered:.0%} crops of {len(sources.rendered)} rendered shots"
        )


def read_part(path: Path) -> torch.Tensor:
    """Return the part of a video that may be read; a picture is a video of one frame."""
    if path.suffix.lower() in PICTURES:
        return torch.from_numpy(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)[None]).permute(0, 3, 1, 2)
    video = read_video(path)
    return video[: int(READ_SHARE * len(video))]


def divided(video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the frames for training, and those for validation with the context before them."""
    end = max(1, int(TRAIN_SHARE * len(video)))
    return video[:end], video[max(0, end - CONTEXT) :]


def shots(video: torch.Tensor) -> list[Shot]:
    """Return the shots of a video without repeated frames, each at every scale."""
    found = [video[scene.start : scene.stop].permute(0, 2, 3, 1).numpy() for scene in find_scenes(video)]
    return [scaled(shot[~repeats(shot)]) for shot in found]


def long_enough(found: Iterator[Shot] | Sequence[Shot]) -> list[Shot]:
    """Return the shots that hold a clip."""
    return [shot for shot in found if len(shot[0]) >= LENGTH]


def repeats(shot: np.ndarray) -> np.ndarray:
    """Return which frames of a shot ``(t, h, w, c)`` repeat the frame before."""
    changes = np.array([cv2.absdiff(*pair).mean() for pair in zip(shot[1:], shot[:-1], strict=True)])
    usual = np.median(changes) if len(changes) else 0.0
    return np.append(False, changes < REPEATED * usual)


def scaled(shot: np.ndarray) -> Shot:
    """Return the shot at each of ``SCALES`` that does not enlarge it; smaller ones as they are."""
    height, width = shot.shape[1:3]
    longer = max(height, width)
    ratios = [scale / longer for scale in SCALES if scale <= longer] or [1.0]
    sizes = [(max(SIDE, round(width * ratio)), max(SIDE, round(height * ratio))) for ratio in ratios]
    return [np.stack([resized(frame, size) for frame in shot]) for size in sizes]


def resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a frame ``(h, w, c)`` at a width and height; OpenCV drops the axis of a single channel."""
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)


def make_clip(sources: Sources, shares: Shares, random: np.random.Generator) -> np.ndarray:
    """Return one clip, uint8 ``(t, h, w)``, of one colour channel or gray."""
    kind = random.random()
    if kind < shares.videos:
        clip = crop(sources.videos, random)
    elif kind < shares.videos + shares.rendered:
        clip = crop(sources.rendered, random)
    else:
        clip = composition(sources.textures, random)
    return clip[:, :, ::-1] if random.random() < FLIPPED else clip


def crop(sources: Sequence[Shot], random: np.random.Generator) -> np.ndarray:
    """Return a crop of a shot, sometimes backward or at twice the speed.

    A shot is chosen in proportion to the square root of its length, so that a long one does not crowd out the others.
    """
    lengths = np.array([len(shot[0]) for shot in sources]) ** 0.5
    shot = sources[random.choice(len(sources), p=lengths / lengths.sum())]
    frames = shot[random.integers(len(shot))]
    step = 2 if len(frames) >= 2 * LENGTH and random.random() < DOUBLE_SPEED else 1
    start = random.integers(len(frames) - step * (LENGTH - 1))
    top, left = (random.integers(side - SIDE + 1) for side in frames.shape[1:3])
    window = frames[start : start + step * (LENGTH - 1) + 1 : step, top : top + SIDE, left : left + SIDE]
    window = one_channel(window, random)
    return window[::-1] if random.random() < REVERSED else window


def composition(sources: Sequence[Shot], random: np.random.Generator) -> np.ndarray:
    """Return a background with up to ``MAX_OBJECTS`` objects before it, seen by a moving camera."""
    camera = motion(random, STILL_CAMERA)
    if random.random() < SHAKING:
        camera = camera + random.normal(0, SHAKE, camera.shape)
    canvas = np.stack(list(moving_picture(sources, camera, random)))
    for _ in range(random.integers(0, MAX_OBJECTS + 1)):
        path = motion(random, STILL_OBJECT) + random.uniform(1, NEAREST) * camera
        mask = np.stack(list(moving_outline(path, random)))
        texture = np.stack(list(moving_picture(sources, path, random)))
        canvas = mask * texture + (1 - mask) * canvas
    fade = random.normal(0, FADE) * (random.random() < FADING)
    light = np.exp(fade * (np.arange(LENGTH) - LENGTH / 2))[:, None, None]
    noise = random.normal(0, random.choice(NOISE_LEVELS), canvas.shape)
    return (light * canvas + noise).clip(0, 255).round().astype(np.uint8)


def motion(random: np.random.Generator, still: float) -> Float[np.ndarray, "t 2"]:
    """Return the displacement at each frame of something that moves with a constant acceleration, in pixels."""
    moves = random.random() > still
    angle, speed = random.uniform(0, 2 * np.pi), MEDIAN_SPEED * np.exp(random.normal(0, SPEED_SPREAD))
    velocity = speed * np.array([np.cos(angle), np.sin(angle)])
    time = (np.arange(LENGTH) - LENGTH / 2)[:, None]
    return moves * (velocity * time + random.normal(0, ACCELERATION, 2) * time**2 / 2)


def moving_picture(sources: Sequence[Shot], path: np.ndarray, random: np.random.Generator) -> Iterator[Picture]:
    """Yield one picture that moves along a path, and may turn, zoom and bend: one frame ``(h, w)`` after another."""
    shot = sources[random.integers(len(sources))]
    picture = one_channel(shot[random.integers(len(shot))][random.integers(len(shot[0]))][None], random)[0]
    height, width = picture.shape
    centre = random.uniform((0, 0), (width, height))
    turn, zoom = random.normal(0, (TURN, ZOOM)) * (random.random() > 0.5)
    angle = random.uniform(-10, 10)  # degrees at the first frame
    bends = waves(random) if random.random() < BENDING else None
    for time, displacement in enumerate(path):
        matrix = cv2.getRotationMatrix2D(centre.tolist(), angle + turn * time, float(np.exp(zoom * time)))
        matrix[:, 2] += SIDE / 2 - centre + displacement
        frame = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        yield (frame if bends is None else bent(frame, *bends[time])).astype(np.float32)


def waves(random: np.random.Generator) -> Float[np.ndarray, "t 2 h w"]:
    """Return where each frame is sampled (x, y) when two travelling waves bend it."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    grid = np.stack([columns, rows]) + np.zeros((LENGTH, 1, 1, 1), np.float32)
    for axis in range(2):
        wave = 2 * np.pi / random.uniform(15, 60)  # radians per pixel
        angle, frequency = random.uniform(0, 2 * np.pi), random.uniform(0.05, 0.6)  # radians, radians per frame
        phase = wave * (np.cos(angle) * columns + np.sin(angle) * rows)
        time = np.arange(LENGTH)[:, None, None]
        grid[:, axis] += random.uniform(0.5, BEND) * np.sin(phase + frequency * time)
    return grid


def bent(frame: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return a frame sampled at other positions."""
    sampled: np.ndarray = cv2.remap(frame, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return sampled


def moving_outline(path: np.ndarray, random: np.random.Generator) -> Iterator[Picture]:
    """Yield the mask of a polygon that moves along a path: its share of each pixel, one frame after another."""
    corners = random.integers(3, 9)
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    radii = random.uniform(6, 26, corners)  # pixels
    polygon = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    for position in random.uniform(0, SIDE, 2) + path:
        mask = np.zeros((SIDE, SIDE), np.float32)
        moved = polygon + position
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
