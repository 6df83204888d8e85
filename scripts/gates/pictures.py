"""The plots of docs/why-gates.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framepred.clips import ClipBatch
from framepred.forecaster import Forecaster
from framepred.media.atomic import atomic_write
from framepred.training.diagnosis import gradient_flow
from framepred.visualization.gradient_flow import Flow, draw_flow
from gates.hidden_digits import HiddenDigits
from gates.learning import Learned, Return

SMOOTHED = 15
"""Steps over which training losses are averaged in the plots."""

FLOAT32_MAX = 3.4e38
"""Value at which overflowed numbers are drawn."""


def draw_learning(short: Mapping[str, Learned], long: Mapping[str, Learned], mean_error: float, path: Path) -> None:
    """Draw training losses at context 10 and 100, divided by the error of the mean digit."""
    figure = Figure(figsize=(10, 4), dpi=90, layout="constrained")
    for axes, reached, context in zip(figure.subplots(1, 2, sharey=True), (short, long), (10, 100), strict=True):
        for name, found in reached.items():
            axes.plot(_smooth(found.loss) / mean_error, label=f"{name}: {found.forgotten:.3f} on test digits")
        axes.axhline(1, color="black", linestyle=":", label="the mean digit, without any memory")
        axes.set(title=f"context {context}", xlabel="optimizer step", yscale="log")
        axes.legend(fontsize=8, frameon=False, loc="lower left")
    figure.axes[0].set_ylabel("share of the digit forgotten")
    _save(figure, path)


def draw_flows(nets: Mapping[str, Mapping[str, Forecaster]], clips: torch.Tensor, path: Path) -> None:
    """Draw the gradient flow through the longest memory of each network, one panel per title."""
    figure = Figure(figsize=(11, 4.6), dpi=90, layout="constrained")
    for axes, (title, family) in zip(figure.subplots(1, len(nets), sharey=True), nets.items(), strict=True):
        draw_flow(axes, [_flow(name, net, clips) for name, net in family.items()])
        axes.set(title=title)
    _save(figure, path)


def _flow(name: str, net: Forecaster, clips: torch.Tensor) -> Flow:
    """Return the flow of the cell state, or of the hidden state where there is no cell state."""
    return gradient_flow(net, Return(), ClipBatch.cut(clips, clips.shape[1] - 1))[-1]._replace(name=name)


def draw_returns(reached: Mapping[str, Mapping[str, Forecaster]], digits: Sequence[HiddenDigits], path: Path) -> None:
    """Draw eight test digits and the predictions of each network, one column per title."""
    figure = Figure(figsize=(11, 3.2), dpi=90, layout="constrained")
    for axes, (title, family), data in zip(figure.subplots(1, len(reached)), reached.items(), digits, strict=True):
        clips = data.__getitems__(range(8))
        with torch.inference_mode():
            drawn = [net(clips[:, :-1], 1)[:, 0] for net in family.values()]
        rows = [_row(frames) for frames in (clips[:, -1] / 255, *drawn)]
        axes.imshow(np.concatenate(rows), cmap="gray", vmin=0, vmax=1)
        height = rows[0].shape[0]
        axes.set_yticks([height * (number + 0.5) for number in range(len(rows))], ["the digit", *family])
        axes.set(title=title, xticks=[])
        axes.label_outer()
    _save(figure, path)


def draw_clipping(free: Learned, clipped: Learned, limit: float, path: Path) -> None:
    """Draw training loss and norm of the gradient, with and without clipping."""
    figure = Figure(figsize=(10, 3.8), dpi=90, layout="constrained")
    for axes, attribute in zip(figure.subplots(1, 2), ("loss", "gradient"), strict=True):
        for name, found in (("not clipped", free), (f"clipped to a norm of {limit:g}", clipped)):
            axes.plot(np.clip(getattr(found, attribute), 0, FLOAT32_MAX), label=name)
        axes.set(yscale="log", xlabel="optimizer step")
        axes.legend(frameon=False)
    figure.axes[0].set_ylabel("training loss")
    figure.axes[1].set_ylabel("norm of the gradient, before clipping")
    _save(figure, path)


def draw_stream(errors: Mapping[str, Mapping[int, float]], trained: int, path: Path) -> None:
    """Draw the error of the last digit against the number of digits in a row."""
    figure = Figure(figsize=(6, 3.8), dpi=90, layout="constrained")
    axes: Axes = figure.add_subplot()
    for name, found in errors.items():
        axes.plot(list(found), list(found.values()), marker="o", label=name)
    axes.axhline(1, color="black", linestyle=":", label="the mean digit, without any memory")
    axes.axvline(trained, color="gray", linewidth=0.8)
    axes.annotate(" trained on", (trained, 0.15), color="gray", fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="digits in one stream", ylabel="share of the last digit forgotten")
    axes.set_xticks(list(next(iter(errors.values()))), list(next(iter(errors.values()))))
    axes.minorticks_off()
    axes.legend(fontsize=8, frameon=False)
    _save(figure, path)


def _smooth(values: Sequence[float]) -> np.ndarray:
    return np.convolve(values, np.ones(SMOOTHED) / SMOOTHED, mode="valid")


def _row(frames: torch.Tensor) -> np.ndarray:
    """Return frames ``(b, 1, h, w)`` side by side with a gap, ``(h + 1, b · (w + 1))``."""
    padded = torch.nn.functional.pad(frames[:, 0], (0, 1, 0, 1), value=0.35)
    return np.concatenate(list(padded.numpy()), axis=1)


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as draft:
        figure.savefig(draft)
