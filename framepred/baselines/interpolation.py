"""Restorers without a network or motion: the last observed frame, and linear interpolation."""

import torch

from framepred.clips import Clip, Future
from framepred.restorer import Missing, Restorer, sides


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
        return torch.stack(
            [
                clip[:, near.before] if near.before == near.after else _interpolate(clip, index, *near)
                for index, near in zip(missing.nonzero().flatten().tolist(), sides(missing), strict=True)
            ],
            dim=1,
        )


def _interpolate(clip: Clip, index: int, before: int, after: int) -> torch.Tensor:
    return clip[:, before].lerp(clip[:, after], (index - before) / (after - before))
