"""Follow a stream frame by frame: what comes next, and how surprising the frame just seen was."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from framepred.clips import Frame, State, to_unit
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.inference.scaling import shrunk
from framepred.inference.scenes import is_cut
from framepred.inference.surprise import WINDOW, Surprise
from framepred.media.live import Moment

SETTLING = 10  # frames from a start whose errors say more about how little was seen than about what is seen


@dataclass(frozen=True)
class Step:
    """What one frame of a stream gave.

    Attributes:
        future: the frames forecast from here, ``(k, c, h, w)`` in [0, 1], at the size that the network sees.
        mse: mean squared error of this frame, at that size, against what was forecast for it one frame before, pixels
            in [0, 1]; None for the first frame of a scene.
        surprise: the robust z-score of ``mse``; None while a scene is too young to know what is usual.
        cut: whether this frame begins another scene than the one before.
    """

    future: Float[Tensor, "k c h w"]
    mse: float | None
    surprise: float | None
    cut: bool


class Follower:
    """Sees a stream, keeps the state, forecasts at each frame; memory does not grow.

    A scene cut ends what was known: state and usual errors begin anew, so that the cut itself surprises nobody.

    Args:
        net: what predicts, on the device where it is to run.
        horizon: frames to forecast at each step.
        max_side: frames with a longer side are scaled to it, in pixels.
        window: errors that surprise is judged by.

    Raises:
        ConfigError: if one of the numbers is outside its domain.
    """

    def __init__(self, net: Forecaster, horizon: int = 10, max_side: int = 128, window: int = WINDOW) -> None:
        if min(horizon, max_side) < 1:
            raise ConfigError(
                f"The horizon and the longest side must be at least 1, not {horizon} frames and {max_side} pixels."
            )
        self._net = net.eval()
        self._device = next((tensor.device for tensor in net.parameters()), torch.device("cpu"))
        self._horizon = horizon
        self._max_side = max_side
        self._surprise = Surprise(window)
        self.forget()

    def forget(self) -> None:
        """Begin anew: the next frame does not follow from the last one."""
        self._state: State | None = None
        self._expected: Frame | None = None
        self._age = 0
        self._surprise.forget()

    @torch.inference_mode()
    def see(self, frame: Shaped[Tensor, "c h w"]) -> Step:
        """Take in the next frame: uint8, uint16, or floats in [0, 1], RGB or gray, of any size.

        Raises:
            ClipError: if the weights do not know its channels or it is too small for them.
        """
        seen = shrunk(to_unit(frame.to(self._device))[None], self._max_side)
        cut = self._state is not None and is_cut(self._state[0], seen)
        if cut:
            self.forget()
        mse = None if self._expected is None else float((self._expected - seen).square().mean())
        self._state = self._net.observe(seen, self._state)
        future = self._net.forecast(self._state, self._horizon)[0]
        self._expected = future[:1]
        return Step(future, mse, self._judged(mse), cut)

    def _judged(self, mse: float | None) -> float | None:
        self._age += 1
        return None if mse is None or self._age <= SETTLING else self._surprise.judge(mse)


def follow(follower: Follower, moments: Iterable[Moment]) -> Iterator[tuple[int, Moment, Step]]:
    """See frame after frame of a source as it plays: its number from 0, the frame with its time, and what it gave."""
    for number, moment in enumerate(moments):
        if moment.fresh:
            follower.forget()
        yield number, moment, follower.see(moment.frame)
