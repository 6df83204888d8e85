"""Baselines without parameters or motion: a black frame, and the last frame."""

import torch
from typing_extensions import override

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.forecaster import Forecaster


class Blank(Forecaster):
    """Predicts black, whatever was seen.

    On sparse scenes such as Moving MNIST it beats repeating the last frame, so no score means anything without it.
    """

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Keep the frame, for its shape alone; uint8 and uint16 frames are welcome too."""
        return (to_unit(frame),)

    def next_frame(self, state: State) -> Frame:
        """A black frame of the size seen, ``(b, c, h, w)``."""
        return torch.zeros_like(state[0])


class LastFrame(Forecaster):
    """Repeats the last frame seen: persistence, the oldest baseline of forecasting."""

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Keep the frame in [0, 1]; uint8 and uint16 frames are welcome too."""
        return (to_unit(frame),)

    def next_frame(self, state: State) -> Frame:
        """The frame last seen, ``(b, c, h, w)``."""
        return state[0]
