"""Motion that goes on as it was: what an engineer would try before a network."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from framepred.clips import Frame, RawFrame, State, to_uint8, to_unit
from framepred.forecaster import Forecaster
from framepred.media.opencv import cv2
from framepred.warping import compose, warp

SMALLEST = 16
"""Fewest pixels of a side that OpenCV's flow takes; smaller frames are padded."""


class OpticalFlow(Forecaster):
    """Carries the last frame on along the optical flow between the last two.

    Flow: dense inverse search (Kroeger et al. 2016, arXiv:1603.03590; OpenCV's, preset medium) on the mean of the
    channels. Extrapolation: semi-Lagrangian under a constant field, backward in time, as pySTEPS does for rain
    (Germann & Zawadzki 2002); paths are composed and the last seen frame is sampled once, so that a far future does
    not blur. After one frame, or where nothing moves, it is :class:`LastFrame`.

    State: last frame ``(b, c, h, w)``, last *observed* frame, flow from the last observed frame back to the one
    before it and path from the next frame back to the last observed one, both ``(b, 2, h, w)`` in pixels.
    """

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Take in one frame ``(b, c, h, w)``, integers or floats in [0, 1], and measure how it came about."""
        frame = to_unit(frame)
        flow = _still(frame) if state is None else _measured(frame, state[0])
        return frame, frame, flow, flow

    @override
    def feedback(self, frame: Frame, state: State) -> State:
        """Go one frame further along the same flow; the frame itself is not looked at."""
        _, observed, flow, path = state
        return frame, observed, flow, compose(flow, path)

    @override
    def next_frame(self, state: State) -> Frame:
        """The last observed frame, moved: ``(b, c, h, w)``."""
        return warp(state[1], state[3])


def _still(frame: Frame) -> Float[Tensor, "b 2 h w"]:
    return frame.new_zeros(len(frame), 2, *frame.shape[-2:])


def _measured(frame: Frame, before: Frame) -> Float[Tensor, "b 2 h w"]:
    """Where each pixel of ``frame`` was in ``before``, relative to where it is."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    pairs = zip(_gray(frame), _gray(before), strict=True)
    flows = np.stack([search.calc(here, there, None) for here, there in pairs])  # type: ignore[call-overload]
    flow = torch.from_numpy(flows).permute(0, 3, 1, 2)[..., : frame.shape[-2], : frame.shape[-1]]
    return flow.to(frame)


def _gray(frame: Frame) -> np.ndarray:
    """``(b, h, w)`` as OpenCV wants it: 256 levels, large enough."""
    height, width = frame.shape[-2:]
    edge = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
    gray = functional.pad(to_uint8(frame.mean(dim=1, keepdim=True)).float(), edge, mode="replicate")
    return gray[:, 0].byte().cpu().numpy()
