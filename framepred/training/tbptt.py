"""Backpropagation through time, truncated: clips of any length in the memory of a short one."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from framepred.clips import Clip, FrameMask, RawClip, to_unit
from framepred.evaluation.formulas import frame_mse
from framepred.forecaster import Forecaster
from framepred.training.rollout import Predicted, predict_in_chunks


def truncated(
    net: Forecaster,
    loss: Callable[[Predicted, Clip], Tensor],
    clips: RawClip,
    context: int,
    teacher: FrameMask,
    steps: int,
) -> tuple[Float[Tensor, ""], Float[Tensor, "b _steps"]]:
    """Predict every next frame and sum up the loss, with gradients that end at the beginning of each chunk.

    States carry over from chunk to chunk, gradients do not (Williams & Zipser 1990, "Gradient-based learning
    algorithms for recurrent networks"). Each chunk is differentiated before the next is predicted, so that the graph of
    one chunk is all that memory holds. The loss that comes back carries the sum of their gradients: its ``backward``
    hands them to the parameters of ``net`` once, which is what clipping, DDP and accumulation expect.

    Args:
        net: what predicts.
        loss: takes predictions and targets ``(b, t, c, h, w)``, and gives their mean loss; chunks count by their share
            of the frames.
        clips: whole clips ``(b, t, c, h, w)``, integers or floats in [0, 1]; only a chunk of them is ever float.
        context: number of frames that are seen, in 1 … t - 1.
        teacher: ``(b, t)``, where the input beyond the context is the true frame.
        steps: frames a chunk, at least 1.

    Returns:
        The loss, and the squared error of each prediction ``(b, t - 1)``, protocol openstl, without a graph.
    """
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    sums: list[Tensor | None] = [None] * len(parameters)
    losses: list[Tensor] = []
    errors: list[Tensor] = []
    chunks = torch.split(clips[:, 1:], steps, dim=1)
    for predicted, frames in zip(predict_in_chunks(net, clips, context, teacher, steps), chunks, strict=True):
        target = to_unit(frames)
        share = loss(predicted, target) * (frames.shape[1] / (clips.shape[1] - 1))
        with torch.autocast(clips.device.type, enabled=False):  # backward passes follow the types of the forward pass
            gradients = torch.autograd.grad(share, parameters, allow_unused=True)
        sums = [_add(total, gradient) for total, gradient in zip(sums, gradients, strict=True)]
        losses.append(share.detach())
        errors.append(frame_mse(predicted.frames.detach(), target))
    total: Tensor = _Differentiated.apply(torch.stack(losses).sum(), sums, *parameters)
    return total, torch.cat(errors, dim=1)


class _Differentiated(torch.autograd.Function):
    """A loss whose gradient is known already."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: Sequence[Tensor | None], *_: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = outer
        return None, None, *(None if gradient is None else scale * gradient for gradient in ctx.gradients)


def _add(total: Tensor | None, gradient: Tensor | None) -> Tensor | None:
    """Their sum, where None stands for a parameter that had no part in it."""
    if total is None or gradient is None:
        return gradient if total is None else total
    return total + gradient
