"""What a forecaster costs: parameters, and multiply-accumulate operations of one clip."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from framepred.forecaster import Forecaster


def count_parameters(net: nn.Module) -> int:
    """Number of trained values; shared ones count once."""
    return sum(parameter.numel() for parameter in net.parameters())


def macs_per_clip(net: Forecaster, context: int, horizon: int, size: tuple[int, int, int]) -> int:
    """Multiply-accumulates of one forward pass over one clip.

    Convolutions and matrix products are counted by PyTorch's FlopCounterMode; warps and correlations, which it does
    not see, by the network's own formula (``uncounted_macs``). Other element-wise work is not counted.

    Args:
        net: what predicts.
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
    steps = context + horizon - 1
    return int(counter.get_total_flops()) // 2 + steps * net.uncounted_macs(*size[1:])
