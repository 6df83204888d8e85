"""The interface of what works offline: rebuild the missing frames of a whole clip from both sides."""

from abc import ABC, abstractmethod
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from framepred.clips import Clip, ClipBatch, Future, RawClip, to_unit
from framepred.errors import ClipError

Missing: TypeAlias = Bool[Tensor, " t"]


class Sides(NamedTuple):
    """Where a missing frame's nearest seen frames are, as numbers of frames of the clip."""

    before: int
    after: int


class Restorer(nn.Module, ABC):
    """Rebuilds the missing frames of a clip from what was seen before and after them.

    It is offline: it needs the whole clip, so it neither streams nor forecasts. Gaps may be anywhere and as many as
    there are; at the beginning and at the end of a clip, where only one side was seen, frames are carried on from that
    side. Subclasses give ``fill``.
    """

    @abstractmethod
    def fill(self, clip: Clip, missing: Missing) -> Future:
        """The missing frames alone, raw, ``(b, m, c, h, w)`` in their order.

        Args:
            clip: ``(b, t, c, h, w)`` in [0, 1]; what its missing frames hold is not looked at.
            missing: ``(t,)``, at least one of them and not all.
        """

    def restore(self, clip: RawClip, missing: Bool[Tensor, " _t"]) -> Clip:
        """The whole clip: seen frames as they are, missing ones rebuilt; in eval mode clamped to [0, 1].

        Args:
            clip: ``(b, t, c, h, w)``, integers or floats in [0, 1]; what its missing frames hold does not matter.
            missing: ``(t,)``, which frames are to be rebuilt.

        Raises:
            ClipError: if no frame is seen, or ``missing`` does not count the frames of the clip.
        """
        _check(clip, missing)
        restored = to_unit(clip).clone()
        if missing.any():
            drawn = self.fill(restored, missing).to(restored.dtype)
            restored[:, missing] = drawn if self.training else drawn.clamp(0, 1)
        return restored


class MiddleGap(nn.Module):
    """A predictor ``(context, horizon) -> frames`` that restores frames missing in the middle of the context.

    Of a context of n frames, the first (n + 1) // 2 come before the gap and the others after it. :func:`cut_middle`
    cuts clips this way, so that restorers are scored by the same evaluation as forecasters.

    Args:
        restorer: the restorer that fills the gap.
    """

    def __init__(self, restorer: Restorer) -> None:
        super().__init__()
        self.restorer = restorer

    def forward(self, context: RawClip, horizon: int) -> Future:
        """Restore the ``horizon`` frames between the two halves of the context, ``(b, horizon, c, h, w)``."""
        gap = middle(context.shape[1], horizon)
        before, after = context[:, : gap.start], context[:, gap.start :]
        filler = before[:, -1:].expand(-1, horizon, -1, -1, -1)
        missing = torch.zeros(context.shape[1] + horizon, dtype=torch.bool, device=context.device)
        missing[gap] = True
        return self.restorer.restore(torch.cat([before, filler, after], dim=1), missing)[:, gap]


def cut_middle(clips: RawClip, missing: int) -> ClipBatch:
    """Cut ``missing`` frames out of the middle of clips ``(b, t, c, h, w)``, as the target of :class:`MiddleGap`."""
    gap = middle(clips.shape[1] - missing, missing)
    return ClipBatch(torch.cat([clips[:, : gap.start], clips[:, gap.stop :]], dim=1), clips[:, gap])


def middle(seen: int, missing: int) -> slice:
    """Where ``missing`` frames lie in the middle of a clip of which ``seen`` other frames are seen."""
    start = (seen + 1) // 2
    return slice(start, start + missing)


def sides(missing: Missing) -> list[Sides]:
    """The nearest seen frames of each missing one; where one side shows none, the other's stands for both."""
    seen = (~missing).nonzero().flatten().tolist()
    found = []
    for time in missing.nonzero().flatten().tolist():
        before = max((place for place in seen if place < time), default=None)
        after = min((place for place in seen if place > time), default=before)
        assert after is not None
        found.append(Sides(after if before is None else before, after))
    return found


def _check(clip: Tensor, missing: Tensor) -> None:
    if clip.ndim != 5 or missing.shape != clip.shape[1:2]:
        raise ClipError(
            f"Restoring takes a clip (b, t, c, h, w) and one mark for each of its t frames, not {tuple(clip.shape)} "
            f"and {tuple(missing.shape)}."
        )
    if bool(missing.all()):
        raise ClipError(f"All {len(missing)} frames are missing; at least one must be seen to restore the others.")
