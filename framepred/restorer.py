"""The interface of restorers: rebuild the missing frames of a whole clip from the frames before and after them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from framepred.clips import Clip, ClipBatch, Frame, Future, RawClip, check_range, to_unit
from framepred.errors import ClipError
from framepred.forecaster import check_finite

Missing: TypeAlias = Bool[Tensor, " t"]


class Sides(NamedTuple):
    """Indices of the observed frames that are nearest to a missing one."""

    before: int
    after: int


class Restorer(nn.Module, ABC):
    """Rebuilds the missing frames of a clip from the observed ones.

    A restorer works offline: it needs the whole clip and neither streams nor forecasts. Gaps may be anywhere and of
    any number. At the start and at the end of a clip a gap has observed frames on one side only. Subclasses implement
    :meth:`fill`.

    Example:
        >>> import torch
        >>> from framepred.baselines import LinearInterpolation
        >>> clip = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1, 1)  # (b, t, c, h, w)
        >>> LinearInterpolation().restore(clip, torch.tensor([False, True, False])).flatten()
        tensor([0.0000, 0.5000, 1.0000])
    """

    @abstractmethod
    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, not clamped, ``(b, m, c, h, w)``.

        Args:
            clip: ``(b, t, c, h, w)`` in [0, 1]; the content of missing frames is ignored.
            missing: ``(t,)``, True for each missing frame; at least one frame is missing and at least one is not.
        """

    def restore(self, clip: RawClip, missing: Bool[Tensor, " _t"]) -> Clip:
        """Return the whole clip with its missing frames rebuilt, ``(b, t, c, h, w)``.

        Observed frames are kept. Rebuilt frames are clamped to [0, 1] in eval mode only.

        Args:
            clip: ``(b, t, c, h, w)``, uint8, uint16 or floats in [0, 1]; the content of missing frames is ignored.
            missing: ``(t,)``, True for each frame to rebuild.

        Raises:
            ClipError: if no frame is observed, or ``missing`` does not have one value per frame; in eval mode also if
                observed floats exceed [0, 1].
            WeightsError: in eval mode, if a rebuilt pixel is NaN or infinite.
        """
        _check(clip, missing)
        missing = missing.cpu()
        restored = clip.clone() if clip.is_floating_point() else to_unit(clip)
        if not self.training and clip.is_floating_point():
            check_range(clip[:, _indices(~missing)])
        if missing.any():
            filled = self.fill(restored, missing).to(restored.dtype)
            restored[:, _indices(missing)] = filled if self.training else check_finite(filled).clamp(0, 1)
        return restored


class MiddleGap(nn.Module):
    """A predictor ``(context, horizon) -> frames`` that restores frames missing in the middle of the context.

    Of a context of n frames, the first (n + 1) // 2 come before the gap and the others after it. :func:`cut_middle`
    divides clips in this way, so that one evaluation scores restorers and forecasters.

    Args:
        restorer: fills the gap.
    """

    def __init__(self, restorer: Restorer) -> None:
        super().__init__()
        self.restorer = restorer

    def forward(self, context: RawClip, horizon: int) -> Future:
        """Restore the ``horizon`` frames between the two halves of the context, ``(b, horizon, c, h, w)``."""
        gap = middle(context.shape[1], horizon)
        before, after = context[:, : gap.start], context[:, gap.start :]
        placeholder = before[:, -1:].expand(-1, horizon, -1, -1, -1)
        missing = torch.zeros(context.shape[1] + horizon, dtype=torch.bool)
        missing[gap] = True
        return self.restorer.restore(torch.cat([before, placeholder, after], dim=1), missing)[:, gap]


def cut_middle(clips: RawClip, missing: int) -> ClipBatch:
    """Cut ``missing`` frames out of the middle of clips ``(b, t, c, h, w)``; they are the target of MiddleGap."""
    gap = middle(clips.shape[1] - missing, missing)
    return ClipBatch(torch.cat([clips[:, : gap.start], clips[:, gap.stop :]], dim=1), clips[:, gap])


def middle(observed: int, missing: int) -> slice:
    """Return the indices of ``missing`` frames in the middle of a clip with ``observed`` other frames."""
    start = (observed + 1) // 2
    return slice(start, start + missing)


def runs(marks: Sequence[bool]) -> list[range]:
    """Runs of frames that are all missing or all observed, in order of time.

    Args:
        marks: for each frame, whether it is missing.

    Example:
        >>> runs([False, True, True])
        [range(0, 1), range(1, 3)]
    """
    found = (list(run) for _, run in groupby(range(len(marks)), key=marks.__getitem__))
    return [range(run[0], run[-1] + 1) for run in found]


def sides(missing: Missing) -> list[Sides]:
    """Return the nearest observed frames of each missing one; with one side only, that frame stands for both."""
    observed = _indices(~missing)
    found = []
    for missing_index in _indices(missing):
        before = max((index for index in observed if index < missing_index), default=None)
        after = min((index for index in observed if index > missing_index), default=before)
        assert after is not None
        found.append(Sides(after if before is None else before, after))
    return found


def fill_gaps(clip: Clip, missing: Missing, open_gap: Callable[[Sides], Callable[[int], Frame]]) -> Future:
    """Rebuild the missing frames gap by gap, ``(b, m, c, h, w)``; at the ends of a clip repeat the nearest frame.

    Args:
        clip: ``(b, t, c, h, w)``.
        missing: for each frame, whether it is missing.
        open_gap: called once for each gap with the observed frames beside it; returns a function that rebuilds the
            frame of an index.
    """
    found: list[Frame] = []
    current: Sides | None = None
    for index, near in zip(_indices(missing), sides(missing), strict=True):
        if near.before == near.after:
            found.append(clip[:, near.before])
            continue
        if near != current:
            current, rebuild = near, open_gap(near)
        found.append(rebuild(index))
    return torch.stack(found, dim=1)


def _indices(mask: Missing) -> list[int]:
    return mask.nonzero().flatten().tolist()


def _check(clip: Tensor, missing: Tensor) -> None:
    if clip.ndim != 5 or missing.shape != clip.shape[1:2]:
        raise ClipError(
            "Restoring takes a clip (b, t, c, h, w) and one boolean for each of its t frames, not shapes "
            f"{tuple(clip.shape)} and {tuple(missing.shape)}."
        )
    if bool(missing.all()):
        raise ClipError(f"All {len(missing)} frames are missing; at least one must be observed to restore the others.")
