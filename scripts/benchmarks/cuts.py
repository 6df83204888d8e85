"""How well scene cuts are found: precision and recall on generated shots with cuts, and with what resembles them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from framepred.clips import to_unit
from framepred.inference.scenes import CutDetector, find_cuts
from framepred.media.opencv import cv2

HEIGHT, WIDTH, SHOT = 90, 120, 24
"""Size of the generated frames in pixels, and frames of a shot."""

TOLERANCE = 1
"""Frames by which a found cut may be off."""

FIXED_THRESHOLD = 0.1
"""The rule for comparison: a mean absolute change above this is a cut, whatever is around it."""

Random = np.random.Generator
Clip = NDArray[np.float64]  # (t, h, w) in [0, 1]


@dataclass
class Counts:
    """Cuts that were found, cuts that were missed, and frames that are none but were named."""

    found: int = 0
    missed: int = 0
    false: int = 0

    def add(self, named: list[int], true: list[int]) -> None:
        """Count one clip."""
        hits = {cut for cut in true if any(abs(cut - number) <= TOLERANCE for number in named)}
        self.found += len(hits)
        self.missed += len(true) - len(hits)
        self.false += sum(all(abs(cut - number) > TOLERANCE for cut in true) for number in named)

    def __str__(self) -> str:
        named, true = self.found + self.false, self.found + self.missed
        precision = f"{self.found / named:.2f}" if named else "–"
        recall = f"{self.found / true:.2f}" if true else "–"
        return f"{precision} / {recall} ({self.false} false)"


def print_cuts(clips: int, seed: int) -> None:
    """Print precision and recall by kind of clip for both detectors and a fixed threshold."""
    table = Table("kind", "cuts", *DETECTORS, title=f"precision / recall, {clips} clips of each kind, seed {seed}")
    totals = {name: Counts() for name in DETECTORS}
    for kind, generate in KINDS.items():
        counts = {name: Counts() for name in DETECTORS}
        true_cuts = 0
        for number in range(clips):
            frames, true = generate(np.random.default_rng([seed, number]))
            true_cuts += len(true)
            clip = torch.from_numpy((255 * frames.clip(0, 1)).round().astype(np.uint8))[:, None]
            for name, detect in DETECTORS.items():
                named = detect(clip)
                counts[name].add(named, true)
                totals[name].add(named, true)
        table.add_row(kind, str(true_cuts), *map(str, counts.values()))
    table.add_row("all", "", *map(str, totals.values()))
    Console(width=120).print(table)


def _fixed_threshold(clip: Tensor) -> list[int]:
    changes = to_unit(clip).diff(dim=0).abs().mean(dim=(1, 2, 3))
    return [number + 1 for number, change in enumerate(changes.tolist()) if change > FIXED_THRESHOLD]


def _causal(clip: Tensor) -> list[int]:
    detector = CutDetector()
    return [number for number, frame in enumerate(clip) if detector.is_cut(frame)]


DETECTORS: dict[str, Callable[[Tensor], list[int]]] = {
    "both sides": find_cuts,
    "past alone": _causal,
    "change > 0.1": _fixed_threshold,
}


def _texture(random: Random, width: int = WIDTH) -> NDArray[np.float64]:
    """A picture of structures of a random size, brightness and contrast."""
    noise = random.standard_normal((HEIGHT, width))
    picture = cv2.GaussianBlur(noise, (0, 0), random.uniform(1.5, 14))
    picture = (picture - picture.mean()) / picture.std()
    return np.asarray(random.uniform(0.2, 0.8) + random.uniform(0.08, 0.3) * picture)


def _still(random: Random, count: int = SHOT) -> Clip:
    """A picture with a ball that crosses it, and sensor noise."""
    picture, noise = _texture(random), random.uniform(0, 0.03)
    left, speed, top = random.uniform(0, WIDTH / 2), random.uniform(0, 4), int(random.uniform(10, HEIGHT - 10))
    frames = []
    for time in range(count):
        frame = picture.copy()
        cv2.circle(frame, (int(left + speed * time), top), 9, 1.0, -1)
        frames.append(frame + noise * random.standard_normal(frame.shape))
    return np.stack(frames)


def _pan(random: Random, count: int = SHOT) -> Clip:
    """A camera that turns at a steady speed, up to a twentieth of the width per frame."""
    speed = random.uniform(1, 6)
    picture = _texture(random, WIDTH + int(speed * count) + 8)
    starts = (speed * np.arange(count)).astype(int)
    return np.stack([picture[:, start : start + WIDTH] for start in starts])


def _zoom(random: Random, count: int = SHOT) -> Clip:
    picture, rate = _texture(random), random.uniform(1.005, 1.03)
    zooms = [cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 0, rate**time) for time in range(count)]
    return np.stack([cv2.warpAffine(picture, zoom, (WIDTH, HEIGHT)) for zoom in zooms])


def _shake(random: Random, count: int = SHOT) -> Clip:
    picture = np.pad(_texture(random), 6, mode="reflect")
    shifts = random.integers(0, 6, (count, 2))
    return np.stack([picture[down : down + HEIGHT, right : right + WIDTH] for down, right in shifts])


def _flat(random: Random, count: int = SHOT) -> Clip:
    return np.full((count, HEIGHT, WIDTH), random.uniform(0, 1))


SHOTS = (_still, _pan, _zoom, _shake)


def _any_shot(random: Random, count: int = SHOT) -> Clip:
    return SHOTS[random.integers(len(SHOTS))](random, count)


def _joined(shots: Iterator[Clip]) -> tuple[Clip, list[int]]:
    parts = list(shots)
    return np.concatenate(parts), np.cumsum([len(part) for part in parts])[:-1].tolist()


def _cuts(random: Random) -> tuple[Clip, list[int]]:
    return _joined(_any_shot(random, int(random.integers(8, SHOT))) for _ in range(4))


def _flat_cuts(random: Random) -> tuple[Clip, list[int]]:
    """Flat pictures, such as titles without text, a fifth of the range apart at least, beside structured ones."""
    dark, bright = random.uniform(0, 0.4), random.uniform(0.6, 1)
    return _joined(np.full((SHOT, HEIGHT, WIDTH), level) for level in (dark, bright, dark))


def _fade(random: Random) -> tuple[Clip, list[int]]:
    """Out to black and into another shot."""
    first, second = _any_shot(random), _any_shot(random)
    length = int(random.integers(6, 16))
    down = np.concatenate([np.ones(SHOT - length), np.linspace(1, 0, length)])[:, None, None]
    return np.concatenate([first * down, second * down[::-1]]), []


def _dissolve(random: Random) -> tuple[Clip, list[int]]:
    first, second = _any_shot(random), _any_shot(random)
    length = int(random.integers(8, 20))
    share = np.concatenate([np.zeros(SHOT - length), np.linspace(0, 1, length)])[:, None, None]
    return first * (1 - share) + second * share, []


def _one_shot(random: Random) -> tuple[Clip, list[int]]:
    return _any_shot(random, 2 * SHOT), []


def _start_of_pan(random: Random) -> tuple[Clip, list[int]]:
    """A camera that stands still, then turns."""
    pan = _pan(random)
    return np.concatenate([np.repeat(pan[:1], SHOT, axis=0), pan]), []


def _flicker(random: Random) -> tuple[Clip, list[int]]:
    """A time-lapse whose exposure changes from frame to frame."""
    gains = random.uniform(0.7, 1.3, 2 * SHOT) if random.random() < 0.5 else np.tile([0.85, 1.25], SHOT)
    return _any_shot(random, 2 * SHOT) * gains[:, None, None], []


def _flash(random: Random) -> tuple[Clip, list[int]]:
    """One or two frames much brighter than the others."""
    clip = _any_shot(random, 2 * SHOT)
    start = int(random.integers(8, 2 * SHOT - 8))
    clip[start : start + int(random.integers(1, 3))] += random.uniform(0.2, 0.5)
    return clip, []


def _board(random: Random) -> tuple[Clip, list[int]]:
    """A binary board whose squares move."""
    side, speed = int(random.integers(4, 12)), int(random.integers(1, 4))
    down, right = np.mgrid[:HEIGHT, :WIDTH]
    frames = [((right - speed * time) // side + down // side) % 2 for time in range(2 * SHOT)]
    return np.stack(frames).astype(float), []


KINDS: dict[str, Callable[[Random], tuple[Clip, list[int]]]] = {
    "cuts": _cuts,
    "cuts of flat scenes": _flat_cuts,
    "fades through black": _fade,
    "dissolves": _dissolve,
    "single shots": _one_shot,
    "pan that begins": _start_of_pan,
    "flicker": _flicker,
    "flashes": _flash,
    "binary board": _board,
}
