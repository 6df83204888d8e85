"""Restore long gaps of films: motion, and a network's forecasts from both sides."""

from collections.abc import Callable
from functools import cache

from jaxtyping import Float
from torch import Tensor

from framepred.clips import Clip, Future
from framepred.inference.film_restorer import MotionRestorer
from framepred.inference.scaling import resize, shrink
from framepred.models import ForecastRestorer
from framepred.models.devices import move_network
from framepred.models.forecast_restorer import ForecastGap
from framepred.restorer import Missing, Restorer
from framepred.warping import local_mean

SIDE = 176
"""Longer side, in pixels, of the gray frames that the network gets."""

SHORTEST = 3
"""Frames of a gap from which on forecasts are mixed in: in shorter ones, moved frames are exact enough."""

TRUST = (0.2, 0.08)
"""Share of the forecasts if they had no error: a first part, and one for each frame of the gap."""

LARGEST = (0.9, 0.7)
"""Bounds of that, and of the share itself."""

DOUBT = 0.06
"""Loss of share for each time that the forecasts' error beyond the gap exceeds their disagreement with motion in it."""

STILL = 1 / 255
"""Root mean square difference of the frames beside a gap, around a pixel, below which it keeps what motion gives."""

WINDOW = 9
"""Side, in pixels, of the window in which that is measured."""

_NOTHING = 1e-12


class FilmRestorer(Restorer):
    """Moves both sides of a gap and, where it is long, mixes in what a network forecasts from both sides.

    The network gets small gray frames. What its forecasts differ by from the moved frames is scaled up and added in
    part, so that these keep their detail. The part is the larger, the better the forecasts meet the frames beyond the
    gap in comparison with their disagreement with the moved frames, which is the sum of both errors if these are
    independent. The constants were fitted on films that the network never saw; see the lab notebook, 135.

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
        marks = missing.tolist()
        places = {index: place for place, index in enumerate(index for index, gone in enumerate(marks) if gone)}
        if not _has_long_gap(marks):
            return moved
        network = move_network(self._load(), clip.device).eval()
        assert isinstance(network, ForecastRestorer)
        small = _small_and_gray(clip)
        for gap, forecast in network.gaps(small, missing).items():
            if len(gap) < SHORTEST or gap.start == 0 or gap.stop == len(marks) or forecast.error is None:
                continue
            own = slice(places[gap.start], places[gap.start] + len(gap))
            change = _change(forecast, _small_and_gray(moved[:, own]))
            change = change * _moving(small[:, gap.start - 1], small[:, gap.stop])[:, None]
            moved[:, own] += resize(change.flatten(0, 1), clip.shape[-2:]).view(*change.shape[:3], *clip.shape[-2:])
        return moved


def _has_long_gap(marks: list[bool]) -> bool:
    """Whether a run of missing frames has observed ones on both sides and is not short."""
    text = "".join("x" if gone else "." for gone in marks).strip("x")
    return "x" * SHORTEST in text


def _small_and_gray(clip: Clip) -> Float[Tensor, "b _t 1 _h _w"]:
    frames = shrink(clip.flatten(0, 1).mean(dim=1, keepdim=True), SIDE)
    return frames.view(*clip.shape[:2], *frames.shape[1:])


def _change(forecast: ForecastGap, moved: Float[Tensor, "b m 1 h w"]) -> Float[Tensor, "b m 1 h w"]:
    """What is to be added to the moved frames."""
    assert forecast.error is not None
    difference = forecast.frames.clamp(0, 1) - moved
    disagreement = difference.square().mean(dim=(1, 2, 3, 4)) + _NOTHING
    first, per_frame = TRUST
    trust = min(LARGEST[0], first + per_frame * moved.shape[1])
    share = (trust - DOUBT * forecast.error / disagreement).clamp(0, LARGEST[1])
    return share[:, None, None, None, None] * difference


def _moving(before: Float[Tensor, "b 1 h w"], after: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
    """1 where the picture changes across the gap, and 0 where it stands still, with smooth borders."""
    change = local_mean((after - before).square(), WINDOW) > STILL**2
    return local_mean(change.to(before.dtype), WINDOW)
