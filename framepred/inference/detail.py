"""Predict large frames with their detail: predict small, and take what is finer from the last frame in full size."""

from collections.abc import Callable
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
from framepred.inference.blend import Blend, clamped_prediction, member_states
from framepred.inference.mirrored import MirrorMean
from framepred.inference.networks import channels_of
from framepred.inference.regions import spread
from framepred.inference.scaling import ScaledForecaster, SmallFrame, resize, shrink
from framepred.inference.sharpening import sharpen
from framepred.media.opencv import cv2
from framepred.warping import compose

Sampled: TypeAlias = Float[np.ndarray, "h w"]

FLOW_SIDE = 1280
"""Longer side, in pixels, at which motion is measured: in full size it is more exact than in small frames."""

PATH_SIDE = 640
"""Longer side, in pixels, at which motion is continued: it is smooth, so more would cost time and add nothing."""

SOFTNESS = 1 / 3
"""Share of bilinear interpolation in the frame that is moved to the next one; a share of this for later ones, inversely
proportional to the lead time. OpenCV's bicubic kernel overshoots, which costs 2 % of the error at lead time 1. At later
ones errors of the motion prevail: it costs .4 % at lead time 10."""

CARRY_WINDOW = 9
"""Side, in pixels of the path, of the window over which a carried flow is averaged at each frame."""


class DetailForecaster(Forecaster):
    """Runs a blend on small frames, and moves the last frame in full size along the optical flow.

    The optical flows of the blend are measured on the last frames at up to ``FLOW_SIDE`` pixels. The last observed
    frame in full size is sampled once along a mean of their paths, so that its detail does not blur with the lead time.
    Where it differs, at the small size, from the mean of the members, the difference is added. In this mean the optical
    flows are those of large frames, because they are more exact. What stands still stays exactly as it was. The blend
    runs on the mean of the channels if its members take that, for a third of the time: what they predict changes all
    channels alike.
    Frames whose longer side is at most ``max_side`` get the prediction of the blend itself.

    State: the last *observed* frame in full size ``(b, c, h, w)``; the mean of the channels of the last frames
    ``(b, n, h, w)``, none for small frames; flows by one frame and paths of f optical flows, ``(2, f, b, 2, h, w)``,
    none before the first prediction; then the state of the blend.

    Args:
        net: the blend.
        max_side: longest side, in pixels, of the frames that it gets.
        path_side: longer side, in pixels, at which motion is continued.
    """

    def __init__(self, net: Blend, max_side: int, path_side: int = PATH_SIDE) -> None:
        super().__init__()
        self.net = net
        self.max_side = max_side
        self.path_side = path_side
        self._in_gray = all(channels_of(member) is None for member in net.members)

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state with one frame ``(b, c, h, w)`` of any size, integers or floats in [0, 1]."""
        frame = to_unit(frame)
        inner = self.net.observe(self.blend_input(frame), state and state[3:])
        recent = self._gray(frame)
        if state is not None:
            recent = torch.cat([state[1], recent], dim=1)[:, -1 - self._longest_span :]
        return (frame, recent, frame.new_empty(0), *inner)

    @override
    def observe_clip(self, clip: RawClip) -> State:
        """The state after observing a whole clip ``(b, t, c, h, w)``, as frame by frame, but in less time."""
        small = torch.stack([self.blend_input(to_unit(frame)) for frame in clip.unbind(dim=1)], dim=1)
        recent = [self._gray(to_unit(frame)) for frame in clip[:, -1 - self._longest_span :].unbind(dim=1)]
        frame = to_unit(clip[:, -1])
        return (frame, torch.cat(recent, dim=1), frame.new_empty(0), *self.net.observe_clip(small))

    @override
    def feedback(self, frame: Frame, state: State) -> State:
        """Advance blend and motion by one frame beyond the context; the frame in full size stays the observed one."""
        advanced = self.advance(state)
        return (*advanced[:3], self.blend_input(frame.clamp(0, 1)), *advanced[4:])

    def with_motion(self, state: State) -> State:
        """The state with the motion of large frames measured, which is measured at every prediction otherwise."""
        return (*state[:2], self._motion(state), *state[3:]) if self._is_large(state[0]) else state

    def advance(self, state: State) -> State:
        """Advance by one frame without the prediction, so that the weights of the blend need not be known."""
        large = self._is_large(state[0])
        inner = self.net.advance(state[3:], flows=not large)
        if not large:
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
        size = (frame.shape[-2], frame.shape[-1])
        lead_time = int(state[4]) + 1
        moved = move_sharply(frame, scale_displacement(self._path(state, paths), size), SOFTNESS / lead_time)
        small = shrink(moved, self.max_side)
        future = moved + resize(self.net.mean_of(state[3:], self._picture(state, paths, small)) - small, size)
        return sharpen(future, frame) if lead_time > 1 else future

    def member_pictures(self, state: State) -> Float[Tensor, "m b c h_blend w_blend"]:
        """What each member contributes to the next frame, at the size of the blend, in [0, 1]."""
        last = state[0]
        picture: Callable[[Forecaster, State], Frame] = clamped_prediction
        if self._is_large(last):
            picture = self._picture(state, self._motion(state)[1])
        pairs = self.net.pair_states(member_states(state[3:]))
        return torch.stack([picture(member, own) for member, own in pairs])

    def region_shares(self, state: State) -> Float[Tensor, "b q _h _w"]:
        """The regions of the last frame, by which the weights of the blend differ."""
        return state[5]

    def _path(self, state: State, paths: Float[Tensor, "f b 2 h w"]) -> Float[Tensor, "b 2 h w"]:
        """The path from the next frame back to the last observed one: that of the flows, shared as the weights say."""
        size = (paths.shape[-2], paths.shape[-1])
        pairs = zip(paths, self.net.path_shares(state[3:]), strict=True)
        still = paths.new_zeros(len(state[0]), 2, *size)
        return sum((path * spread(share, size) for path, share in pairs), still)

    def _picture(
        self, state: State, paths: Float[Tensor, "f b 2 h w"], colours: SmallFrame | None = None
    ) -> Callable[[Forecaster, State], SmallFrame]:
        """What gives the small picture of a member: a flow moves a large frame, a network predicts a small one.

        Args:
            state: the state.
            paths: the path of each flow.
            colours: the small frame whose colours a prediction in gray gets; None for the last frame.
        """
        by_flow = dict(zip(self.net.flows, paths, strict=True))
        last = shrink(state[0], max(PATH_SIDE, self.max_side))
        still = shrink(state[0], self.max_side)
        side, size = (last.shape[-2], last.shape[-1]), tuple(still.shape[-2:])

        def picture(member: Forecaster, own: State) -> SmallFrame:
            if isinstance(member, OpticalFlow):
                return resize(move_sharply(last, scale_displacement(by_flow[member], side), softness=1), size)
            if isinstance(member, LastFrame):
                return still
            predicted = clamped_prediction(member, own)
            base = still if colours is None else colours
            return base + (predicted - base.mean(dim=1, keepdim=True)) if self._in_gray else predicted

        return picture

    def _gray(self, frame: Frame) -> Float[Tensor, "b 1 h_flow w_flow"]:
        """The mean of the channels, on which motion is measured."""
        return shrink(frame.mean(dim=1, keepdim=True), FLOW_SIDE if self._is_large(frame) else 1)

    @property
    def _longest_span(self) -> int:
        return max([flow.span for flow in self.net.flows], default=0)

    def blend_input(self, frame: Frame) -> Float[Tensor, "b c_blend h_blend w_blend"]:
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
            member.carry(self._flow(last, state[1][:, known - span :][:, :1], span))
            for member, span in zip(self.net.flows, self._spans(known), strict=True)
        ]
        return torch.stack(flows).expand(2, -1, -1, -1, -1, -1) if flows else state[0].new_empty(2, 0, 1, 2, 1, 1)

    def _flow(self, frame: Frame, earlier: Frame, span: int) -> Float[Tensor, "b 2 h_small w_small"]:
        """The flow by one frame, measured on two frames that are ``span`` apart, for frames of ``path_side`` pixels."""
        small = shrink(frame, self.path_side)
        return scale_displacement(measure_flow(frame, earlier) / max(span, 1), (small.shape[-2], small.shape[-1]))

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


def scale_displacement(path: Float[Tensor, "b 2 h w"], size: tuple[int, int]) -> Float[Tensor, "b 2 h_new w_new"]:
    """A displacement field for frames of another size, in their pixels."""
    height, width = path.shape[-2:]
    scale = path.new_tensor([size[1] / width, size[0] / height])[:, None, None]
    return functional.interpolate(scale * path, size, mode="bilinear")


def move_sharply(frame: Frame, displacement: Float[Tensor, "b 2 h w"], softness: float = SOFTNESS) -> Frame:
    """Sample a frame at ``x + displacement(x)``, with bicubic interpolation, which blurs less, and bilinear.

    Where the displacement is zero the frame stays exactly as it is. The border is repeated outwards.

    Args:
        frame: ``(b, c, h, w)``.
        displacement: along x (right) and y (down), in pixels.
        softness: share of bilinear interpolation.
    """
    height, width = frame.shape[-2:]
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    moved = []
    for picture, offset in zip(frame.float().cpu().numpy(), displacement.float().cpu().numpy(), strict=True):
        x, y = columns + offset[0], rows + offset[1]
        moved.append([_sample(channel, x, y, softness) for channel in picture])
    sampled = torch.from_numpy(np.array(moved)).to(frame)
    if softness == 1:  # exact where nothing moves, as it is
        return sampled
    still = (displacement == 0).all(dim=1, keepdim=True)
    return torch.where(still, frame, sampled)


def _sample(channel: Sampled, x: Sampled, y: Sampled, softness: float) -> Sampled:
    """A channel ``(h, w)`` at these positions; the border is repeated outwards."""
    soft = cv2.remap(channel, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if softness == 1:
        return np.asarray(soft)
    sharp = cv2.remap(channel, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.addWeighted(sharp, 1 - softness, soft, softness, 0))


def at_full_size(net: Forecaster, max_side: int) -> Forecaster:
    """Return a forecaster of frames of any size, whose inner networks get frames of at most ``max_side`` pixels."""
    if isinstance(net, LastFrame):
        return net
    if isinstance(net, Blend) and not isinstance(net, MirrorMean):  # which averages the predictions of one network
        return DetailForecaster(net, max_side).eval()
    return ScaledForecaster(net, max_side)
