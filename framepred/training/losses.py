"""Losses of forecasters that PyTorch does not have in this form."""

import torch
from torch import Tensor, nn

from framepred.clips import Clip


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
