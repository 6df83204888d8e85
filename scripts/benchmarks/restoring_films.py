"""Missing frames of films rebuilt by each method: gaps of several lengths, some at the end, and every second frame."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Shaped
from rich.console import Console
from rich.table import Table
from torch import Tensor

from framepred.baselines import RESTORERS
from framepred.baselines.minterpolate import is_available
from framepred.clips import to_unit
from framepred.evaluation.formulas import frame_psnr
from framepred.inference.film_restorer import FilmRestorer
from framepred.inference.motion_restorer import MotionRestorer
from framepred.inference.networks import NATURAL
from framepred.inference.scenes import find_scenes
from framepred.inference.sources import shrink_raw
from framepred.media.reading import read_video
from framepred.models import load_restorer
from framepred.restorer import Restorer

OBSERVED = 2 / 3
"""Share of each film that is left alone, the first; what lies after it is scored."""

MARGIN = 12
"""Observed frames on each side of a gap, at least."""

METHODS: dict[str, Callable[[], Restorer]] = {
    "linear": RESTORERS["linear"],
    "motion-compensated": RESTORERS["motion-compensated"],
    **({"minterpolate": RESTORERS["minterpolate"]} if is_available() else {}),
    "motion": MotionRestorer,
    "auto": lambda: FilmRestorer(lambda: load_restorer(NATURAL)),
}


class Pattern(NamedTuple):
    """Which frames of a window are missing.

    Attributes:
        name: what tables call it.
        missing: for each frame of the window, whether it is missing.
    """

    name: str
    missing: tuple[bool, ...]


def gap(length: int) -> Pattern:
    """A gap in the middle."""
    return Pattern(f"gap of {length}", (False,) * MARGIN + (True,) * length + (False,) * MARGIN)


def end(length: int) -> Pattern:
    """A gap at the end, which has observed frames on one side only."""
    return Pattern(f"last {length}", (False,) * MARGIN + (True,) * length)


PATTERNS = (gap(1), gap(3), gap(7), end(3), end(7), Pattern("every second", (False, True) * MARGIN + (False,)))


def print_restored_films(folder: Path, side: int, gaps: int, first_part: bool = False) -> None:
    """Print a table of PSNR and MSE for each film of a folder.

    Args:
        folder: of the films.
        side: longer side of the frames in pixels; films that are smaller keep their size.
        gaps: windows of each pattern in a film, at most.
        first_part: whether to use the first two thirds instead of the last third, for choosing settings.
    """
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        frames = read_video(path)
        border = int(OBSERVED * len(frames))
        frames = frames[:border] if first_part else frames[border:]
        frames = torch.stack([shrink_raw(frame, side) for frame in frames])
        table = Table(path.name, *METHODS, title=f"{frames.shape[-1]}x{frames.shape[-2]}: PSNR dB (MSE ·10³)")
        for pattern in PATTERNS:
            scores = _scores(frames, pattern, gaps)
            if scores is not None:
                table.add_row(pattern.name, *(f"{psnr:.2f} ({1000 * mse:.3f})" for psnr, mse in scores))
        Console(width=110).print(table)


def _scores(frames: Shaped[Tensor, "t c h w"], pattern: Pattern, gaps: int) -> list[tuple[float, float]] | None:
    """PSNR and MSE of each method, averaged over rebuilt frames; None where no window fits into a scene."""
    length = len(pattern.missing)
    starts = [start for scene in find_scenes(frames) for start in range(scene.start, scene.stop - length + 1)]
    if not starts:
        return None
    missing = torch.tensor(pattern.missing)
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(gaps, len(starts))).round().astype(int))
    found: list[list[tuple[float, float]]] = [[] for _ in METHODS]
    for index in chosen:
        clip = to_unit(frames[starts[index] : starts[index] + length])[None]
        for scores, method in zip(found, METHODS.values(), strict=True):
            with torch.inference_mode():
                rebuilt = method().eval().restore(clip, missing)[:, missing]
            truth = clip[:, missing]
            scores.append((float(frame_psnr(rebuilt, truth).mean()), float((rebuilt - truth).square().mean())))
    return [tuple(np.mean(scores, axis=0).tolist()) for scores in found]
