"""What restores missing frames without a network: the frame before, or a straight line between both sides."""

import torch

from framepred.clips import Clip, Future
from framepred.restorer import Missing, Restorer, sides


class HeldFrame(Restorer):
    """Repeats the last frame seen before the gap; before the first one, that."""

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """The nearest earlier seen frame of each missing one, ``(b, m, c, h, w)``."""
        return clip[:, [near.before for near in sides(missing)]]


class LinearInterpolation(Restorer):
    """Fades each pixel in a straight line from the frame before a gap to the frame after it.

    Where one side shows no frame, the nearest one of the other side is repeated.
    """

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """The mean of the nearest seen frames, the nearer one weighing more, ``(b, m, c, h, w)``."""
        return torch.stack(
            [
                clip[:, near.before] if near.before == near.after else _faded(clip, time, *near)
                for time, near in zip(missing.nonzero().flatten().tolist(), sides(missing), strict=True)
            ],
            dim=1,
        )


def _faded(clip: Clip, time: int, before: int, after: int) -> torch.Tensor:
    return clip[:, before].lerp(clip[:, after], (time - before) / (after - before))
