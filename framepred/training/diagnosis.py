"""How far learning reaches back: the gradient of the last step at every earlier one."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from framepred.clips import ClipBatch, State, to_unit
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster, HasNamedMemory

VANISHED, EXPLODED = 2.0**-10, 2.0**10
"""Shares of the last step's gradient: after ten halvings nothing is learned from a step, after ten doublings nothing
else."""
UNDERFLOW = torch.finfo(torch.float32).tiny
"""Below the smallest normal number of float32, and of bfloat16, digits and then the number itself are lost: 1.2e-38."""


class Flow(NamedTuple):
    """The gradient in one memory through time.

    Attributes:
        name: which memory, such as ``layer 1: hidden``.
        norms: Euclidean norm of the gradient of the last prediction's loss at every step, the earliest first; that of
            a cell state includes what it does by way of the hidden state of its own step.
    """

    name: str
    norms: list[float]

    @property
    def shares(self) -> list[float]:
        """The norms over that of the last step, from it backward in time; infinite where they are not numbers."""
        last = self.norms[-1]
        return [_share(norm, last) for norm in reversed(self.norms)]

    @property
    def marks(self) -> dict[str, int]:
        """How many steps back the gradient first is lost, for each way in which it is.

        ``vanishing``: its norm is under ``VANISHED`` of the last step's. ``explosion``: it is over ``EXPLODED`` of it,
        or no number. ``underflow``: it is under ``UNDERFLOW``.
        """
        lost = {
            "vanishing": [share < VANISHED for share in self.shares],
            "explosion": [share > EXPLODED for share in self.shares],
            "underflow": [norm < UNDERFLOW for norm in reversed(self.norms)],
        }
        return {name: steps.index(True) for name, steps in lost.items() if any(steps)}

    @property
    def rate(self) -> float:
        """The mean factor of a step back; 1 where nothing is lost, a half on the line of 2⁻ᴺ."""
        steps = len(self.norms) - 1
        share = self.shares[-1]
        return share ** (1 / steps) if steps else 1.0


def gradient_flow(net: Forecaster, loss: nn.Module, batch: ClipBatch) -> list[Flow]:
    """The norm of the gradient of the last prediction's loss, in every memory, at every step.

    Every input is the true frame, so that gradients go through memory and not through predictions. Frames beyond the
    context are taken in as the future is. Gradients of parameters, and the network's mode, stay as they are.

    Args:
        net: a forecaster with recurrent cells.
        loss: takes predictions and targets, both ``(b, t, c, h, w)``, and gives a scalar.
        batch: clips, of which all frames but the last are seen.

    Raises:
        ConfigError: if the network has no memory, or there is no earlier step to look back to.
    """
    clips, context = to_unit(batch.clips), batch.context.shape[1]
    if clips.shape[1] < 3:
        raise ConfigError(f"Gradient flow needs clips of at least 3 frames, not {clips.shape[1]}; raise the context.")
    with torch.inference_mode(False), torch.enable_grad():
        states = _states(net, clips.clone(), context)
        memories = [net.named_memory(state) for state in states] if isinstance(net, HasNamedMemory) else [{}]
        if not memories[0]:
            raise ConfigError(
                f"{type(net).__name__} has no recurrent state for a gradient to flow through; "
                "diagnose a network of recurrent cells, such as framepred.models.EncoderForecaster."
            )
        error = loss(net.next_frame(states[-1])[:, None], clips[:, -1:].clone())
        tensors = [kept for memory in memories for kept in memory.values()]
        gradients = torch.autograd.grad(error, tensors, allow_unused=True)
    norms = torch.tensor([_norm(gradient) for gradient in gradients], dtype=torch.float64).view(len(states), -1)
    return [Flow(name, column.tolist()) for name, column in zip(memories[0], norms.unbind(dim=1), strict=True)]


def _states(net: Forecaster, clips: Tensor, context: int) -> list[State]:
    """The state after each frame but the last."""
    states = [net.observe(clips[:, 0])]
    for time, frame in enumerate(clips[:, 1:-1].unbind(dim=1), start=1):
        states.append(net.observe(frame, states[-1]) if time < context else net.feedback(frame, states[-1]))
    return states


def _norm(gradient: Tensor | None) -> float:
    """In float64, where squares of small numbers do not underflow."""
    return 0.0 if gradient is None else float(gradient.double().norm())


def _share(norm: float, last: float) -> float:
    if not math.isfinite(norm):
        return math.inf
    return norm / last if last else (math.inf if norm else 0.0)
