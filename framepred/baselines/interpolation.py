"""Restorers without a network or motion: the last observed frame, and linear interpolation."""

import torch

from framepred.clips import Clip, Future
from framepred.restorer import Missing, Restorer, fill_gaps, sides


class HeldFrame(Restorer):
    """Repeats the last observed frame before a gap; at the start of a clip, the first observed frame."""

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, ``(b, m, c, h, w)``."""
        return clip[:, [near.before for near in sides(missing)]]


class LinearInterpolation(Restorer):
    """Interpolates each pixel linearly between the frames before and after a gap.

    At the start and the end of a clip the nearest observed frame is repeated.
    """

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, ``(b, m, c, h, w)``."""
        return fill_gaps(clip, missing, lambda near: lambda index: _interpolate(clip, index, *near))


def _interpolate(clip: Clip, index: int, before: int, after: int) -> torch.Tensor:
    return clip[:, before].lerp(clip[:, after], (index - before) / (after - before))
