"""Compare an exported network with the network itself."""

from collections.abc import Mapping

import torch
from torch.nn import functional

from framepred.clips import Clip, State
from framepred.forecaster import Forecaster

OBSERVED, FED_BACK = 10, 20
"""Steps of the comparison: frames that both networks observe, then predictions that are fed back."""

BATCHES = (1, 3)
"""Batch sizes of the comparison; the graphs are traced with a batch size that is not among them."""

BLUR = 5
"""Side of the window that smooths the noise, in pixels."""


def rollout_differences(
    net: Forecaster, exported: Forecaster, sizes: list[tuple[int, int]]
) -> Mapping[tuple[int, int], float]:
    """Return the largest difference of a predicted pixel over 30 steps, by frame size (height, width)."""
    return {
        size: max(rollout_difference(net, exported, moving_texture(batch, net, size)) for batch in BATCHES)
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


def moving_texture(batch: int, net: Forecaster, size: tuple[int, int]) -> Clip:
    """Return clips of smooth noise that moves by one pixel per frame, ``(batch, 10, c, height, width)``."""
    height, width = size
    generator = torch.Generator().manual_seed(0)
    shape = (batch, getattr(net, "channels", 1), height + BLUR - 1, width + OBSERVED + BLUR - 1)
    smooth = functional.avg_pool2d(torch.rand(shape, generator=generator), BLUR, 1)
    return torch.stack([smooth[..., step : step + width] for step in range(OBSERVED)], dim=1)
