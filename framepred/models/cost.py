"""What a forecaster costs: parameters, and multiply-accumulate operations of one clip."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from framepred.forecaster import HasUncountedMacs


def count_parameters(net: nn.Module) -> int:
    """Number of trained values; shared ones count once."""
    return sum(parameter.numel() for parameter in net.parameters())


def macs_per_clip(net: nn.Module, context: int, horizon: int, size: tuple[int, int, int]) -> int:
    """Multiply-accumulates of one forward pass over one clip.

    PyTorch's FlopCounterMode counts convolutions and matrix products. Warps and correlations, which it does not see,
    are counted by modules that implement :class:`framepred.forecaster.HasUncountedMacs`. Other element-wise work is
    not counted.

    Args:
        net: a module called as ``net(context, horizon)``.
        context: frames seen.
        horizon: frames predicted.
        size: channels, height and width of a frame.
    """
    device = next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
    training = net.training
    net.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, context, *size, device=device), horizon)
    net.train(training)
    uncounted = sum(part.uncounted_macs(*size[1:]) for part in net.modules() if isinstance(part, HasUncountedMacs))
    return int(counter.get_total_flops()) // 2 + (context + horizon - 1) * uncounted
