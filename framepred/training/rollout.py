"""One pass over a clip that predicts every next frame, as training wants it."""

import torch

from framepred.clips import Clip, FrameMask, Future
from framepred.forecaster import Forecaster


def predict_every_frame(net: Forecaster, clips: Clip, context: int, teacher: FrameMask) -> Future:
    """Predict frames 1 to t - 1 of each clip from those before it.

    Inside the context the network observes the truth. Beyond it, its input is the true frame where ``teacher``
    holds and its own prediction elsewhere; gradients flow through its own predictions.

    Args:
        net: what predicts.
        clips: whole clips ``(b, t, c, h, w)``, values in [0, 1].
        context: number of frames that are seen, in 1 … t - 1.
        teacher: ``(b, t)``, where the input is the true frame; read from frame ``context`` on.

    Returns:
        Raw predictions ``(b, t - 1, c, h, w)`` of ``clips[:, 1:]``.
    """
    state = net.observe(clips[:, 0])
    predictions = [net.next_frame(state)]
    for time in range(1, clips.shape[1] - 1):
        truth = clips[:, time]
        if time < context:
            state = net.observe(truth, state)
        else:
            taught = teacher[:, time, None, None, None]
            state = net.feedback(torch.where(taught, truth, predictions[-1]), state)
        predictions.append(net.next_frame(state))
    return torch.stack(predictions, dim=1)
