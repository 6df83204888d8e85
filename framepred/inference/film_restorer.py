"""Restore films: motion, a network's forecasts from both sides of long gaps, and predictions at both ends."""

from collections.abc import Callable, Sequence
from functools import cache

from jaxtyping import Float
from torch import Tensor

from framepred.clips import Clip, Future
from framepred.forecaster import Forecaster
from framepred.inference.motion_restorer import MotionRestorer
from framepred.inference.predict import predict
from framepred.inference.scaling import resize, shrink
from framepred.models import ForecastRestorer
from framepred.models.devices import move_network
from framepred.models.forecast_restorer import ForecastGap
from framepred.restorer import Missing, Restorer, runs
from framepred.warping import local_mean

SIDE = 176
"""Longer side, in pixels, of the gray frames that the network gets."""

SHORTEST = 3
"""Frames of a gap from which on forecasts are mixed in: in shorter ones, moved frames are exact enough."""

CONTEXT = 4
"""Observed frames in a row that forecasts need on both sides of a gap; a raised frame rate leaves single ones."""

SHARE = (0.2, 0.08, 0.9)
"""Share that forecasts without an error would have: a constant, an amount for each frame of the gap, and the bound."""

LARGEST_SHARE = 0.7
"""Upper bound of the share."""

ERROR_WEIGHT = 0.06
"""Decrease of the share per unit of e / d; see :class:`FilmRestorer`."""

STILL = 1 / 255
"""Root mean square difference of the frames beside a gap, around a pixel, below which it keeps what motion gives."""

WINDOW = 9
"""Side, in pixels, of the window in which that is measured."""

END_CONTEXT = 10
"""Frames from which a gap at an end is predicted, at most."""

_EPSILON = 1e-12


class FilmRestorer(Restorer):
    """Moves both sides of a gap and mixes in forecasts where it is long; predicts gaps at the ends of a clip.

    In long gaps the network gets small gray frames. A share of the difference between its forecasts and the moved
    frames is scaled up and added to the latter, which keep their detail. The share is ``a - ERROR_WEIGHT * e / d``,
    where e is the mean squared error of the forecasts beyond the gap, d the mean squared difference from the moved
    frames, and a grows with the length of the gap; see ``SHARE``. The constants were chosen on fourteen films, ten of
    which the network never saw; see the lab notebook, 135.

    A gap at the end of a clip is predicted from the frames before it by :func:`~framepred.inference.predict.predict`,
    a gap at the start backward from those after it. A single observed frame is repeated.

    Args:
        load: returns the forecasts' restorer; it is called only where there is a long gap, or one at an end.
    """

    def __init__(self, load: Callable[[], Restorer]) -> None:
        super().__init__()
        self.motion = MotionRestorer()
        self._load = cache(load)

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, ``(b, m, c, h, w)``; see :class:`~framepred.restorer.Restorer`."""
        filled = self.motion.fill(clip, missing)
        marks = missing.tolist()
        inner = range(marks.index(False), len(marks) - marks[::-1].index(False))
        long_gaps, has_ends = _long_gaps(marks), 1 < len(inner) < len(marks)
        if not long_gaps and not has_ends:
            return filled
        network = move_network(self._load(), clip.device).eval()
        assert isinstance(network, ForecastRestorer)
        if long_gaps:
            _mix_forecasts(network, clip, missing, filled, long_gaps)
        if has_ends:
            _predict_ends(network.net, clip, missing, inner, filled)
        return filled


def _mix_forecasts(
    network: ForecastRestorer, clip: Clip, missing: Missing, moved: Future, long_gaps: Sequence[range]
) -> None:
    """Add what forecasts from both sides change in the moved frames, in place."""
    small = _small_and_gray(clip)
    forecasts = network.gaps(small, missing)
    for gap in long_gaps:
        first = int(missing[: gap.start].sum())
        own = slice(first, first + len(gap))
        change = _change(forecasts[gap], _small_and_gray(moved[:, own]))
        change = change * _moving(small[:, gap.start - 1], small[:, gap.stop])[:, None]
        moved[:, own] += resize(change.flatten(0, 1), clip.shape[-2:]).view(*change.shape[:3], *clip.shape[-2:])


def _long_gaps(marks: Sequence[bool]) -> list[range]:
    """Runs of at least ``SHORTEST`` missing frames with ``CONTEXT`` observed ones in a row on both sides."""
    found = runs(marks)
    return [
        gap
        for before, gap, after in zip(found, found[1:], found[2:], strict=False)
        if marks[gap.start] and len(gap) >= SHORTEST and min(len(before), len(after)) >= CONTEXT
    ]


def _predict_ends(net: Forecaster, clip: Clip, missing: Missing, inner: range, filled: Future) -> None:
    """Predict the frames before and after the inner ones, in place; those before backward, in the reversed clip."""
    before, after = inner.start, clip.shape[1] - inner.stop
    known, gaps = clip[:, before : inner.stop], missing[before : inner.stop]
    if gaps.any():
        known = known.clone()
        known[:, gaps.to(clip.device)] = filled[:, before : filled.shape[1] - after].clamp(0, 1)
    if before:
        filled[:, :before] = _predicted(net, known.flip(1), before).flip(1)
    if after:
        filled[:, -after:] = _predicted(net, known, after)


def _predicted(net: Forecaster, past: Clip, count: int) -> Future:
    """The frames that follow, ``(b, count, c, h, w)``, each clip predicted as a whole scene."""
    context = min(END_CONTEXT, past.shape[1])
    frames = predict(
        past, frames=count, weights=net, context=context, cuts=False, device=past.device, layout="ntchw"
    ).frames
    return frames.view(len(past), count, *past.shape[2:]).to(past)


def _small_and_gray(clip: Clip) -> Float[Tensor, "b _t 1 _h _w"]:
    frames = shrink(clip.flatten(0, 1).mean(dim=1, keepdim=True), SIDE)
    return frames.view(*clip.shape[:2], *frames.shape[1:])


def _change(forecast: ForecastGap, moved: Float[Tensor, "b m 1 h w"]) -> Float[Tensor, "b m 1 h w"]:
    """What is to be added to the moved frames."""
    assert forecast.error is not None  # frames on both sides were observed
    difference = forecast.frames.clamp(0, 1) - moved
    disagreement = difference.square().mean(dim=(1, 2, 3, 4)) + _EPSILON
    constant, per_frame, bound = SHARE
    without_error = min(bound, constant + per_frame * moved.shape[1])
    share = (without_error - ERROR_WEIGHT * forecast.error / disagreement).clamp(0, LARGEST_SHARE)
    return share[:, None, None, None, None] * difference


def _moving(before: Float[Tensor, "b 1 h w"], after: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
    """1 where the picture changes across the gap, and 0 where it stands still, with smooth borders."""
    change = local_mean((after - before).square(), WINDOW) > STILL**2
    return local_mean(change.to(before.dtype), WINDOW)
