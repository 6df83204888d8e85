"""Predict large frames with their detail: predict small, and take what is finer from the last frame in full size."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from framepred.baselines import LastFrame
from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.forecaster import Forecaster
from framepred.inference.blend import Blend
from framepred.inference.scaling import ScaledForecaster, resize, shrink
from framepred.warping import warp


class DetailForecaster(Forecaster):
    """Runs a blend on small frames, and moves the last frame in full size along the motion that the blend found.

    The displacement from the next frame back to the last observed one is enlarged, and the last observed frame is
    sampled once, so that its detail does not blur with the lead time. Where the result differs, at the small size, from
    what the blend predicts, the difference is added. What stands still stays exactly as it was. Frames whose longer
    side is at most ``max_side`` get the prediction of the blend itself.

    State: the last *observed* frame in full size ``(b, c, h, w)``, then the state of the blend.

    Args:
        net: the blend.
        max_side: longest side, in pixels, of the frames that it gets.
    """

    def __init__(self, net: Blend, max_side: int) -> None:
        super().__init__()
        self.net = net
        self.max_side = max_side

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state with one frame ``(b, c, h, w)`` of any size, integers or floats in [0, 1]."""
        frame = to_unit(frame)
        return (frame, *self.net.observe(shrink(frame, self.max_side), state and state[1:]))

    @override
    def feedback(self, frame: Frame, state: State) -> State:
        """Advance the blend by one frame beyond the context; the frame in full size stays the last observed one."""
        return (state[0], *self.net.feedback(shrink(frame.clamp(0, 1), self.max_side), state[1:]))

    @override
    def next_frame(self, state: State) -> Frame:
        """The next frame in full size ``(b, c, h, w)``, not clamped."""
        small = self.net.next_frame(state[1:])
        if small.shape == state[0].shape:
            return small
        moved = self._move(state[0], state[1:])
        return moved + resize(small - shrink(moved, self.max_side), tuple(moved.shape[-2:]))

    def _move(self, frame: Frame, inner: State) -> Frame:
        """The last observed frame at the time of the next one."""
        path = self.net.path(inner)
        if path is None:
            return frame
        displacement = enlarge_displacement(path, (frame.shape[-2], frame.shape[-1]))
        still = (displacement == 0).all(dim=1, keepdim=True)
        return torch.where(still, frame, warp(frame, displacement))


def enlarge_displacement(path: Float[Tensor, "b 2 h w"], size: tuple[int, int]) -> Float[Tensor, "b 2 h_full w_full"]:
    """A displacement field for larger frames, in their pixels."""
    height, width = path.shape[-2:]
    scale = path.new_tensor([size[1] / width, size[0] / height])[:, None, None]
    return scale * functional.interpolate(path, size, mode="bilinear")


def at_full_size(net: Forecaster, max_side: int) -> Forecaster:
    """Return a forecaster of frames of any size, whose inner networks get frames of at most ``max_side`` pixels."""
    if isinstance(net, LastFrame):
        return net
    return DetailForecaster(net, max_side).eval() if isinstance(net, Blend) else ScaledForecaster(net, max_side)
