"""Restore long gaps of films: motion, and a network's forecasts from both sides."""

from collections.abc import Callable, Sequence
from functools import cache

from jaxtyping import Float
from torch import Tensor

from framepred.clips import Clip, Future
from framepred.inference.motion_restorer import MotionRestorer
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

_EPSILON = 1e-12


class FilmRestorer(Restorer):
    """Moves both sides of a gap and, where it is long, mixes in what a network forecasts from both sides.

    The network gets small gray frames. A share of the difference between its forecasts and the moved frames is scaled
    up and added to the latter, which keep their detail. The share is ``a - ERROR_WEIGHT * e / d``, where e is the mean
    squared error of the forecasts beyond the gap, d the mean squared difference from the moved frames, and a grows with
    the length of the gap; see ``SHARE``. The constants were chosen on fourteen films, ten of which the network never
    saw; see the lab notebook, 135.

    Args:
        load: returns the forecasts' restorer; it is called only where there is a long gap.
    """

    def __init__(self, load: Callable[[], Restorer]) -> None:
        super().__init__()
        self.motion = MotionRestorer()
        self._load = cache(load)

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, ``(b, m, c, h, w)``; see :class:`~framepred.restorer.Restorer`."""
        moved = self.motion.fill(clip, missing)
        long_gaps = _long_gaps(missing.tolist())
        if not long_gaps:
            return moved
        network = move_network(self._load(), clip.device).eval()
        assert isinstance(network, ForecastRestorer)
        small = _small_and_gray(clip)
        forecasts = network.gaps(small, missing)
        for gap in long_gaps:
            first = int(missing[: gap.start].sum())
            own = slice(first, first + len(gap))
            change = _change(forecasts[gap], _small_and_gray(moved[:, own]))
            change = change * _moving(small[:, gap.start - 1], small[:, gap.stop])[:, None]
            moved[:, own] += resize(change.flatten(0, 1), clip.shape[-2:]).view(*change.shape[:3], *clip.shape[-2:])
        return moved


def _long_gaps(marks: Sequence[bool]) -> list[range]:
    """Runs of at least ``SHORTEST`` missing frames with ``CONTEXT`` observed ones in a row on both sides."""
    found = runs(marks)
    return [
        gap
        for before, gap, after in zip(found, found[1:], found[2:], strict=False)
        if marks[gap.start] and len(gap) >= SHORTEST and min(len(before), len(after)) >= CONTEXT
    ]


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
