"""Candidates for the frames in a gap: both sides moved in several ways, and interpolation without motion."""

from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from framepred.baselines import minterpolate
from framepred.baselines.optical_flow import measure_flow, sampling
from framepred.clips import Clip, Frame
from framepred.restorer import Missing, Sides
from framepred.warping import warp

BEFORE, AFTER, MEAN, COARSE, CURVED, FILTERED, LINEAR = range(7)
"""Indices of the candidates: the frame before moved; the frame after moved; their mean by distance; the same by flow at
half resolution; the same along curved paths; FFmpeg's ``minterpolate``; linear interpolation without motion."""

CANDIDATES = 7

MOVED_MEANS = (MEAN, COARSE, CURVED)
"""The candidates that are best on films in general."""

OUTER_DISTANCE = 3
"""Frames, at most, from a side of the gap to the frame beyond it that shows how motion changes: more is too far."""

Flow = Float[Tensor, "b 2 h w"]


class Gap:
    """The frames around a gap, and the candidates for the frames in it; each motion is measured when first needed.

    Args:
        clip: ``(b, t, c, h, w)`` in [0, 1].
        missing: for each frame, whether it is missing.
        near: the observed frames beside the gap, which differ.
    """

    def __init__(self, clip: Clip, missing: Missing, near: Sides) -> None:
        self._clip, self._missing, self._near = clip, missing, near
        self._known: dict[float, tuple[Frame, Frame]] = {}
        self.before, self.after = clip[:, near.before], clip[:, near.after]

    def candidate(self, number: int, index: int) -> Frame:
        """Candidate ``number`` for the frame ``index`` of the clip, ``(b, c, h, w)``."""
        time = (index - self._near.before) / (self._near.after - self._near.before)
        if number == FILTERED:
            return self._filtered[:, index - self._near.before - 1]
        if number in (BEFORE, AFTER):
            return self._moved(time)[number]
        if number == LINEAR:
            return self.before.lerp(self.after, time)
        moved = {MEAN: self._moved, COARSE: self._moved_coarsely, CURVED: self._moved_along_curves}[number](time)
        return moved[0].lerp(moved[1], time)

    def _moved(self, time: float) -> tuple[Frame, Frame]:
        if time not in self._known:
            self._known = {time: _move_both(self.before, self.after, self._flows, time)}
        return self._known[time]

    def _moved_coarsely(self, time: float) -> tuple[Frame, Frame]:
        return _move_both(self.before, self.after, self._coarse_flows, time)

    def _moved_along_curves(self, time: float) -> tuple[Frame, Frame]:
        """Both sides moved with constant acceleration (quadratic interpolation; Xu et al. 2019, arXiv:1911.00627)."""
        forward, backward = self._flows
        before, after = self._outer_motions
        curved = _bend(forward, before, time), _bend(backward, after, 1 - time)
        return warp(self.before, sampling(curved[0])), warp(self.after, sampling(curved[1]))

    @cached_property
    def _flows(self) -> tuple[Flow, Flow]:
        """Fine flow from the frame before to the frame after, and back."""
        return measure_flow(self.before, self.after, fine=True), measure_flow(self.after, self.before, fine=True)

    @cached_property
    def _coarse_flows(self) -> tuple[Flow, Flow]:
        return measure_flow(self.before, self.after), measure_flow(self.after, self.before)

    @cached_property
    def _outer_motions(self) -> tuple[Flow, Flow]:
        """Displacements of the two sides away from the gap, scaled to its length; as between them where not known."""
        forward, backward = self._flows
        length = self._near.after - self._near.before
        observed = (~self._missing).nonzero().flatten().tolist()
        wanted = min(length, OUTER_DISTANCE)
        earlier = [index for index in observed if index < self._near.before]
        later = [index for index in observed if index > self._near.after]
        motions = [-forward, -backward]
        for number, (side, others) in enumerate(((self._near.before, earlier), (self._near.after, later))):
            if others:
                other = min(others, key=lambda index: abs(abs(index - side) - wanted))
                flow = measure_flow(self._clip[:, side], self._clip[:, other], fine=True)
                motions[number] = flow * (length / abs(other - side))
        return motions[0], motions[1]

    @cached_property
    def _filtered(self) -> Float[Tensor, "b n c h w"]:
        return minterpolate.interpolate_gap(self._clip, self._near, self._missing)


def usable_candidates() -> list[int]:
    """The candidates that this installation can compute."""
    return [number for number in range(CANDIDATES) if number != FILTERED or minterpolate.is_available()]


def _move_both(before: Frame, after: Frame, flows: tuple[Flow, Flow], time: float) -> tuple[Frame, Frame]:
    """Both sides, each moved at constant velocity to the time in (0, 1) between them."""
    return warp(before, sampling(time * flows[0])), warp(after, sampling((1 - time) * flows[1]))


def _bend(flow: Flow, outer: Flow, time: float) -> Flow:
    """Displacement at a time in (0, 1) of what is displaced by ``flow`` at time 1 and by ``outer`` at time -1."""
    return (flow - outer) / 2 * time + (flow + outer) / 2 * time**2
