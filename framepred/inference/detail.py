"""Predict large frames with their detail: predict small, and take what is finer from the last frame in full size."""

from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from framepred.baselines import LastFrame, OpticalFlow
from framepred.baselines.optical_flow import measure_flow
from framepred.clips import Frame, RawClip, RawFrame, State, to_unit
from framepred.forecaster import Forecaster
from framepred.inference.blend import Blend
from framepred.inference.networks import channels_of
from framepred.inference.regions import spread
from framepred.inference.scaling import ScaledForecaster, resize, shrink
from framepred.media.opencv import cv2
from framepred.warping import compose

Sampled: TypeAlias = Float[np.ndarray, "h w"]

FLOW_SIDE = 1280
"""Longer side, in pixels, at which motion is measured: in full size it is more exact than in small frames."""

PATH_SIDE = 640
"""Longer side, in pixels, at which motion is continued: it is smooth, so more would cost time and add nothing."""


SOFTNESS = 1 / 3
"""Share of bilinear interpolation in moved frames. OpenCV's bicubic kernel overshoots, which costs .1 to .4 dB; more
softness than this leaves less than .9 of the sharpness."""

CARRY_WINDOW = 9
"""Side, in pixels at ``PATH_SIDE``, of the window over which a carried flow is averaged at each frame."""


class DetailForecaster(Forecaster):
    """Runs a blend on small frames, and moves the last frame in full size along the optical flow.

    The optical flows of the blend are measured on the last frames at up to ``FLOW_SIDE`` pixels, and shared between
    them as the blend says. The last observed frame in full size is sampled once along the motion, so that its detail
    does not blur with the lead time. Where it differs, at the small size, from what the network predicts, the
    difference is added, times the weight of the network. What stands still stays exactly as it was. The blend runs on
    the mean of the channels if its members take that, for a third of the time: colours are moved with the detail.
    Frames whose longer side is at most ``max_side`` get the prediction of the blend itself.

    State: the last *observed* frame in full size ``(b, c, h, w)``; the mean of the channels of the last frames
    ``(b, n, h, w)``, none for small frames; flows by one frame and paths of f optical flows, ``(2, f, b, 2, h, w)``,
    none before the first prediction; then the state of the blend.

    Args:
        net: the blend.
        max_side: longest side, in pixels, of the frames that it gets.
    """

    def __init__(self, net: Blend, max_side: int) -> None:
        super().__init__()
        self.net = net
        self.max_side = max_side
        self._in_gray = all(channels_of(member) is None for member in net.members)

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state with one frame ``(b, c, h, w)`` of any size, integers or floats in [0, 1]."""
        frame = to_unit(frame)
        inner = self.net.observe(self._shrink(frame), state and state[3:])
        recent = self._gray(frame)
        if state is not None:
            recent = torch.cat([state[1], recent], dim=1)[:, -1 - self._longest_span :]
        return (frame, recent, frame.new_empty(0), *inner)

    @override
    def observe_clip(self, clip: RawClip) -> State:
        """The state after observing a whole clip ``(b, t, c, h, w)``, as frame by frame, but in less time."""
        small = torch.stack([self._shrink(to_unit(frame)) for frame in clip.unbind(dim=1)], dim=1)
        recent = [self._gray(to_unit(frame)) for frame in clip[:, -1 - self._longest_span :].unbind(dim=1)]
        frame = to_unit(clip[:, -1])
        return (frame, torch.cat(recent, dim=1), frame.new_empty(0), *self.net.observe_clip(small))

    @override
    def feedback(self, frame: Frame, state: State) -> State:
        """Advance blend and motion by one frame beyond the context; the frame in full size stays the observed one."""
        advanced = self.advance(state)
        return (*advanced[:3], self._shrink(frame.clamp(0, 1)), *advanced[4:])

    def advance(self, state: State) -> State:
        """Advance by one frame without the prediction, so that the weights of the blend need not be known."""
        inner = self.net.advance(state[3:])
        if not self._is_large(state[0]):
            return (*state[:3], *inner)
        flows, paths = self._motion(state)
        pairs = zip(self.net.flows, flows, strict=True)
        flows = torch.stack([_carried(member, flow) for member, flow in pairs]) if len(flows) else flows
        longer = compose(flows.flatten(0, 1), paths.flatten(0, 1)).view_as(paths)
        return (*state[:2], torch.stack([flows, longer]), *inner)

    @override
    def next_frame(self, state: State) -> Frame:
        """The next frame in full size ``(b, c, h, w)``, not clamped."""
        frame = state[0]
        if not self._is_large(frame):
            return self.net.next_frame(state[3:])
        paths = self._motion(state)[1]
        shares = self.net.path_shares(state[3:])
        size = (paths.shape[-2], paths.shape[-1])
        path = sum((path * spread(share, size) for path, share in zip(paths, shares, strict=True)), paths.new_zeros(()))
        moved = (
            move_sharply(frame, scale_displacement(path, (frame.shape[-2], frame.shape[-1]))) if len(paths) else frame
        )
        return moved + resize(self.net.correction(state[3:], self._shrink(moved)), tuple(moved.shape[-2:]))

    def _gray(self, frame: Frame) -> Float[Tensor, "b 1 h_flow w_flow"]:
        """The mean of the channels, on which motion is measured."""
        return shrink(frame.mean(dim=1, keepdim=True), FLOW_SIDE if self._is_large(frame) else 1)

    @property
    def _longest_span(self) -> int:
        return max([flow.span for flow in self.net.flows], default=0)

    def _shrink(self, frame: Frame) -> Float[Tensor, "b c_blend h_blend w_blend"]:
        """What the blend gets of a frame."""
        small = shrink(frame, self.max_side)
        return small.mean(dim=1, keepdim=True) if self._in_gray and self._is_large(frame) else small

    def _is_large(self, frame: Frame) -> bool:
        return max(frame.shape[-2:]) > self.max_side

    def _motion(self, state: State) -> Float[Tensor, "2 f b 2 h w"]:
        """The flows by one frame, and the paths from the next frame back to the last observed one."""
        if state[2].numel():
            return state[2]
        last, known = state[1][:, -1:], state[1].shape[1] - 1
        flows = [
            member.carry(_flow(last, state[1][:, known - span :][:, :1], span))
            for member, span in zip(self.net.flows, self._spans(known), strict=True)
        ]
        return torch.stack(flows).expand(2, -1, -1, -1, -1, -1) if flows else state[0].new_empty(2, 0, 1, 2, 1, 1)

    def _spans(self, known: int) -> list[int]:
        """Frames over which each flow can be measured."""
        return [min(flow.span, known) for flow in self.net.flows]


def _carried(member: OpticalFlow, flow: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b 2 h w"]:
    """The flow one frame later; where it moves along itself, its borders are made smooth, else pictures tear there."""
    later = member.carry(flow)
    if not member.carried:
        return later
    side = (CARRY_WINDOW, CARRY_WINDOW)
    planes = [cv2.blur(p, side, borderType=cv2.BORDER_REPLICATE) for p in later.flatten(0, 1).float().cpu().numpy()]
    return torch.from_numpy(np.stack(planes)).view_as(later).to(later)


def _flow(frame: Frame, earlier: Frame, span: int) -> Float[Tensor, "b 2 h_small w_small"]:
    """The flow by one frame, measured on two frames that are ``span`` apart, for frames of ``PATH_SIDE`` pixels."""
    small = shrink(frame, PATH_SIDE)
    size = (small.shape[-2], small.shape[-1])
    return scale_displacement(measure_flow(frame, earlier) / max(span, 1), size)


def scale_displacement(path: Float[Tensor, "b 2 h w"], size: tuple[int, int]) -> Float[Tensor, "b 2 h_new w_new"]:
    """A displacement field for frames of another size, in their pixels."""
    height, width = path.shape[-2:]
    scale = path.new_tensor([size[1] / width, size[0] / height])[:, None, None]
    return scale * functional.interpolate(path, size, mode="bilinear")


def move_sharply(frame: Frame, displacement: Float[Tensor, "b 2 h w"]) -> Frame:
    """Sample a frame at ``x + displacement(x)``, mainly with bicubic interpolation, which blurs less than bilinear.

    Where the displacement is zero the frame stays exactly as it is. The border is repeated outwards.

    Args:
        frame: ``(b, c, h, w)``.
        displacement: along x (right) and y (down), in pixels.
    """
    height, width = frame.shape[-2:]
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    moved = []
    for picture, offset in zip(frame.float().cpu().numpy(), displacement.float().cpu().numpy(), strict=True):
        x, y = columns + offset[0], rows + offset[1]
        moved.append([_sample(channel, x, y) for channel in picture])
    still = (displacement == 0).all(dim=1, keepdim=True)
    return torch.where(still, frame, torch.from_numpy(np.array(moved)).to(frame))


def _sample(channel: Sampled, x: Sampled, y: Sampled) -> Sampled:
    """A channel ``(h, w)`` at these positions; the border is repeated outwards."""
    sharp, soft = (
        cv2.remap(channel, x, y, kernel, borderMode=cv2.BORDER_REPLICATE)
        for kernel in (cv2.INTER_CUBIC, cv2.INTER_LINEAR)
    )
    return np.asarray(cv2.addWeighted(sharp, 1 - SOFTNESS, soft, SOFTNESS, 0))


def at_full_size(net: Forecaster, max_side: int) -> Forecaster:
    """Return a forecaster of frames of any size, whose inner networks get frames of at most ``max_side`` pixels."""
    if isinstance(net, LastFrame):
        return net
    return DetailForecaster(net, max_side).eval() if isinstance(net, Blend) else ScaledForecaster(net, max_side)
