"""The mean of the predictions that networks make of a clip and of its mirror images."""

import torch
from typing_extensions import override

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.forecaster import Forecaster
from framepred.inference.blend import Blend
from framepred.inference.networks import channels_of

MIRRORED_AXES = ((), (-1,), (-2,))
"""Axes along which the copies of a clip are mirrored: the clip itself, its left and right, its top and bottom."""


class Mirrored(Forecaster):
    """Predicts a clip by the prediction that a network makes of its mirror image.

    State: the last frame ``(b, c, h, w)``, then the state of the network.

    Args:
        net: the network.
        axes: axes of a frame along which it is mirrored.
    """

    def __init__(self, net: Forecaster, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.net = net
        self.axes = axes

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state with one frame ``(b, c, h, w)``."""
        return to_unit(frame), *self.net.observe(frame.flip(self.axes), None if state is None else state[1:])

    @override
    def feedback(self, frame: Frame, state: State) -> State:
        """Update the state with a frame beyond the context."""
        return frame.clamp(0, 1), *self.net.feedback(frame.flip(self.axes), state[1:])

    @override
    def next_frame(self, state: State) -> Frame:
        """Predict the next frame ``(b, c, h, w)``, not clamped to [0, 1]."""
        return self.net.next_frame(state[1:]).flip(self.axes)


class MirrorMean(Blend):
    """Averages the predictions that networks make of a clip and of its mirror images.

    The errors of these predictions differ, so their mean has less error than one of them (test-time augmentation;
    Krizhevsky et al. 2012). Each copy goes on from its own predictions.

    Args:
        net: the network.
        other: another network for frames of as many channels.
        share: weight of the other network's predictions, in [0, 1].
    """

    def __init__(self, net: Forecaster, other: Forecaster | None = None, share: float = 0.0) -> None:
        nets = [(net, 1 - share)] if other is None else [(net, 1 - share), (other, share)]
        used = [(each, weight) for each, weight in nets if weight]
        copies = [Mirrored(each, axes) for each, _ in used for axes in MIRRORED_AXES]
        weights = torch.tensor([[weight / len(MIRRORED_AXES) for _, weight in used for _ in MIRRORED_AXES]])
        super().__init__(copies, weights)
        self.channels = channels_of(net)
