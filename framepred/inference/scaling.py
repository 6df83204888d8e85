"""Large frames at a size that the network can afford."""

from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster

SmallFrame: TypeAlias = Float[Tensor, "b c h_small w_small"]


class ScaledForecaster(Forecaster):
    """Lets a forecaster see frames scaled down, and scales its predictions back up.

    Frames whose longer side is within ``max_side`` pass as they are. A state holds the last frame in full size, then
    the inner forecaster's state.

    Args:
        net: the forecaster within.
        max_side: longest side in pixels that it sees.

    Raises:
        ConfigError: if ``max_side`` is less than 1.
    """

    def __init__(self, net: Forecaster, max_side: int) -> None:
        super().__init__()
        if max_side < 1:
            raise ConfigError(f"The longest side of a frame must be at least 1 pixel, not {max_side}.")
        self.net = net
        self.max_side = max_side

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Take in one frame ``(b, c, h, w)``, integers or floats in [0, 1], of any size."""
        frame = to_unit(frame)
        return (frame, *self.net.observe(shrunk(frame, self.max_side), state and state[1:]))

    def feedback(self, frame: Frame, state: State) -> State:
        """Take in a frame of the future."""
        frame = frame.clamp(0, 1)
        return (frame, *self.net.feedback(shrunk(frame, self.max_side), state[1:]))

    def next_frame(self, state: State) -> Frame:
        """The frame that comes next, raw, in full size."""
        return resized(self.net.next_frame(state[1:]), tuple(state[0].shape[-2:]))


def shrunk(frame: Frame, max_side: int) -> SmallFrame:
    """The frame with its longer side at most ``max_side`` pixels, the aspect kept; a smaller one passes as it is."""
    height, width = frame.shape[-2:]
    ratio = min(1.0, max_side / max(height, width))
    return resized(frame, (max(1, round(height * ratio)), max(1, round(width * ratio))))


def resized(frame: Frame, size: tuple[int, ...]) -> SmallFrame:
    """The frame with this height and width."""
    if tuple(frame.shape[-2:]) == size:
        return frame
    return functional.interpolate(frame, size, mode="bilinear", antialias=True)
