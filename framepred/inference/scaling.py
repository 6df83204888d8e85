"""Run a forecaster at a size that it can afford, and give its predictions the size of the frames."""

from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from framepred.clips import Frame, RawFrame, State, at_least_float32, to_unit
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster, check_shape
from framepred.media.pictures import shrunk_size

SmallFrame: TypeAlias = Float[Tensor, "b c h_small w_small"]


class ScaledForecaster(Forecaster):
    """Shows a forecaster frames scaled down, and scales its predictions up.

    Frames whose longer side is at most ``max_side`` pass unchanged.

    State: the last frame in full size ``(b, c, h, w)``, then the state of the inner forecaster.

    Args:
        net: the inner forecaster.
        max_side: longest side in pixels that it gets.

    Raises:
        ConfigError: if ``max_side`` is less than 1.
    """

    def __init__(self, net: Forecaster, max_side: int) -> None:
        super().__init__()
        if max_side < 1:
            raise ConfigError(f"max_side, the longest side of a frame, must be at least 1 pixel, not {max_side}.")
        self.net = net
        self.max_side = max_side

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state with one frame ``(b, c, h, w)`` of any size, integers or floats in [0, 1]."""
        frame = to_unit(frame)
        return (frame, *self.net.observe(shrink(frame, self.max_side), state and state[1:]))

    def feedback(self, frame: Frame, state: State) -> State:
        """Update the state with a frame beyond the context."""
        frame = frame.clamp(0, 1)
        return (frame, *self.net.feedback(shrink(frame, self.max_side), state[1:]))

    def next_frame(self, state: State) -> Frame:
        """The next frame in full size, not clamped."""
        return resize(check_shape(self.net.next_frame(state[1:]), state[1]), tuple(state[0].shape[-2:]))


def scaling_notes(net: object, size: tuple[int, ...] | None) -> tuple[str, ...]:
    """A sentence if a forecaster gets frames of a size ``(c, h, w)`` scaled down."""
    if not isinstance(net, ScaledForecaster) or size is None or max(size[1:]) <= net.max_side:
        return ()
    return (f"The network gets frames of {size[2]}x{size[1]} scaled to {net.max_side} pixels (max_side).",)


def shrink(frame: Frame, max_side: int) -> SmallFrame:
    """The frame with its longer side at most ``max_side`` pixels, in its aspect; a smaller frame passes unchanged."""
    height, width = frame.shape[-2:]
    return resize(frame, shrunk_size(height, width, max_side))


def resize(frame: Frame, size: tuple[int, ...]) -> SmallFrame:
    """The frame with this height and width, bilinear with anti-aliasing."""
    if tuple(frame.shape[-2:]) == size:
        return frame
    precise = at_least_float32(frame)  # the only precisions with anti-aliasing on the CPU
    return functional.interpolate(precise, size, mode="bilinear", antialias=True).to(frame.dtype)
