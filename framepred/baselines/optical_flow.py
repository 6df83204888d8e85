"""Baselines by dense optical flow: extrapolation of constant motion, and interpolation between two frames."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from framepred.clips import Clip, Frame, Future, RawClip, RawFrame, State, at_least_float32, to_uint8, to_unit
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.media.opencv import cv2
from framepred.restorer import Missing, Restorer, Sides, fill_gaps
from framepred.warping import carry, compose, pad_edges, warp

SMALLEST = 16
"""Smallest side in pixels that OpenCV's flow accepts; smaller frames are padded."""

FORWARD_STEPS = 4
"""Fixed-point iterations that solve for the displacement at an intermediate time; the error halves at least in each
where the flow changes by less than half a pixel per pixel."""

FINE_ITERATIONS, FINE_SMOOTHNESS = 15, 60.0
"""Iterations of the variational refinement and weight of its smoothness term for fine flow, instead of 5 and 20. Of six
settings these interpolated best on the first two thirds of two films."""

Flow = Float[Tensor, "b 2 h w"]


class OpticalFlow(Forecaster):
    """Moves the last frame along the optical flow between it and an earlier frame.

    Flow: dense inverse search (Kroeger et al. 2016, arXiv:1603.03590; OpenCV, preset medium) on the mean of the
    channels. Extrapolation: semi-Lagrangian, backward in time, with constant flow, as in pySTEPS for rain (Germann &
    Zawadzki 2002). Paths are composed and the last observed frame is sampled once, so distant predictions do not blur.
    After one frame, and where nothing moves, it equals :class:`LastFrame`.

    State: last frame ``(b, c, h, w)``; last *observed* frame; flow from the next frame back by one frame, and path from
    the next frame back to the last observed one, both ``(b, 2, h, w)`` in pixels; the mean of the channels of
    the last observed frames, at most ``span`` of them, the earliest first, ``(b, n, h, w)``.

    Args:
        span: frames between the two that the flow is measured on, at least 1; fewer at the start. The flow is divided
            by it, so a larger span averages the motion of unsteady cameras and uneven frame times.
        carried: whether the flow moves along itself, so that motion stays with what moves; otherwise it stays in place,
            as in pySTEPS.

    Raises:
        ConfigError: if ``span`` is less than 1.
    """

    def __init__(self, span: int = 1, *, carried: bool = False) -> None:
        super().__init__()
        if span < 1:
            raise ConfigError(f"The span of an optical flow must be at least 1 frame, not {span}.")
        self.span = span
        self.carried = carried

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Store one frame ``(b, c, h, w)``, integers or floats in [0, 1], and measure its flow to an earlier one."""
        frame = to_unit(frame)
        gray = frame.mean(dim=1, keepdim=True)
        if state is None:
            still = at_least_float32(frame).new_zeros(len(frame), 2, *frame.shape[-2:])
            return frame, frame, still, still, gray
        earlier = state[4]
        flow = self.carry(measure_flow(gray, earlier[:, :1]) / earlier.shape[1])
        return frame, frame, flow, flow, torch.cat([earlier, gray], dim=1)[:, -self.span :]

    @override
    def observe_clip(self, clip: RawClip) -> State:
        """The state after observing a whole clip ``(b, t, c, h, w)``; only its last flow is measured."""
        last = clip[:, -self.span - 1 :]
        if last.shape[1] < 2:
            return super().observe_clip(clip)
        earlier = to_unit(last[:, :-1]).mean(dim=2)
        frame = to_unit(last[:, -1])
        return self.observe(frame, (frame, frame, earlier, earlier, earlier))

    @override
    def forward(self, context: RawClip, horizon: int) -> Future:
        """Forecast from the last ``span + 1`` frames, which decide the flow, ``(b, horizon, c, h, w)``."""
        return super().forward(context[:, -self.span - 1 :] if context.ndim > 1 else context, horizon)

    @override
    def feedback(self, frame: Frame, state: State) -> State:
        """Extend the path by one frame of the same flow; the content of the frame is ignored."""
        _, observed, flow, path, earlier = state
        flow = self.carry(flow)
        return frame, observed, flow, compose(flow, path), earlier

    def carry(self, flow: Flow) -> Flow:
        """The flow one frame later: moved along itself where it is carried, else the same."""
        return carry(flow) if self.carried else flow

    @override
    def next_frame(self, state: State) -> Frame:
        """Warp the last observed frame along the path, ``(b, c, h, w)``."""
        return warp(state[1], state[3])


class MotionCompensated(Restorer):
    """Warps the frames on both sides of a gap to each missing time and blends them by distance in time.

    The flow between the two frames is measured in both directions, as in :class:`OpticalFlow`. An object is assumed to
    move at constant velocity in between. At the start and the end of a clip the nearest observed frame is repeated.
    Reference: motion-compensated frame interpolation, e.g. Baker et al. 2011, "A database and evaluation methodology
    for optical flow", sec. 3.3.
    """

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, ``(b, m, c, h, w)``."""

        def open_gap(near: Sides) -> Callable[[int], Frame]:
            before, after = clip[:, near.before], clip[:, near.after]
            flows = measure_flow(before, after), measure_flow(after, before)
            distance = near.after - near.before
            return lambda index: _interpolate(before, after, *flows, (index - near.before) / distance)

        return fill_gaps(clip, missing, open_gap)


def measure_flow(frame: Frame, other: Frame, fine: bool = False) -> Flow:
    """Measure for each pixel of ``frame`` the displacement to its position in ``other``, ``(b, 2, h, w)`` in pixels.

    It is float32 where the frames have half precision, which would round it to parts of a pixel.

    Args:
        frame: ``(b, c, h, w)``, of which the mean of the channels counts.
        other: the frame before or after it, same shape.
        fine: match at full instead of half resolution and refine longer, in about four times the time.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    if fine:
        search.setFinestScale(0)
        search.setVariationalRefinementIterations(FINE_ITERATIONS)
        search.setVariationalRefinementAlpha(FINE_SMOOTHNESS)
    pairs = zip(_gray(frame), _gray(other), strict=True)
    flows = np.stack([search.calc(first, second, None) for first, second in pairs])  # type: ignore[call-overload]
    flow = torch.from_numpy(flows).permute(0, 3, 1, 2)[..., : frame.shape[-2], : frame.shape[-1]]
    return flow.to(frame.device, at_least_float32(frame).dtype)


def _interpolate(before: Frame, after: Frame, forward: Flow, backward: Flow, time: float) -> Frame:
    """Blend both frames, each warped to ``time`` in (0, 1), ``(b, c, h, w)``."""
    warped_before = warp(before, sampling(forward, time))
    warped_after = warp(after, sampling(backward, 1 - time))
    return warped_before.lerp(warped_after, time)


def sampling(flow: Flow, time: float = 1.0) -> Flow:
    """Return the displacement from each pixel at ``time`` back to its source: d(x) = -time · flow(x + d(x))."""
    displacement = -time * flow
    for _ in range(FORWARD_STEPS):
        displacement = -time * warp(flow, displacement)
    return displacement


def _gray(frame: Frame) -> np.ndarray:
    """Convert to ``(b, h, w)`` uint8, padded to the size that OpenCV accepts."""
    height, width = frame.shape[-2:]
    gray = to_uint8(frame.mean(dim=1, keepdim=True)).float()
    gray = pad_edges(gray, rows=max(0, SMALLEST - height), columns=max(0, SMALLEST - width))
    return gray[:, 0].byte().cpu().numpy()
