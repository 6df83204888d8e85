"""Measure the prior of blend weights: the mean errors of the default members in films, small and large."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Shaped
from rich.console import Console
from torch import Tensor

from framepred.clips import ClipBatch, to_unit
from framepred.errors import DataError
from framepred.inference.blend import default_members
from framepred.inference.blend_weights import FIT_SIDE, measure_errors
from framepred.inference.error_prior import FILE, LARGE, SMALL
from framepred.inference.observed import distinct_frames
from framepred.inference.predict import MAX_SIDE
from framepred.inference.reading_ahead import PAST_SIDE
from framepred.inference.regions import REGIONS
from framepred.inference.scenes import find_scenes
from framepred.inference.sources import shrink_raw
from framepred.inference.stacking import ErrorProducts
from framepred.media.reading import read_video
from framepred.models import load

CONTEXT, HORIZON = 10, 10  # frames
OBSERVED = 2 / 3
"""Share of each film that is used, the first; what lies after it is for scoring."""

DIGITS = 3
"""Significant digits of the products in the file."""


def write_error_prior(folder: Path, network: str, windows: int) -> None:
    """Measure the products of the members' errors on films and write their means into the package.

    Small frames are measured at ``FIT_SIDE`` pixels, large ones at ``PAST_SIDE``, where a film is larger than the blend
    itself predicts.

    Args:
        folder: holds the films.
        network: weights of the network of the blend.
        windows: windows per film.

    Raises:
        DataError: if a film is too short, or none is large.
    """
    members = default_members(load(network))
    products = {size: ErrorProducts(HORIZON, len(members), REGIONS) for size in (SMALL, LARGE)}
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    for path in paths:
        film = read_video(path)
        film = film[: int(OBSERVED * len(film))]
        for size, longer_side, fit_side in ((SMALL, FIT_SIDE, None), (LARGE, PAST_SIDE, FIT_SIDE)):
            if size == SMALL or max(film.shape[-2:]) > MAX_SIDE:
                for window in film_windows(film, longer_side, windows, path):
                    products[size] += measure_errors(members, window, fit_side)
    if not products[LARGE].measured:
        raise DataError(f"No film in {folder} is larger than {MAX_SIDE} pixels; add one.")
    found = {size: each.means.apply_(_rounded).tolist() for size, each in products.items()}
    FILE.write_text(json.dumps({"films": [path.stem for path in paths], "network": network, "products": found}) + "\n")
    Console().print(f"{FILE}: {len(paths)} films, {windows} windows each")


def film_windows(film: Shaped[Tensor, "t c h w"], longer_side: int, count: int, path: Path) -> Iterator[ClipBatch]:
    """Yield windows of a film in gray, without frames that repeat the one before, evenly spread.

    Raises:
        DataError: if there are fewer.
    """
    small = torch.stack([shrink_raw(frame, longer_side) for frame in film])
    frames = to_unit(distinct_frames(small, cuts=True)).mean(dim=1, keepdim=True)  # gray, as blends are measured
    length = CONTEXT + HORIZON
    starts = [start for scene in find_scenes(frames) for start in range(scene.start, scene.stop - length + 1)]
    if len(starts) < count:
        raise DataError(f"{path} has {len(starts)} windows of {length} frames without a cut; {count} are needed.")
    for index in np.linspace(0, len(starts) - 1, count).round().astype(int):
        yield ClipBatch.cut(frames[None, starts[index] : starts[index] + length], CONTEXT)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
