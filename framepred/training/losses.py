"""Losses that PyTorch does not have in the form in which a forecaster is trained."""

import torch
from torch import Tensor, nn

from framepred.clips import Clip


class CrossEntropy(nn.Module):
    """Nats a place of a frame that predicted probabilities of classes lack of certainty about the true class.

    For networks with ``head: softmax``; ``exp`` of it is the perplexity.
    """

    def forward(self, prediction: Clip, target: Clip) -> Tensor:
        """The mean over b, t, h and w of −Σ target · log prediction, the sum over the classes c.

        Args:
            prediction: probabilities ``(b, t, c, h, w)``.
            target: one-hot or probabilities, of the same shape.
        """
        smallest = torch.finfo(prediction.dtype).tiny
        return -(target * prediction.clamp(min=smallest).log()).sum(dim=2).mean()
