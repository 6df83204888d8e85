"""What a forecaster costs: parameters, and multiply-accumulate operations of one clip."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from framepred.forecaster import HasUncountedMacs, eval_mode

BILINEAR_MACS = 4
"""Multiply-accumulates of one value sampled with bilinear interpolation."""


def count_parameters(net: nn.Module) -> int:
    """Number of trained values; shared ones count once."""
    return sum(parameter.numel() for parameter in net.parameters())


def macs_per_clip(net: nn.Module, context: int, horizon: int, size: tuple[int, int, int]) -> int:
    """Multiply-accumulates of one forward pass over one clip.

    PyTorch's formulas count convolutions and matrix products. Warps and correlations, for which it has none, are
    counted by modules that implement :class:`framepred.forecaster.HasUncountedMacs`. Other element-wise work is
    not counted.

    Args:
        net: a module called as ``net(context, horizon)``.
        context: frames seen.
        horizon: frames predicted.
        size: channels, height and width of a frame.
    """
    device = next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
    with eval_mode(net), _FlopCounter() as counter, torch.inference_mode(False), torch.no_grad():
        net(torch.zeros(1, context, *size, device=device), horizon)
    flops: int = counter.flops
    return flops // 2 + uncounted_macs(net, context, horizon, size)


def uncounted_macs(net: nn.Module, context: int, horizon: int, size: tuple[int, int, int]) -> int:
    """Multiply-accumulates that PyTorch does not count; a module that counts them answers for those inside it.

    Args:
        net: any module.
        context: see :func:`macs_per_clip`, as are the other arguments.
        horizon: frames predicted.
        size: channels, height and width of a frame.
    """
    if isinstance(net, HasUncountedMacs):
        return net.uncounted_macs(context, horizon, size)
    return sum(uncounted_macs(part, context, horizon, size) for part in net.children())


class _FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sum of PyTorch's counts of all operations; twice as fast as FlopCounterMode, which counts by module."""

    flops: int

    def __init__(self) -> None:
        from torch.utils.flop_counter import flop_registry  # imports Triton, which networks alone do not need

        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0
        self._registry = flop_registry

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        count: Callable[..., Any] | None = self._registry.get(func._overloadpacket)
        if count is not None:
            self.flops += int(count(*args, **(kwargs or {}), out_val=found))
        return found
