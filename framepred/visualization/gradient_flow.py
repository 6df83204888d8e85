"""Gradient flow through time: the measured norms, what counts as lost, and their plot."""

from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from framepred.errors import ConfigError

VANISHED, EXPLODED = 2.0**-10, 2.0**10
"""Ratios to the gradient of the last step: after ten halvings a step contributes nothing to learning, after ten
doublings it outweighs all others."""
UNDERFLOW = torch.finfo(torch.float32).tiny
"""Smallest normal number of float32 and bfloat16, 1.2e-38; below it precision is lost."""

MARKERS = {"vanishing": "v", "explosion": "^", "underflow": "x"}
MEANINGS = {
    "vanishing": f"vanishing: below {VANISHED:.1g} of the last step",
    "explosion": f"explosion: above {EXPLODED:.0f} times the last step",
    "underflow": f"underflow: below {UNDERFLOW:.1g}, the smallest float32",
}
LOWEST, HIGHEST = 1e-45, 1e45
"""Where zero and infinity are drawn: about the smallest and above the largest float32."""


class Flow(NamedTuple):
    """Gradient norms of one recurrent memory through time.

    Attributes:
        name: the memory, such as ``layer 1: hidden``.
        norms: Euclidean norm of the gradient of the last prediction's loss with respect to the memory at each step,
            the earliest step first. The norm of a cell state includes the path through the hidden state of its step.

    Example:
        >>> Flow("halved", [0.25, 0.5, 1.0]).rate
        0.5
    """

    name: str
    norms: list[float]

    @property
    def ratios(self) -> list[float]:
        """The norms divided by that of the last step, from the last step backward; infinite where not finite."""
        last = self.norms[-1]
        return [_ratio(norm, last) for norm in reversed(self.norms)]

    @property
    def marks(self) -> dict[str, int]:
        """For each kind of lost gradient, how many steps before the last it first occurs.

        ``vanishing``: the norm is below ``VANISHED`` of the last step's. ``explosion``: it is above ``EXPLODED`` of it,
        or not finite. ``underflow``: it is below ``UNDERFLOW``.
        """
        lost = {
            "vanishing": [ratio < VANISHED for ratio in self.ratios],
            "explosion": [ratio > EXPLODED for ratio in self.ratios],
            "underflow": [norm < UNDERFLOW for norm in reversed(self.norms)],
        }
        return {name: steps.index(True) for name, steps in lost.items() if any(steps)}

    @property
    def rate(self) -> float:
        """Geometric mean of the factor per step backward; 1 where nothing is lost."""
        steps = len(self.norms) - 1
        return self.ratios[-1] ** (1 / steps) if steps else 1.0


def draw_flow(axes: Axes, flows: Sequence[Flow]) -> None:
    """Draw each flow as a line over the steps before the last, with its marks and the reference line 2⁻ᴺ.

    Raises:
        ConfigError: if there is no flow.
    """
    if not flows:
        raise ConfigError("There is no gradient flow to draw; give at least one.")
    colours = colormaps["tab10"]
    for number, flow in enumerate(flows):
        norms = np.clip(np.nan_to_num(flow.norms[::-1], nan=np.inf), LOWEST, HIGHEST)
        axes.plot(np.arange(len(norms)), norms, color=colours(number % 10), label=flow.name, linewidth=1.6)
        for mark, step in flow.marks.items():
            axes.plot(step, norms[step], MARKERS[mark], color=colours(number % 10), markersize=9)
    longest = max(len(flow.norms) for flow in flows)
    highest = max(flow.norms[-1] for flow in flows)
    if 0 < highest < HIGHEST:
        halved = [max(highest * 0.5**step, LOWEST) for step in range(longest)]
        axes.plot(halved, ":", color="black", label="2⁻ᴺ: halved at every step")
    for mark in dict.fromkeys(mark for flow in flows for mark in flow.marks):
        axes.plot([], [], MARKERS[mark], color="gray", label=MEANINGS[mark])
    axes.set(yscale="log", xlabel="steps before the last", ylabel="norm of the gradient")
    axes.legend(fontsize=8, frameon=False)


def flow_figure(flows: Sequence[Flow], title: str = "Gradient of the last prediction's loss through time") -> Figure:
    """Return a figure of all memories of a network, 800×500 pixels."""
    figure = Figure(figsize=(8, 5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    draw_flow(axes, flows)
    axes.set_title(title, fontsize=11)
    return figure


def flow_image(flows: Sequence[Flow]) -> UInt8[Tensor, "H W 3"]:
    """Return the figure as RGB pixels ``(h, w, 3)``."""
    buffer = BytesIO()
    flow_figure(flows).savefig(buffer, format="png")
    return torch.from_numpy(np.asarray(Image.open(buffer).convert("RGB")).copy())


def _ratio(norm: float, last: float) -> float:
    if not np.isfinite(norm):
        return float("inf")
    return norm / last if last else (float("inf") if norm else 0.0)
