"""Forecasts of films: last frame, optical flow, network, blend and adapted blend, on the last third of each film."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import TypeAlias
from unittest.mock import patch

import numpy as np
import torch
from jaxtyping import Float, Shaped
from rich.console import Console
from rich.table import Table
from torch import Tensor

from framepred.baselines import load_baseline
from framepred.clips import Clip, to_unit
from framepred.evaluation.formulas import frame_psnr, frame_ssim_openstl
from framepred.evaluation.lpips import Lpips
from framepred.forecaster import Forecaster
from framepred.inference.adapt import adapt
from framepred.inference.predict import predict
from framepred.inference.reading_ahead import ADAPT_PAST, PAST
from framepred.inference.scenes import find_scenes
from framepred.inference.sources import shrink_raw
from framepred.media.reading import read_video
from framepred.media.resizing import resized
from framepred.models import load
from framepred.models.pretrained import describe
from framepred.visualization.panels import write_panel

CONTEXT, HORIZON = 10, 10
OBSERVED = 2 / 3
"""Share of each film that is observed, the first; what lies after it is scored."""

BLENDS = ("blend", "adapted", "blend, film unseen")
"""Predictors that are compared with the better baseline."""

Film: TypeAlias = Shaped[Tensor, "t c h w"]
Predictor: TypeAlias = Callable[[Film], Clip]
"""From the frames before a window to the frames of it, ``(1, k, c, h, w)``."""


@dataclass(frozen=True)
class FilmOptions:
    """What is measured.

    Attributes:
        weights: bundled name, folder or checkpoint.
        side: longer side of the frames in pixels; smaller films keep their size.
        max_side: longer side of the frames that the network gets, in pixels.
        windows: scored windows of a film, at most.
        adapt: processor seconds of training the network on the frames before each window; 0 leaves it out.
        unseen: steps of training a new network on the other films alone, to leave one out; 0 does not.
        lead_times: whether to print errors by lead time.
        lpips: file of AlexNet's weights for LPIPS; None leaves it out.
    """

    weights: str = "natural-small"
    side: int = 176
    max_side: int = 256
    windows: int = 200
    adapt: float = 0
    unseen: int = 0
    lead_times: bool = False
    lpips: Path | None = None


@dataclass
class Scores:
    """Scores of one forecaster on one film, one row per window and one column per lead time."""

    mse: list[Tensor] = field(default_factory=list)
    psnr: list[Tensor] = field(default_factory=list)
    ssim: list[Tensor] = field(default_factory=list)
    sharpness: list[Tensor] = field(default_factory=list)
    lpips: list[Tensor] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, future: Clip, truth: Clip, seconds: float, lpips: Lpips | None) -> None:
        """Score one predicted window, ``(1, k, c, h, w)``."""
        self.mse.append((future - truth).square().mean(dim=(2, 3, 4))[0])
        self.psnr.append(frame_psnr(future, truth)[0])
        self.ssim.append(frame_ssim_openstl(future, truth)[0])
        self.sharpness.append((gradient_energy(future) / gradient_energy(truth).clamp(min=1e-9))[0])
        if lpips is not None:
            self.lpips.append(lpips(future, truth)[0])
        self.seconds.append(seconds)


def print_films(folder: Path, options: FilmOptions, output: Path) -> None:
    """Score every film of a folder, print a table for each and one of the gains, and write a picture of each."""
    output.mkdir(parents=True, exist_ok=True)
    lpips = Lpips(options.lpips) if options.lpips else None
    gains = Table("film", *BLENDS, title="MSE less than the better baseline's, %")
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    for path in paths:
        frames = read_video(path)
        predictors = _predictors([other for other in paths if other != path], options)
        scores = {name: Scores() for name in predictors}
        starts = window_starts(frames, options.windows)
        for start in starts:
            window = _scaled(frames[max(0, start - ADAPT_PAST) : start + HORIZON], options.side)
            past, truth = window[:-HORIZON], to_unit(window[-HORIZON:])[None]
            for name, predictor in predictors.items():
                begin = process_time()
                future = predictor(past)
                scores[name].add(future, truth, process_time() - begin, lpips)
                if start == starts[len(starts) // 2] and name == "blend":
                    write_panel(output / f"{path.stem}.png", to_unit(past[None, -CONTEXT:]), truth, future)
        _print_film(path.name, tuple(window.shape[1:]), scores, options)
        gains.add_row(path.stem, *(_gain(scores, name) if name in scores else "" for name in BLENDS))
    Console(width=110).print(gains)


def window_starts(frames: Film, windows: int) -> list[int]:
    """Where scored windows begin: in the last third, evenly spread, without a cut in them and their context."""
    first = int(OBSERVED * len(frames))
    small = torch.stack([shrink_raw(frame, 176) for frame in frames])
    found = [
        start
        for scene in find_scenes(small)
        for start in range(scene.start + CONTEXT, scene.stop - HORIZON + 1)
        if start >= first
    ]
    chosen = np.unique(np.linspace(0, len(found) - 1, min(windows, len(found))).round().astype(int))
    return [found[index] for index in chosen]


def gradient_energy(frames: Clip) -> Float[Tensor, "b t"]:
    """Mean squared difference of neighbouring pixels along both axes: how sharp frames are."""
    down, right = frames.diff(dim=-2), frames.diff(dim=-1)
    return down.square().mean(dim=(2, 3, 4)) + right.square().mean(dim=(2, 3, 4))


def _scaled(frames: Film, side: int) -> Film:
    height, width = frames.shape[-2:]
    ratio = min(1.0, side / max(height, width))
    return torch.stack([resized(frame, (round(height * ratio), round(width * ratio))) for frame in frames])


def _predictors(others: Sequence[Path], options: FilmOptions) -> dict[str, Predictor]:
    net = load(options.weights).eval()

    def predicted(net: Forecaster, past: Film, blend: bool = True, seconds: float | None = None) -> Clip:
        observed = past[-PAST:] if seconds is None else past
        arguments = {"frames": HORIZON, "context": CONTEXT, "layout": "tchw", "max_side": options.max_side}
        with patch("framepred.inference.adapt.monotonic", process_time):  # so that other work changes nothing
            found = predict(observed, weights=net, blend=blend, adapt=seconds, **arguments)  # type: ignore[arg-type]
        if seconds is not None:
            Console(width=110).print(found.notes[-1])
        return to_unit(found.frames)[None]

    found: dict[str, Predictor] = {
        "last frame": lambda past: _forecast(load_baseline("last-frame"), past),
        "optical flow": lambda past: _forecast(load_baseline("optical-flow"), past),
        "network": lambda past: predicted(net, past, blend=False),
        "blend": lambda past: predicted(net, past),
    }
    if options.adapt:
        found["adapted"] = lambda past: predicted(net, past, seconds=options.adapt)
    if options.unseen and others:
        stranger = _trained_on(others, net, options)
        found["network, film unseen"] = lambda past: predicted(stranger, past, blend=False)
        found["blend, film unseen"] = lambda past: predicted(stranger, past)
    return found


def _trained_on(films: Sequence[Path], like: Forecaster, options: FilmOptions) -> Forecaster:
    """A new network of the same kind, trained on what is observed of these films, cropped to one size."""
    torch.manual_seed(0)
    arguments = {name: value for name, value in describe(like).items() if name != "class"}
    observed = [_observed(read_video(path), options) for path in films]
    height, width = (min(film.shape[axis] for film in observed) for axis in (-2, -1))
    clips = torch.cat([film[..., :height, :width] for film in observed])
    result = adapt(type(like)(**arguments), clips, context=CONTEXT, horizon=HORIZON, steps=options.unseen)
    Console(width=110).print(f"A new network on {', '.join(path.stem for path in films)}. {result.summary}")
    return result.network


def _observed(frames: Film, options: FilmOptions) -> Film:
    return _scaled(frames[: int(OBSERVED * len(frames))], min(options.side, options.max_side))


@torch.inference_mode()
def _forecast(net: Forecaster, past: Film) -> Clip:
    frames: Clip = net.eval()(past[None, -CONTEXT:], HORIZON)
    return frames


def _print_film(name: str, shape: tuple[int, ...], scores: dict[str, Scores], options: FilmOptions) -> None:
    windows = len(scores["blend"].mse)
    title = f"{name}: {windows} windows of {shape[2]}x{shape[1]}, seconds of one core"
    columns = ["MSE ·10³", "PSNR dB", "SSIM openstl", "sharpness", *(["LPIPS"] if options.lpips else []), "seconds"]
    table = Table("", *columns, title=title)
    for label, found in scores.items():
        mse, psnr, ssim, sharpness = (
            float(torch.stack(rows).mean()) for rows in (found.mse, found.psnr, found.ssim, found.sharpness)
        )
        perceptual = [f"{float(torch.stack(found.lpips).mean()):.4f}"] if options.lpips else []
        seconds = sum(found.seconds) / windows
        table.add_row(
            label, f"{1000 * mse:.3f}", f"{psnr:.2f}", f"{ssim:.4f}", f"{sharpness:.3f}", *perceptual, f"{seconds:.2f}"
        )
    Console(width=110).print(table)
    if options.lead_times:
        Console(width=130).print(_lead_time_table(name, scores))


def _lead_time_table(name: str, scores: dict[str, Scores]) -> Table:
    table = Table("", *map(str, range(1, HORIZON + 1)), title=f"{name}: PSNR of the mean MSE, dB, by lead time")
    for label, found in scores.items():
        errors = torch.stack(found.mse).mean(dim=0).clamp(min=1e-10)
        table.add_row(label, *(f"{-10 * float(error.log10()):.2f}" for error in errors))
    return table


def _gain(scores: dict[str, Scores], name: str) -> str:
    """How much less the error of one is than that of the better baseline, in percent."""
    mean = {label: float(torch.stack(found.mse).mean()) for label, found in scores.items()}
    return f"{100 * (1 - mean[name] / min(mean['last frame'], mean['optical flow'])):.1f}"
