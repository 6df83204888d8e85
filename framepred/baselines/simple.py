"""Baselines without parameters or motion: a black frame, and the last frame."""

import torch
from typing_extensions import override

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.forecaster import Forecaster


class Blank(Forecaster):
    """Predicts black frames.

    On sparse scenes such as Moving MNIST it has a lower squared error than the last frame, so scores are compared with
    it too.
    """

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Store the frame ``(b, c, h, w)``, integers or floats in [0, 1]; only its shape is used."""
        return (to_unit(frame),)

    def next_frame(self, state: State) -> Frame:
        """Return a black frame, ``(b, c, h, w)``."""
        return torch.zeros_like(state[0])


class LastFrame(Forecaster):
    """Repeats the last observed frame (persistence)."""

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Store the frame ``(b, c, h, w)``, integers or floats in [0, 1]."""
        return (to_unit(frame),)

    def next_frame(self, state: State) -> Frame:
        """Return the last frame, ``(b, c, h, w)``."""
        return state[0]
