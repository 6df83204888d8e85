"""Measure the default blend weights, for clips that are too short to measure their own, on parts of films."""

import json
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from framepred.clips import ClipBatch, to_unit
from framepred.errors import DataError
from framepred.inference.blend import default_members
from framepred.inference.blend_weights import FIT_SIDE, measure_errors
from framepred.inference.default_blend import FILE
from framepred.inference.regions import REGIONS
from framepred.inference.scenes import find_scenes
from framepred.inference.sources import shrink_raw
from framepred.inference.stacking import ErrorProducts
from framepred.media.reading import read_video
from framepred.models import load

CONTEXT, HORIZON = 10, 10  # frames
LONGER_SIDE = FIT_SIDE
OBSERVED = 2 / 3
"""Share of each film that is used, the first; what lies after it is for scoring."""

DECIMALS = 2  # of the weights in the file


def write_default_blend(folder: Path, network: str, windows: int) -> None:
    """Measure the blend weights on films, with as many windows of each film, and write them into the package.

    Args:
        folder: holds the films.
        network: weights of the network of the blend.
        windows: windows per film.

    Raises:
        DataError: if a film is too short.
    """
    members = default_members(load(network))
    products = ErrorProducts(HORIZON, len(members), REGIONS)
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    for path in paths:
        film = read_video(path)
        frames = to_unit(torch.stack([shrink_raw(frame, LONGER_SIDE) for frame in film[: int(OBSERVED * len(film))]]))
        frames = frames.mean(dim=1, keepdim=True)  # gray, as blends measure their weights
        length = CONTEXT + HORIZON
        starts = [start for scene in find_scenes(frames) for start in range(scene.start, scene.stop - length + 1)]
        if len(starts) < windows:
            raise DataError(f"{path} has {len(starts)} windows of {length} frames without a cut; {windows} are needed.")
        chosen = [starts[index] for index in np.linspace(0, len(starts) - 1, windows).round().astype(int)]
        for start in chosen:
            products += measure_errors(members, ClipBatch.cut(frames[None, start : start + length], CONTEXT))
    found = products.best_weights().double().round(decimals=DECIMALS).tolist()
    FILE.write_text(json.dumps({"films": [path.stem for path in paths], "network": network, "weights": found}) + "\n")
    Console().print(f"{FILE}: {len(paths)} films, {windows} windows each")
