"""Blend several forecasters while frames arrive: the weights follow from forecasts that have come due."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from framepred.clips import Frame, Future, State
from framepred.forecaster import Forecaster, eval_mode
from framepred.inference.blend import FIT_HORIZON, evenly, member_states, mix
from framepred.inference.error_prior import weigh_members
from framepred.inference.regions import REGIONS, spread
from framepred.inference.stacking import ErrorProducts

DECAY = 0.98
"""Factor by which an error counts less with each frame: half after 34 frames, so that the weights follow the scene."""


class _Forecast(NamedTuple):
    """What every member predicted at one frame, and the regions of that frame, 0 where its pixels are missing."""

    futures: Float[Tensor, "m k c h w"]
    regions: Float[Tensor, "q h w"]


class OnlineBlend:
    """Forecasts at each frame, as the weighted mean of several forecasters, in constant memory.

    Every forecast is compared with the frames that follow it. The weights at a lead time and in a region are those that
    would have served best so far, and at first those that serve best in films in general. The simplest forecaster
    should come last; see :func:`~framepred.inference.blend_weights.fit_blend`.

    Args:
        members: the forecasters, on one device; they run in eval mode.
        horizon: frames to forecast at each step.
    """

    def __init__(self, members: Sequence[Forecaster], horizon: int) -> None:
        self._members = members
        self._horizon = horizon
        with eval_mode(*members):
            self._observer = evenly(members)
        self._products = ErrorProducts(min(horizon, FIT_HORIZON), len(members), REGIONS, DECAY)
        self.reset()

    def reset(self) -> None:
        """Forget the frames, not the weights: the next frame does not follow from the last one."""
        self._state: State | None = None
        self._missing: Bool[Tensor, "c h w"] | None = None  # of the last frame that was observed
        self._forecasts: deque[_Forecast] = deque(maxlen=min(self._horizon, FIT_HORIZON))

    def step(self, frame: Frame, missing: Bool[Tensor, "c h w"] | None = None) -> Future:
        """Observe one frame ``(1, c, h, w)`` and forecast the next ones, ``(1, k, c, h, w)``, in [0, 1].

        A frame of which all pixels are missing is not observed: each forecaster goes on from its own prediction.

        Args:
            frame: the frame, with the filler where pixels are missing.
            missing: which pixels are, so that the weights come from pixels that are measured both where a forecast is
                made and where it comes due; None for none.
        """
        with eval_mode(self._observer):
            return self._step(frame, missing)

    def _step(self, frame: Frame, missing: Bool[Tensor, "c h w"] | None) -> Future:
        size = (frame.shape[-2], frame.shape[-1])
        self._measure(frame, missing)
        first = self._state is None  # how its regions move is unknown, so it is not measured
        if self._state is None or missing is None or not missing.all():
            self._state, self._missing = self._observer.observe(frame, self._state), missing
        else:
            self._state = self._observer.advance(self._state)
        states = zip(self._members, member_states(self._state), strict=True)
        futures = torch.stack([member.forecast(own, self._horizon)[0] for member, own in states])
        shares = self._state[2]
        if not first:
            regions = _without(spread(shares, size)[0], self._missing)
            self._forecasts.append(_Forecast(futures[:, :FIT_HORIZON].clone(), regions))
        weights = torch.einsum("kqm,qhw->mkhw", self.weights.to(shares), shares[0])
        return mix(futures, weights[:, :, None])[None]

    def _measure(self, frame: Frame, missing: Bool[Tensor, "c h w"] | None) -> None:
        """Add the errors of the forecasts for this frame."""
        if len(self._members) == 1 or (missing is not None and missing.all()):
            return
        for lead, forecast in enumerate(reversed(self._forecasts)):
            self._products.add(lead, forecast.futures[:, lead], frame[0], _without(forecast.regions, missing))

    @property
    def weights(self) -> Float[Tensor, "k q m"]:
        """Weight of each forecaster at each lead time in each region."""
        weights = weigh_members(self._products).expand(-1, REGIONS, -1)
        return weights[torch.arange(self._horizon).clamp(max=len(weights) - 1)]


def _without(regions: Float[Tensor, "q h w"], missing: Bool[Tensor, "c h w"] | None) -> Float[Tensor, "q h w"]:
    """Regions without the pixels of which a channel is missing."""
    return regions if missing is None else regions.masked_fill(missing.any(dim=0), 0)
