"""Gradient flow as a picture: norms on a log axis, back through time."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from jaxtyping import UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from framepred.training.diagnosis import EXPLODED, UNDERFLOW, VANISHED, Flow

MARKERS = {"vanishing": "v", "explosion": "^", "underflow": "x"}
MEANINGS = {
    "vanishing": f"vanishing: under {VANISHED:.1g} of the last step's",
    "explosion": f"explosion: over {EXPLODED:.0f} times the last step's",
    "underflow": f"underflow: under {UNDERFLOW:.1g}, float32's smallest",
}
LOWEST, HIGHEST = 1e-45, 1e45
"""Where zero and infinity are drawn: about the least and the most that float32 can hold."""


def draw_flow(axes: Axes, flows: Sequence[Flow]) -> None:
    """Draw each flow as a line from the last step back, with its marks, beside the line of 2⁻ᴺ."""
    colours = colormaps["tab10"]
    for number, flow in enumerate(flows):
        back = np.arange(len(flow.norms))
        norms = np.clip(np.nan_to_num(flow.norms[::-1], nan=np.inf), LOWEST, HIGHEST)
        axes.plot(back, norms, color=colours(number % 10), label=flow.name, linewidth=1.6)
        for mark, step in flow.marks.items():
            axes.plot(step, norms[step], MARKERS[mark], color=colours(number % 10), markersize=9)
    longest = max(len(flow.norms) for flow in flows)
    highest = max(flow.norms[-1] for flow in flows)
    if 0 < highest < HIGHEST:
        halved = [max(highest * 0.5**step, LOWEST) for step in range(longest)]
        axes.plot(halved, ":", color="black", label="2⁻ᴺ: halved at every step")
    for mark in dict.fromkeys(mark for flow in flows for mark in flow.marks):
        axes.plot([], [], MARKERS[mark], color="gray", label=MEANINGS[mark])
    axes.set(yscale="log", xlabel="steps back from the last", ylabel="norm of the gradient")
    axes.legend(fontsize=8, frameon=False)


def flow_figure(flows: Sequence[Flow], title: str = "Gradient of the last prediction's loss through time") -> Figure:
    """A figure of all memories of a network."""
    figure = Figure(figsize=(8, 5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    draw_flow(axes, flows)
    axes.set_title(title, fontsize=11)
    return figure


def flow_picture(flows: Sequence[Flow]) -> UInt8[Tensor, "H W 3"]:
    """The same as pixels, RGB."""
    drawn = BytesIO()
    flow_figure(flows).savefig(drawn, format="png")
    return torch.from_numpy(np.asarray(Image.open(drawn).convert("RGB")).copy())
