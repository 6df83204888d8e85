"""Restore missing frames by forecasting them from both sides."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float

from framepred.clips import Clip, Future, State
from framepred.forecaster import Forecaster, check_shape
from framepred.models.cost import uncounted_macs
from framepred.restorer import Missing, Restorer, runs

BEYOND = 2
"""Observed frames beyond a gap on which a forecast is measured, at most."""

LEAST_ERROR = 1e-3
"""Squared error of a pixel that is added to both sides' errors: where both are small, both count."""


class ForecastGap(NamedTuple):
    """A gap as it is forecast.

    Attributes:
        frames: its frames in order of time, not clamped, ``(b, m, c, h, w)``.
        error: mean squared error of a pixel in the first frames beyond the gap, ``(b,)``, of both sides where both
            forecast; None where it cannot be measured.
    """

    frames: Future
    error: Float[torch.Tensor, " b"] | None


class ForecastRestorer(Restorer):
    """Forecasts the frames of a gap from both sides, backward in the reversed clip, and mixes them.

    Both forecasts go on beyond the gap, into frames that were observed, and how well each meets them says how far it
    can be trusted in the gap. Their weights are inverse to the squares of these errors, and to the distance of a frame
    from the side where the forecast begins. At the start and at the end of a clip one side alone forecasts.

    Args:
        net: the forecaster.

    Example:
        >>> from framepred.baselines import LastFrame
        >>> clip = torch.tensor([0.0, 0.0, 0.0, 1.0]).view(1, 4, 1, 1, 1)  # (b, t, c, h, w)
        >>> ForecastRestorer(LastFrame()).restore(clip, torch.tensor([False, True, True, False])).flatten()
        tensor([0.0000, 0.3333, 0.6667, 1.0000])
    """

    def __init__(self, net: Forecaster) -> None:
        super().__init__()
        self.net = net
        self.channels = getattr(net, "channels", None)
        self.value_range = getattr(net, "value_range", None)

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, not clamped, ``(b, m, c, h, w)``; see :class:`Restorer`."""
        return torch.cat([gap.frames for gap in self.gaps(clip, missing).values()], dim=1)

    def uncounted_macs(self, context: int, horizon: int, size: tuple[int, int, int]) -> int:
        """Multiply-accumulates of the forecaster that PyTorch does not count, for a gap in the middle of a clip."""
        beyond = min(BEYOND, context // 2)
        return 2 * uncounted_macs(self.net, context, horizon + beyond + 1, size)  # the last frame is fed back, too

    def gaps(self, clip: Clip, missing: Missing) -> dict[range, ForecastGap]:
        """Each gap, forecast, by the indices of its frames; see :meth:`fill`."""
        marks = missing.tolist()
        forward = self._forecast(clip, marks)
        backward = self._forecast(clip.flip(1), marks[::-1])
        found = {}
        for gap in _gaps(marks):
            mirrored = backward.get(range(len(marks) - gap.stop, len(marks) - gap.start))
            found[gap] = _mixed(forward.get(gap), mirrored and mirrored._replace(frames=mirrored.frames.flip(1)))
        return found

    def _forecast(self, clip: Clip, marks: Sequence[bool]) -> dict[range, ForecastGap]:
        """Each gap as it is forecast from the frames before it; a gap at the start is left out."""
        state: State | None = None
        filled: dict[range, ForecastGap] = {}
        gaps = {gap.start: gap for gap in _gaps(marks)}
        for index, gone in enumerate(marks):
            if not gone:
                state = self.net.observe(clip[:, index], state)
            elif index in gaps and state is not None:
                gap, frames = gaps[index], []
                for _ in gap:
                    frames.append(check_shape(self.net.next_frame(state), state[0]))
                    state = self.net.feedback(frames[-1], state)
                filled[gap] = ForecastGap(torch.stack(frames, dim=1), self._error_beyond(clip, marks, gap.stop, state))
        return filled

    def _error_beyond(
        self, clip: Clip, marks: Sequence[bool], stop: int, state: State
    ) -> Float[torch.Tensor, " b"] | None:
        errors = []
        for index in range(stop, min(stop + BEYOND, len(marks))):
            if marks[index]:
                break
            frame = self.net.next_frame(state)
            errors.append((frame.clamp(0, 1) - clip[:, index]).square().mean(dim=(1, 2, 3)))
            state = self.net.feedback(frame, state)
        return torch.stack(errors).mean(dim=0) if errors else None


def _gaps(marks: Sequence[bool]) -> list[range]:
    """The runs of missing frames."""
    return [run for run in runs(marks) if marks[run.start]]


def _mixed(before: ForecastGap | None, after: ForecastGap | None) -> ForecastGap:
    """A gap from the forecasts of both sides, of which one may be absent."""
    if before is None or after is None:
        side = before or after
        assert side is not None
        return side
    count = before.frames.shape[1]
    distance = torch.arange(1, count + 1, device=before.frames.device)
    odds = ((count + 1 - distance) / distance)[None]  # that the forecast forward is right
    error = None
    if before.error is not None and after.error is not None:
        ratio = (after.error + LEAST_ERROR) / (before.error + LEAST_ERROR)
        odds, error = odds * ratio.square()[:, None], (before.error + after.error) / 2
    share = (odds / (1 + odds)).to(before.frames.dtype)[..., None, None, None]
    return ForecastGap(after.frames.lerp(before.frames, share), error)
