"""FFmpeg's motion interpolation (filter ``minterpolate``), as a restorer to compare with."""

from fractions import Fraction

import av
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from framepred.clips import Clip, Future, to_uint8
from framepred.restorer import Missing, Restorer, Sides, sides


def is_installed() -> bool:
    """Whether the FFmpeg of PyAV has the filter."""
    return "minterpolate" in av.filter.filters_available


class Minterpolate(Restorer):
    """Rebuilds gaps with ``minterpolate`` at its default settings, in YUV 4:4:4 with 8 bits.

    The filter raises the rate of four frames: those beside the gap, and one more on each side at the same distance, or
    the nearest that is observed.
    """

    @override
    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, ``(b, m, c, h, w)``."""
        known: dict[Sides, Float[Tensor, "b n c h w"]] = {}
        found = []
        for index, near in zip(missing.nonzero().flatten().tolist(), sides(missing), strict=True):
            if near not in known:
                known[near] = _gap(clip, near, missing)
            found.append(known[near][:, index - near.before - 1])
        return torch.stack(found, dim=1)


def _gap(clip: Clip, near: Sides, missing: Missing) -> Float[Tensor, "b n c h w"]:
    distance = near.after - near.before
    observed = (~missing).nonzero().flatten()
    wanted = torch.tensor([near.before - distance, near.before, near.after, near.after + distance])
    indices = observed[(observed[None] - wanted[:, None]).abs().argmin(dim=1)]
    return torch.stack([_interpolate(to_uint8(one[indices]), distance) for one in clip]).to(clip)


def _interpolate(frames: Tensor, factor: int) -> Float[Tensor, "n c h w"]:
    """The frames between the second and the third of four frames ``(4, c, h, w)``."""
    graph = av.filter.Graph()
    height, width = frames.shape[-2:]
    start = graph.add_buffer(width=width, height=height, format="yuv444p", time_base=Fraction(1), name="in")
    steps = (graph.add("minterpolate", f"fps={factor}:scd=none"), graph.add("buffersink"))
    start.link_to(steps[0])
    steps[0].link_to(steps[1])
    graph.configure()
    pixels = [frame.expand(3, -1, -1).permute(1, 2, 0).numpy() for frame in frames]
    for time, picture in enumerate([*pixels, pixels[-1], pixels[-1]]):  # the filter looks ahead by two frames
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24").reformat(format="yuv444p")
        frame.pts, frame.time_base = time, Fraction(1)
        graph.push(frame)
    graph.push(None)
    found: dict[Fraction, np.ndarray] = {}
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            break
        assert isinstance(frame, av.VideoFrame)
        found[frame.pts * frame.time_base] = frame.to_ndarray(format="rgb24")
    between = np.stack([found[1 + Fraction(step, factor)] for step in range(1, factor)])
    clip = torch.from_numpy(between).permute(0, 3, 1, 2) / 255
    return clip if frames.shape[1] == 3 else clip.mean(dim=1, keepdim=True)
