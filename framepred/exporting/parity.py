"""Compare an exported network with the network itself."""

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch.nn import functional

from framepred.clips import Clip, Frame, State
from framepred.forecaster import Forecaster

OBSERVED, FED_BACK = 10, 20
"""Steps of the comparison: frames that both networks observe, then predictions that are fed back."""

BATCHES = (1, 3)
"""Batch sizes of the comparison; the graphs are traced with a batch size that is not among them."""

PERTURBATIONS = 4
"""Copies of a clip with other rounding that show whether a network's decisions depend on it."""

BLUR = 5
"""Side of the window that smooths the noise, in pixels."""


def rollout_differences(
    net: Forecaster, exported: Forecaster, sizes: list[tuple[int, int]], clip: int = 0
) -> Mapping[tuple[int, int], float]:
    """Return the largest difference of a predicted pixel over 30 steps, by frame size (height, width).

    Args:
        net: the network.
        exported: its export, or another network to compare.
        sizes: the frame sizes.
        clip: number of the generated clip, from 0.
    """
    return {
        size: max(rollout_difference(net, exported, moving_texture(batch, net, size, clip)) for batch in BATCHES)
        for size in sizes
    }


@torch.no_grad()
def rollout_difference(net: Forecaster, exported: Forecaster, clip: Clip) -> float:
    """Return the largest difference of a predicted pixel: each network observes a clip, then its own predictions."""
    states: list[State | None] = [None, None]
    largest = 0.0
    for step in range(clip.shape[1] + FED_BACK):
        for index, network in enumerate((net, exported)):
            state = states[index]
            if step < clip.shape[1]:
                states[index] = network.observe(clip[:, step], state)
            else:
                assert state is not None
                states[index] = network.feedback(network.next_frame(state), state)
        expected, found = (
            network.next_frame(state)
            for network, state in zip((net, exported), states, strict=True)
            if state is not None
        )
        difference = float((expected - found).abs().max())
        largest = max(largest, difference if difference == difference else float("inf"))
    return largest


def rounding_difference(net: Forecaster, size: tuple[int, int], clip: int = 0) -> float:
    """Return by how much the predictions of a network differ where its numbers are rounded otherwise.

    It is compared with its copy in float64, unless a layer knows float32 only, and with itself on frames that differ
    in the last digit. The clips are those of :func:`rollout_differences`. A network that decides, such as by the sign
    of a value, may decide otherwise where rounding tips the value; no export can agree with it there.
    """
    copies: list[Forecaster] = [_Perturbed(net, seed) for seed in range(PERTURBATIONS)]
    largest = max(rollout_differences(net, copy, [size], clip)[size] for copy in copies)
    try:
        return max(largest, rollout_differences(net, _InFloat64(net), [size], clip)[size])
    except RuntimeError:  # a layer that knows float32 only
        return largest


class _Perturbed(Forecaster):
    """A network that gets frames with a relative error of the order of float32's rounding."""

    def __init__(self, net: Forecaster, seed: int) -> None:
        super().__init__()
        self.net = net
        self._generator = torch.Generator().manual_seed(seed)

    def observe(self, frame: Frame, state: State | None = None) -> State:
        return self.net.observe(self._perturb(frame), state)

    def next_frame(self, state: State) -> Frame:
        return self.net.next_frame(state)

    def feedback(self, frame: Frame, state: State) -> State:
        return self.net.feedback(self._perturb(frame), state)

    def _perturb(self, frame: Frame) -> Frame:
        noise = torch.randn(frame.shape, generator=self._generator)
        return (frame * (1 + torch.finfo(torch.float32).eps * noise)).clamp(max=1)


class _InFloat64(Forecaster):
    """A copy of a network that computes in float64."""

    def __init__(self, net: Forecaster) -> None:
        super().__init__()
        self.net = deepcopy(net).double()

    def observe(self, frame: Frame, state: State | None = None) -> State:
        return self.net.observe(frame.double(), state)

    def next_frame(self, state: State) -> Frame:
        return self.net.next_frame(state)

    def feedback(self, frame: Frame, state: State) -> State:
        return self.net.feedback(frame, state)


def moving_texture(batch: int, net: Forecaster, size: tuple[int, int], seed: int = 0) -> Clip:
    """Return clips of smooth noise that moves by one pixel per frame, ``(batch, 10, c, height, width)``."""
    height, width = size
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, getattr(net, "channels", 1), height + BLUR - 1, width + OBSERVED + BLUR - 1)
    smooth = functional.avg_pool2d(torch.rand(shape, generator=generator), BLUR, 1)
    return torch.stack([smooth[..., step : step + width] for step in range(OBSERVED)], dim=1)
