"""Losses of forecasters that PyTorch does not have in this form."""

import torch
from torch import Tensor, nn

from framepred.clips import Clip

CHANGE_FLOOR = 5e-4
"""Added to the mean squared change of a clip with pixels in [0, 1]; a still clip with noise stays below it."""


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
        """Return the mean over clips of MSE / √(mean squared change + ``CHANGE_FLOOR``).

        Args:
            prediction: ``(b, t, c, h, w)``, pixels in [0, 1].
            target: the true clips, of the same shape.
        """
        errors = (prediction - target).square().flatten(1).mean(dim=1)
        changes = target.diff(dim=1).square().flatten(1).sum(dim=1) / target[0].numel()
        return (errors / (changes + CHANGE_FLOOR).sqrt()).mean()
