"""Measurement of gradient flow: the gradient of the last prediction's loss at every earlier step."""

import torch
from torch import Tensor, nn

from framepred.clips import ClipBatch, State, to_unit
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster, HasNamedMemory
from framepred.training.losses import one_loss
from framepred.visualization.gradient_flow import Flow

SHORTEST_CLIP = 3
"""Frames: one prediction, the step before it, and an earlier step to compare with."""


def gradient_flow(net: Forecaster, loss: nn.Module, batch: ClipBatch) -> list[Flow]:
    """Measure the gradient norm of the last prediction's loss in every recurrent memory at every step.

    All input frames are true frames, so gradients flow through memory and not through predictions. Frames beyond the
    context are input by ``feedback``. Parameters, their gradients and the mode of the network do not change.

    Args:
        net: a forecaster with recurrent cells.
        loss: takes predictions and targets, both ``(b, t, c, h, w)``, and returns a scalar.
        batch: clips; all frames but the last are inputs.

    Raises:
        ConfigError: if the network has no recurrent memory, the clips have fewer than three frames, or the loss is not
            one number.
    """
    clips, context = to_unit(batch.filled().clips), batch.context.shape[1]
    if clips.shape[1] < SHORTEST_CLIP:
        raise ConfigError(
            f"Gradient flow needs clips of at least {SHORTEST_CLIP} frames, not {clips.shape[1]}; raise the context."
        )
    with torch.inference_mode(False), torch.enable_grad():
        states = _states(net, clips.clone(), context)
        memories = [net.named_memory(state) for state in states] if isinstance(net, HasNamedMemory) else [{}]
        if not memories[0]:
            raise ConfigError(
                f"{type(net).__name__} has no recurrent state for a gradient to flow through; "
                "diagnose a network of recurrent cells, such as framepred.models.EncoderForecaster."
            )
        error = one_loss(loss, net.next_frame(states[-1])[:, None], clips[:, -1:].clone())
        tensors = [tensor for memory in memories for tensor in memory.values()]
        gradients = torch.autograd.grad(error, tensors, allow_unused=True)
    norms = torch.tensor([_norm(gradient) for gradient in gradients], dtype=torch.float64).view(len(states), -1)
    return [Flow(name, column.tolist()) for name, column in zip(memories[0], norms.unbind(dim=1), strict=True)]


def _states(net: Forecaster, clips: Tensor, context: int) -> list[State]:
    """Return the state after each frame but the last."""
    states = [net.observe(clips[:, 0])]
    for time, frame in enumerate(clips[:, 1:-1].unbind(dim=1), start=1):
        states.append(net.observe(frame, states[-1]) if time < context else net.feedback(frame, states[-1]))
    return states


def _norm(gradient: Tensor | None) -> float:
    """Return the norm, computed in float64, where squares of small numbers do not underflow."""
    return 0.0 if gradient is None else float(gradient.double().norm())
