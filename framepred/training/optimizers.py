"""Muon for convolutions: an optimizer that needs fewer steps than AdamW."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

SMALLEST_SIDE = 4
"""Kernels with fewer rows or columns are trained by AdamW, because there is little to orthogonalise."""

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration that moves singular values towards 1 (Jordan et al. 2024)."""
EPSILON = 1e-7
"""Added to a norm before division; a zero gradient stays zero."""
ADAM_EPSILON = 1e-8
"""Added to the denominator of AdamW, as in PyTorch."""


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for the kernels of convolutions, AdamW for all other parameters.

    A kernel ``(out, in, kh, kw)`` is a matrix ``(out, in·kh·kw)``; its momentum is replaced by the nearest
    semi-orthogonal matrix, so that rare directions move as far as common ones (K. Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon). ``torch.optim.Muon`` accepts matrices only.

    Args:
        params: the parameters to train, as tensors.
        lr: learning rate of AdamW, at least 0.
        kernel_lr: learning rate of kernels, at least 0: the distance that a step moves any input direction. It is
            multiplied by √(out / in·kh·kw) where a kernel has more outputs than inputs.
        momentum: decay of the momentum of kernels, in [0, 1).
        betas: decays of AdamW's two moments, in [0, 1).
        weight_decay: share of each parameter that a step at learning rate 1 removes.

    Raises:
        ValueError: if an argument is outside its domain, as PyTorch's own optimizers raise it.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 2e-3,
        kernel_lr: float = 0.02,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
        weight_decay: float = 0.01,
    ) -> None:
        if min(lr, kernel_lr, weight_decay) < 0 or not all(0 <= share < 1 for share in (momentum, *betas)):
            raise ValueError(
                "Muon needs rates and weight_decay of at least 0, and momentum and betas in [0, 1), not "
                f"lr {lr}, kernel_lr {kernel_lr}, weight_decay {weight_decay}, momentum {momentum}, betas {betas}."
            )
        kernels: list[Tensor] = []
        others: list[Tensor] = []
        for parameter in params:
            (kernels if _is_kernel(parameter) else others).append(parameter)
        groups = [
            {"params": kernels, "lr": kernel_lr, "orthogonal": True},
            {"params": others, "lr": lr, "orthogonal": False},
        ]
        defaults = {"momentum": momentum, "betas": tuple(betas), "weight_decay": weight_decay}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor | float] | None = None) -> Tensor | float | None:  # type: ignore[override]
        """Update every parameter that has a gradient; return the loss of ``closure``."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            direction = self._orthogonal if group["orthogonal"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(group["lr"] * direction(parameter, **group))
        return loss

    def _orthogonal(self, parameter: Tensor, momentum: float, **_: object) -> Tensor:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        gradient = parameter.grad
        assert gradient is not None
        state["momentum"].lerp_(gradient, 1 - momentum)
        ahead = gradient.lerp(state["momentum"], momentum)  # Nesterov momentum
        matrix = orthogonalise(ahead.flatten(1))
        scaled: Tensor = max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5 * matrix
        return scaled.view_as(parameter)

    def _adam(self, parameter: Tensor, betas: tuple[float, float], **_: object) -> Tensor:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
        gradient = parameter.grad
        assert gradient is not None
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - betas[0])
        state["square"].lerp_(gradient.square(), 1 - betas[1])
        mean: Tensor = state["mean"] / (1 - betas[0] ** state["step"])
        square: Tensor = state["square"] / (1 - betas[1] ** state["step"])
        return mean / (square.sqrt() + ADAM_EPSILON)


def orthogonalise(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Return approximately the semi-orthogonal matrix nearest to ``matrix`` ``(rows, columns)``.

    Singular values come to lie within 0.7 … 1.2. The Newton–Schulz iteration uses matrix products only, in bfloat16
    where the hardware supports it, as in the original; later iterations correct its rounding. Zeros stay zeros.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + EPSILON)
    if multiplies_bfloat16(matrix.device):
        x = x.bfloat16()
    linear, cubic, quintic = NEWTON_SCHULZ
    for _ in range(iterations):
        gram = x @ x.T
        x = linear * x + (cubic * gram + quintic * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether the device has units for matrix products in bfloat16."""
    if device.type == "cpu":
        capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        return capabilities.get("amx_bf16", False)
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def _is_kernel(parameter: Tensor) -> bool:
    return parameter.ndim > 2 and min(parameter.flatten(1).shape) >= SMALLEST_SIDE
