"""Losses of forecasters that PyTorch does not have in this form, and losses of clips with missing pixels."""

import torch
from torch import Tensor, nn

from framepred.clips import Clip, fill_missing
from framepred.errors import ConfigError

CHANGE_FLOOR = 5e-4
"""Added to the change of a clip with pixels in [0, 1]; that of a still clip with noise stays below it."""


class CrossEntropy(nn.Module):
    """Cross-entropy between predicted class probabilities and the true class, in nats, averaged over pixels.

    For networks with ``head: softmax``. Its exponential is the perplexity.
    """

    def forward(self, prediction: Clip, target: Clip) -> Tensor:
        """Return the mean over b, t, h and w of −Σ target · log prediction, summed over the classes c.

        Args:
            prediction: probabilities ``(b, t, c, h, w)``.
            target: one-hot or probabilities, of the same shape.
        """
        smallest = torch.finfo(prediction.dtype).tiny
        return -(target * prediction.clamp(min=smallest).log()).sum(dim=2).mean()


class ChangeScaledMSE(nn.Module):
    """Mean squared error of each clip, divided by the root of how much the clip changes from frame to frame.

    Plain MSE is dominated by the few clips that move fast or have much contrast; division by the change itself would
    count clips alike but neglect what moves within a film. The root lies between the two. The scale depends on the
    truth alone, so the best prediction of a clip is that of plain MSE.
    """

    def forward(self, prediction: Clip, target: Clip) -> Tensor:
        """Return the mean over clips of MSE / √(change + ``CHANGE_FLOOR``).

        The change of a clip is the squared difference of successive frames, averaged over its pixels and all t frames.
        The first frame counts as unchanged, so a single frame has the change 0, and of clips that move alike a longer
        one has the larger change.

        Args:
            prediction: ``(b, t, c, h, w)``, pixels in [0, 1].
            target: the true clips, of the same shape.
        """
        errors = (prediction - target).square().flatten(1).mean(dim=1)
        changes = target.diff(dim=1).square().flatten(1).sum(dim=1) / target[0].numel()
        return (errors / (changes + CHANGE_FLOOR).sqrt()).mean()


def measured_loss(loss: nn.Module, prediction: Clip, target: Clip, filler: float | None) -> Tensor:
    """Return a loss to which missing pixels contribute nothing, and no gradient.

    At missing pixels, which are NaN in the target, the loss gets the filler as both prediction and target. A loss that
    averages over pixels still divides by all of them, so that every measured pixel weighs the same in every clip, batch
    and process.

    Args:
        loss: takes predictions and targets ``(b, t, c, h, w)``; 0 for pixels that are equal.
        prediction: ``(b, t, c, h, w)``.
        target: of the same shape.
        filler: what missing pixels stand for; None where none can be missing.

    Raises:
        ConfigError: as :func:`one_loss`.
    """
    if filler is not None:
        prediction = prediction.masked_fill(target.isnan(), filler)
    return one_loss(loss, prediction, fill_missing(target, filler))


def one_loss(loss: nn.Module, prediction: Tensor, target: Tensor) -> Tensor:
    """Return a loss as one number, which training minimises.

    Raises:
        ConfigError: if the loss returns several numbers.
    """
    found: Tensor = loss(prediction, target)
    if found.numel() != 1:
        raise ConfigError(
            f"{type(loss).__name__} returns {found.numel():,} numbers, but a loss must be one number; set its "
            "reduction to mean or sum."
        )
    return found
