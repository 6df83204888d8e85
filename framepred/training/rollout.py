"""Forward passes of training: predict every next frame of a clip, whole or with truncated backpropagation."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from framepred.baselines.lost_frames import LostPlanes, read_for_training
from framepred.clips import Clip, Frame, FrameMask, Future, RawClip, State, to_unit
from framepred.evaluation.formulas import frame_mse
from framepred.forecaster import Forecaster, HasAuxiliaryLoss


class Predicted(NamedTuple):
    """Predictions of a training step, and the auxiliary loss of the network."""

    frames: Future
    """Raw predictions ``(b, steps, c, h, w)``."""
    auxiliary: Float[Tensor, ""]
    """Mean auxiliary loss of the network over these steps; 0 for networks without one."""


def predict_every_frame(
    net: Forecaster,
    clips: Clip,
    context: int,
    teacher: FrameMask,
    state: State | None = None,
    lost: LostPlanes | None = None,
) -> Predicted:
    """Predict frames 1 to t - 1 of each clip from those before it.

    Inside the context the network observes the truth. Beyond it, its input is the true frame where ``teacher``
    holds and its own prediction elsewhere; gradients flow through its own predictions.

    Args:
        net: the forecaster.
        clips: whole clips ``(b, t, c, h, w)``, values in [0, 1].
        context: number of context frames, in 1 … t - 1.
        teacher: ``(b, t)``, where the input is the true frame; only used from frame ``context`` on.
        state: state of the network before the first frame; None at the start of a video.
        lost: planes after the first frame for which the network's own prediction stands, whatever ``teacher`` says;
            None for none.

    Returns:
        Predictions ``(b, t - 1, c, h, w)`` of ``clips[:, 1:]``.
    """
    return next(predict_in_chunks(net, clips, context, teacher, clips.shape[1] - 1, state, lost))


@torch.no_grad()
def observe_back_and_forth(net: Forecaster, clips: Clip, frames: int) -> State:
    """Return the state of a network after a long stream, made from short clips: each is played back and forth.

    The last frames that the network observes are the clip in its order, and the very last one is the clip's last.

    Args:
        net: the forecaster.
        clips: ``(b, t, c, h, w)``, values in [0, 1].
        frames: number of frames to observe, at least 1.
    """
    last = clips.shape[1] - 1
    state: State | None = None
    device = clips.device.type
    # Autocast keeps converted weights for later calls, in PyTorch 2.8 also without their graph (its issue 158232).
    with torch.autocast(device, enabled=torch.is_autocast_enabled(device), cache_enabled=False):
        for distance in reversed(range(frames)):
            index = last - distance % (2 * last) if last else 0
            state = net.observe(clips[:, abs(index)], state)
    assert state is not None
    return state


def predict_in_chunks(
    net: Forecaster,
    clips: RawClip,
    context: int,
    teacher: FrameMask,
    steps: int,
    state: State | None = None,
    lost: LostPlanes | None = None,
) -> Iterator[Predicted]:
    """Predict as :func:`predict_every_frame`, in chunks of ``steps`` frames: states carry over, gradients do not.

    Args:
        net: the forecaster.
        clips: whole clips ``(b, t, c, h, w)``, integers or floats in [0, 1].
        context: number of context frames, in 1 … t - 1.
        teacher: ``(b, t)``, where the input is the true frame.
        steps: predictions per chunk, at least 1.
        state: state of the network before the first frame; None at the start of a video.
        lost: as :func:`predict_every_frame`.

    Yields:
        Predictions ``(b, steps, c, h, w)``; the last chunk may be shorter. Together they predict ``clips[:, 1:]``.
    """
    dtype = next(net.parameters()).dtype if not clips.is_floating_point() else clips.dtype
    last = to_unit(clips[:, 0]).to(dtype)
    times = range(clips.shape[1] - 1)
    for start in times[::steps]:
        predictions: list[Frame] = []
        auxiliary: list[Tensor] = []
        for time in times[start : start + steps]:
            truth = to_unit(clips[:, time]).to(dtype)
            if lost is not None and time:
                own = last.clamp(0, 1) if time < context else last  # observe takes frames in [0, 1]
                truth = torch.where(lost[:, time, :, None, None], own, truth)
            if time < context or state is None:
                state = net.observe(truth, state)
            else:
                state = net.feedback(torch.where(teacher[:, time, None, None, None], truth, last), state)
            last = net.next_frame(state)
            predictions.append(last)
            if isinstance(net, HasAuxiliaryLoss):
                auxiliary.append(net.auxiliary_loss(state, clips[:, time + 1]))
        mean = torch.stack(auxiliary).mean() if auxiliary else last.new_zeros(())
        yield Predicted(torch.stack(predictions, dim=1), mean)
        assert state is not None
        state, last = tuple(part.detach() for part in state), last.detach()


def truncated(
    net: Forecaster,
    loss: Callable[[Predicted, Clip], Tensor],
    clips: RawClip,
    context: int,
    teacher: FrameMask,
    steps: int,
    filler: float | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, "b _steps"]]:
    """Compute the loss over every next frame with truncated backpropagation through time.

    States carry over from chunk to chunk, gradients do not (Williams & Zipser 1990, "Gradient-based learning
    algorithms for recurrent networks"). Each chunk is differentiated before the next one is predicted, so memory holds
    the graph of one chunk. The returned loss carries the sum of the chunks' gradients; its ``backward`` passes them to
    the parameters of ``net`` once, as gradient clipping, DDP and accumulation expect.

    Args:
        net: the forecaster.
        loss: takes predictions and targets ``(b, t, c, h, w)`` and returns their mean loss; chunks are weighted by
            their number of frames.
        clips: whole clips ``(b, t, c, h, w)``, integers or floats in [0, 1]; only one chunk at a time becomes float.
        context: number of context frames, in 1 … t - 1.
        teacher: ``(b, t)``, where the input beyond the context is the true frame.
        steps: frames per chunk, at least 1.
        filler: what the network reads for missing pixels, which are NaN; None where none can be missing.

    Returns:
        The loss, and the squared error of each prediction ``(b, t - 1)``, not clipped, without a graph.
    """
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    sums: list[Tensor | None] = [None] * len(parameters)
    losses: list[Tensor] = []
    errors: list[Tensor] = []
    chunks = torch.split(clips[:, 1:], steps, dim=1)
    inputs, lost = read_for_training(clips, context, filler)
    rolled = predict_in_chunks(net, inputs, context, teacher, steps, lost=lost)
    for predicted, frames in zip(rolled, chunks, strict=True):
        target = to_unit(frames).to(predicted.frames.dtype)
        share = loss(predicted, target) * (frames.shape[1] / (clips.shape[1] - 1))
        with torch.autocast(clips.device.type, enabled=False):  # backward passes follow the types of the forward pass
            gradients = torch.autograd.grad(share, parameters, allow_unused=True)
        sums = [_add(total, gradient) for total, gradient in zip(sums, gradients, strict=True)]
        losses.append(share.detach())
        errors.append(frame_mse(predicted.frames.detach(), target))
    total: Tensor = _Differentiated.apply(torch.stack(losses).sum(), sums, *parameters)
    return total, torch.cat(errors, dim=1)


class _Differentiated(torch.autograd.Function):
    """A loss with gradients that are already computed."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: Sequence[Tensor | None], *_: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = outer
        return None, None, *(None if gradient is None else scale * gradient for gradient in ctx.gradients)


def _add(total: Tensor | None, gradient: Tensor | None) -> Tensor | None:
    """Return the sum; None stands for the gradient of a parameter that was not used."""
    if total is None or gradient is None:
        return gradient if total is None else total
    return total + gradient
