"""FFmpeg's motion-compensated interpolation (filter ``minterpolate``) as a restorer."""

from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import numpy as np
import torch
from av.video.format import VideoFormat
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor
from typing_extensions import override

from framepred.clips import Clip, Frame, Future, to_uint8
from framepred.errors import ConfigError
from framepred.restorer import Missing, Restorer, Sides, fill_gaps
from framepred.warping import pad_edges

SMALLEST = 48
"""Smallest side, in pixels, of the frames that the filter gets; smaller ones are padded."""

FLUSHING = 2
"""Copies of the last frame that are sent after it, because the filter looks ahead by two frames."""


class Minterpolate(Restorer):
    """Rebuilds gaps with FFmpeg's ``minterpolate`` at its default settings, in YUV 4:4:4 with 8 bits.

    The filter estimates motion by block matching in both directions, and blends overlapping blocks. It raises the rate
    of four frames: those beside the gap, and one more on each side at the same distance, or the nearest that is
    observed. At the start and the end of a clip the nearest observed frame is repeated.

    Raises:
        ConfigError: if the FFmpeg of PyAV lacks the filter.
    """

    def __init__(self) -> None:
        super().__init__()
        if not is_available():
            raise ConfigError("The FFmpeg of PyAV has no filter minterpolate; choose another method.")

    @override
    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, ``(b, m, c, h, w)``."""

        def open_gap(near: Sides) -> Callable[[int], Frame]:
            frames = interpolate_gap(clip, near, missing)
            return lambda index: frames[:, index - near.before - 1]

        return fill_gaps(clip, missing, open_gap)


def is_available() -> bool:
    """Whether the FFmpeg of PyAV has the filter; its wheels do."""
    return "minterpolate" in av.filter.filters_available


def interpolate_gap(clip: Clip, near: Sides, missing: Missing) -> Float[Tensor, "b n c h w"]:
    """All frames of one gap.

    Args:
        clip: ``(b, t, c, h, w)`` in [0, 1].
        near: the observed frames beside the gap.
        missing: for each frame of the clip, whether it is missing.
    """
    distance = near.after - near.before
    observed = (~missing).nonzero().flatten()
    wanted = torch.tensor([near.before - distance, near.before, near.after, near.after + distance])
    indices = observed[(observed[None] - wanted[:, None]).abs().argmin(dim=1)]
    return torch.stack([_interpolate(to_uint8(one[indices]), distance) for one in clip]).to(clip)


def _interpolate(frames: UInt8[Tensor, "4 c h w"], factor: int) -> Float[Tensor, "n c h w"]:
    """The frames between the second and the third of four frames."""
    channels, height, width = frames.shape[1:]
    if channels not in (1, 3):
        return torch.cat([_interpolate(channel[:, None], factor) for channel in frames.unbind(dim=1)], dim=1)
    padded = pad_edges(frames.float(), max(0, SMALLEST - height), max(0, SMALLEST - width)).byte()
    found = dict(_raise_rate([frame.expand(3, -1, -1).permute(1, 2, 0).numpy() for frame in padded], factor))
    between = np.stack([found[1 + Fraction(step, factor)] for step in range(1, factor)])
    clip = torch.from_numpy(between).permute(0, 3, 1, 2)[..., :height, :width] / 255
    return clip if channels == 3 else clip.mean(dim=1, keepdim=True)


def _raise_rate(
    pictures: list[Shaped[np.ndarray, "h w 3"]], factor: int
) -> Iterator[tuple[Fraction, Shaped[np.ndarray, "h w 3"]]]:
    """The frames that the filter returns for frames at the times 0, 1, 2, …, with their times."""
    height, width = pictures[0].shape[:2]
    graph = av.filter.Graph()
    start = graph.add_buffer(width=width, height=height, format=VideoFormat("yuv444p"), time_base=Fraction(1))
    steps = (graph.add("minterpolate", f"fps={factor}:scd=none"), graph.add("buffersink"))
    start.link_to(steps[0])
    steps[0].link_to(steps[1])
    graph.configure()
    for time, picture in enumerate([*pictures, *pictures[-1:] * FLUSHING]):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24").reformat(format="yuv444p")
        frame.pts, frame.time_base = time, Fraction(1)
        graph.push(frame)
    graph.push(None)
    while True:
        try:
            pulled = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(pulled, av.VideoFrame)
        assert pulled.pts is not None
        assert pulled.time_base is not None
        yield pulled.pts * pulled.time_base, pulled.to_ndarray(format="rgb24")
