"""Protocol injected-1: events of nine kinds are injected into one film, and found by ``watch`` and by baselines."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from framepred.inference.watching.events import EventFinder, heat_map
from framepred.inference.watching.features import GLOBALS, MAX_SIDE, reduced_size
from framepred.inference.watching.frame_reader import FrameReader
from framepred.inference.watching.injected import KINDS, Film, InjectedFilm, inject, split_film
from framepred.inference.watching.labels import Detection, measure
from framepred.inference.watching.profile import FrameScore, Profile
from framepred.inference.watching.rareness import Calibration, Tails, block_peaks
from framepred.inference.watching.scorer import scores_of
from framepred.media.opencv import cv2
from framepred.media.reading import read_clips

Scores = NDArray[np.float64]

LEAST_CHANGE = 0.05
"""Scale of a baseline's tails, at least: that of the same logarithms of errors in ``watch``."""

SOON = 0.5
"""Seconds within which an alarm counts as raised soon."""


@dataclass(frozen=True)
class Run:
    """The scores of one method on the rest of a film, with its threshold.

    Attributes:
        scores: with what they remember of the last seconds.
        current: without it; alarms are raised by these.
        threshold: above which an alarm is raised.
        heat: heat map of each frame.
    """

    scores: Scores
    current: Scores
    threshold: float
    heat: list[NDArray[np.float32]] | None = None


@dataclass(frozen=True)
class Outcome:
    """What one method reached on one film with injected events.

    Attributes:
        detection: measured with the scores that remember the last seconds.
        plain_auroc: frame AUROC of the scores without memory.
        found_soon: for each event, whether an alarm was raised within ``SOON`` seconds.
    """

    detection: Detection
    plain_auroc: float
    found_soon: list[bool]


Outcomes = dict[str, dict[str, list[Outcome]]]
"""By method and kind, one outcome a seed."""


def print_watch(video: Path, seeds: Sequence[int], false_alarms: float, max_side: int, output: Path) -> None:
    """Print tables by kind and method, and draw the scores of the first seed."""
    read = read_clips(video)
    film, fps = read.clips[0].permute(0, 2, 3, 1).numpy(), read.fps
    normal, rest = split_film(film)
    methods: dict[str, Callable[[Film], Run]] = {"watch": watcher(normal, fps, false_alarms, max_side)}
    methods |= baselines(normal, fps, false_alarms)
    drawn: dict[str, tuple[InjectedFilm, Run]] = {}
    outcomes: Outcomes = {name: {kind: [] for kind in KINDS} for name in methods}
    places: dict[str, list[float]] = {}
    for kind in KINDS:
        for seed in seeds:
            injected = inject(rest, kind, fps, seed)
            runs = {name: method(injected.frames) for name, method in methods.items()}
            for name, run in runs.items():
                outcomes[name][kind].append(_outcome(run, injected, fps))
            drawn.setdefault(kind, (injected, runs["watch"]))
            if injected.pixels is not None and runs["watch"].heat is not None:
                places.setdefault(kind, []).append(_pixel_auroc(runs["watch"].heat, injected.pixels))
            found = ", ".join(f"{name} {outcomes[name][kind][-1].detection.auroc:.3f}" for name in methods)
            print(f"{kind}, seed {seed}: {found}", file=sys.stderr, flush=True)
    untouched = {name: len(_events(method(rest), fps)) * 3600 * fps / len(rest) for name, method in methods.items()}
    console = Console(width=140)
    title = f"AUROC of frames, {video.name}, seeds {', '.join(map(str, seeds))}"
    _print_table(console, outcomes, title, lambda outcome: outcome.detection.auroc)
    _print_table(console, outcomes, f"{title}, scores without memory", lambda outcome: outcome.plain_auroc)
    for name, kinds in outcomes.items():
        every = [outcome for found in kinds.values() for outcome in found]
        console.print(f"{name}: {_sentence(every)}, {untouched[name]:.0f} false alarms an hour on the untouched film "
                      f"({false_alarms:g} asked for)")  # fmt: skip
    for kind, values in places.items():
        console.print(f"pixel AUROC of {kind}: {np.mean(values):.3f}")
    draw(drawn, fps, output)


def _sentence(outcomes: list[Outcome]) -> str:
    delays = [outcome.detection.delay for outcome in outcomes if outcome.detection.recall > 0]
    return (
        f"average precision {np.mean([outcome.detection.average_precision for outcome in outcomes]):.3f}, "
        f"{np.mean([outcome.detection.recall for outcome in outcomes]):.0%} of events found, "
        f"{np.mean([soon for outcome in outcomes for soon in outcome.found_soon]):.0%} within {SOON:g} s, "
        f"median delay {np.median(delays) if delays else float('nan'):.2f} s"
    )


def watcher(normal: Film, fps: float, false_alarms: float, max_side: int = MAX_SIDE) -> Callable[[Film], Run]:
    """``watch`` with a profile of the normal footage, fresh for each film."""
    profile = Profile.fit(map(_picture, normal), fps, max_side=max_side)

    def run(film: Film) -> Run:
        fresh = profile.fresh()
        scored = [fresh.score(_picture(frame)) for frame in film]
        heat = [heat_map(frame) if frame.deviations.size else np.zeros((1, 1), np.float32) for frame in scored]
        scores, current = ([getattr(frame, name) for frame in scored] for name in ("score", "current"))
        return Run(np.array(scores), np.array(current), profile.threshold(false_alarms), heat)

    return run


def baselines(normal: Film, fps: float, false_alarms: float) -> dict[str, Callable[[Film], Run]]:
    """Single features with the calibration of ``watch``: rareness on both sides, over the same short time."""
    found: dict[str, Callable[[Film], Run]] = {}
    for name, extract in _EXTRACTORS.items():
        vectors = extract(normal, fps)
        held_out = vectors[len(vectors) // 3 :]
        half = len(held_out) // 2
        parts = held_out[:half], held_out[half:]
        scores = [scores_of(b, Tails.fit(a, LEAST_CHANGE), fps).current for a, b in (parts, parts[::-1])]
        peaks = [block_peaks(scored, fps) for scored in scores]
        threshold = Calibration(np.concatenate(peaks)).threshold(false_alarms)

        found[name] = partial(_baseline_run, extract, fps, Tails.fit(held_out, LEAST_CHANGE), threshold)
    return found


def _baseline_run(extract: "_Extract", fps: float, tails: Tails, threshold: float, film: Film) -> Run:
    scored = scores_of(extract(film, fps), tails, fps)
    return Run(scored.held, scored.current, threshold)


_Extract = Callable[[Film, float], Scores]


def _frame_difference(film: Film, _: float) -> Scores:
    """Logarithm of the mean absolute difference of neighbouring frames at full size, ``(t, 1)``."""
    differences = [float(cv2.absdiff(a, b).mean()) for a, b in zip(film[1:], film[:-1], strict=True)]
    return np.log(np.array([differences[0], *differences]) + 0.01)[:, None]


def _foreground(film: Film, _: float) -> Scores:
    """Logarithm of the share of foreground by OpenCV's MOG2."""
    model = cv2.createBackgroundSubtractorMOG2(detectShadows=False)
    shares = [float((model.apply(np.ascontiguousarray(frame)) > 0).mean()) for frame in film]
    return np.log(np.array(shares) + 1e-4)[:, None]


class _ById:
    """A film that is compared by identity, so that its features are measured once for all baselines."""

    def __init__(self, film: Film) -> None:
        self.film = film

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.film is self.film

    def __hash__(self) -> int:
        return id(self.film)


@lru_cache(maxsize=1)
def _observed(kept: _ById, fps: float) -> Scores:
    """The global features of the frames of a film, ``(t, n)``."""
    reader = FrameReader(fps, reduced_size(*kept.film.shape[1:3]))
    observed = [reader.observe(_picture(frame)) for frame in kept.film]
    return np.stack([found.values for found in observed if found is not None])


def _feature(name: str) -> _Extract:
    def extract(film: Film, fps: float) -> Scores:
        values = _observed(_ById(film), fps)[:, GLOBALS.index(name)].tolist()
        return np.array([values[0]] * (len(film) - len(values)) + values)[:, None]

    return extract


_EXTRACTORS: dict[str, _Extract] = {
    "frame difference": _frame_difference,
    "MOG2 foreground": _foreground,
    "error of last frame": _feature("error"),
    "error of optical flow": _feature("flow error"),
}


def _picture(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame ``(h, w, c)`` as ``(c, h, w)``."""
    return frame.transpose(2, 0, 1)


def _events(run: Run, fps: float) -> list[tuple[int, int]]:
    finder = EventFinder(run.threshold)
    found = [finder.add(index, index / fps, FrameScore(score, score)) for index, score in enumerate(run.current)]
    return [(event.start_frame, event.end_frame) for event in [*found, finder.finish()] if event is not None]


def _outcome(run: Run, injected: InjectedFilm, fps: float) -> Outcome:
    alarms = run.current > run.threshold
    soon = [bool(alarms[start : min(stop, start + round(SOON * fps) + 1)].any()) for start, stop in injected.events]
    times, lengths = np.arange(len(alarms)) / fps, np.full(len(alarms), 1 / fps)
    measured = measure(run.scores, alarms, _events(run, fps), injected.labels, times, lengths)
    return Outcome(measured, float(roc_auc_score(injected.labels, run.current)), soon)


def _pixel_auroc(heat: list[NDArray[np.float32]], pixels: NDArray[np.bool_]) -> float:
    """Of the cells of labelled frames, where a cell counts if half of it is labelled."""
    frames = [index for index in range(len(heat)) if pixels[index].any()]
    size = heat[frames[0]].shape[::-1]
    labels = [
        cv2.resize(pixels[index].astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5 for index in frames
    ]
    return float(roc_auc_score(np.stack(labels).ravel(), np.stack([heat[index] for index in frames]).ravel()))


def _print_table(console: Console, outcomes: Outcomes, title: str, value: Callable[[Outcome], float]) -> None:
    table = Table("method", *KINDS, "mean", title=title)
    for name, kinds in outcomes.items():
        means = [float(np.mean([value(outcome) for outcome in kinds[kind]])) for kind in KINDS]
        table.add_row(name, *(f"{mean:.2f}" for mean in means), f"{np.mean(means):.3f}")
    console.print(table)


def draw(drawn: dict[str, tuple[InjectedFilm, Run]], fps: float, output: Path) -> None:
    """Draw the score over time for each kind, with the threshold and the labelled events."""
    figure = Figure(figsize=(10, 1.4 * len(drawn)), layout="constrained")
    for axes, (kind, (injected, run)) in zip(figure.subplots(len(drawn), sharex=True), drawn.items(), strict=True):
        axes.plot(np.arange(len(run.scores)) / fps, run.scores, linewidth=1)
        axes.axhline(run.threshold, linestyle="--", color="#c2540a", linewidth=1)
        for start, stop in injected.events:
            axes.axvspan(start / fps, stop / fps, alpha=0.2, color="#c2540a")
        axes.set_ylabel(kind)
    figure.axes[-1].set_xlabel("seconds")
    figure.savefig(output)
