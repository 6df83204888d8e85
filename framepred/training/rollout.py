"""One pass over a clip that predicts every next frame, as training wants it."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from framepred.clips import Clip, Frame, FrameMask, Future, RawClip, State, to_unit
from framepred.forecaster import Forecaster


class Predicted(NamedTuple):
    """What training learns from."""

    frames: Future
    """Raw predictions ``(b, steps, c, h, w)``."""
    misplacement: Float[Tensor, ""]
    """The mean of the network's own ``misplacement`` over them."""


def predict_every_frame(net: Forecaster, clips: Clip, context: int, teacher: FrameMask) -> Predicted:
    """Predict frames 1 to t - 1 of each clip from those before it.

    Inside the context the network observes the truth. Beyond it, its input is the true frame where ``teacher``
    holds and its own prediction elsewhere; gradients flow through its own predictions.

    Args:
        net: what predicts.
        clips: whole clips ``(b, t, c, h, w)``, values in [0, 1].
        context: number of frames that are seen, in 1 … t - 1.
        teacher: ``(b, t)``, where the input is the true frame; read from frame ``context`` on.

    Returns:
        Predictions ``(b, t - 1, c, h, w)`` of ``clips[:, 1:]``.
    """
    return next(predict_in_chunks(net, clips, context, teacher, clips.shape[1] - 1))


def predict_in_chunks(
    net: Forecaster, clips: RawClip, context: int, teacher: FrameMask, steps: int
) -> Iterator[Predicted]:
    """As :func:`predict_every_frame`, some predictions at a time: states carry over, gradients do not.

    Args:
        net: what predicts.
        clips: whole clips ``(b, t, c, h, w)``, integers or floats in [0, 1].
        context: number of frames that are seen, in 1 … t - 1.
        teacher: ``(b, t)``, where the input is the true frame.
        steps: predictions a chunk, at least 1.

    Yields:
        Predictions ``(b, steps, c, h, w)``, of the last chunk what is left; together those of ``clips[:, 1:]``.
    """
    state: State | None = None
    last = to_unit(clips[:, 0])
    times = range(clips.shape[1] - 1)
    for start in times[::steps]:
        predictions: list[Frame] = []
        misplaced: list[Tensor] = []
        for time in times[start : start + steps]:
            truth = to_unit(clips[:, time])
            if time < context or state is None:
                state = net.observe(truth, state)
            else:
                state = net.feedback(torch.where(teacher[:, time, None, None, None], truth, last), state)
            last = net.next_frame(state)
            predictions.append(last)
            misplaced.append(net.misplacement(state, clips[:, time + 1]))
        yield Predicted(torch.stack(predictions, dim=1), torch.stack(misplaced).mean())
        assert state is not None
        state, last = tuple(part.detach() for part in state), last.detach()
