"""Blend several forecasters while frames arrive: the weights follow from forecasts that have come due."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from framepred.baselines import OpticalFlow
from framepred.clips import Frame, Future, State
from framepred.forecaster import Forecaster, eval_mode
from framepred.inference.blend import FIT_HORIZON, evenly, member_states, mix
from framepred.inference.error_prior import weigh_members
from framepred.inference.regions import REGIONS, spread
from framepred.inference.stacking import ErrorProducts

DECAY = 0.98
"""Factor by which an error counts less with each frame: half after 34 frames, so that the weights follow the scene."""

ERROR_LEAD_TIMES = 3
"""Lead times at which the last error is added to a forecast. In 15 films it takes 13, 4 and 2 % of the error at
the first three, and less than 1 % after them."""

ERROR_PREFERENCE = 0.05
"""Pull of its shares towards 0, as a share of the least squared error."""


class _Forecast(NamedTuple):
    """What was predicted at one frame.

    Attributes:
        futures: the frames of every member
        regions: the regions of that frame, 0 where its pixels are missing.
        means: the weighted means of the members, and these with the last error added, for the first lead times.
    """

    futures: Float[Tensor, "m k c h w"]
    regions: Float[Tensor, "q h w"]
    means: Float[Tensor, "2 _k c h w"]


class OnlineBlend:
    """Forecasts at each frame, as the weighted mean of several forecasters, in constant memory.

    Every forecast is compared with the frames that follow it. The weights at a lead time and in a region are those that
    would have served best so far, and at first those that serve best in films in general. The simplest forecaster
    should come last; see :func:`~framepred.inference.blend_weights.fit_blend`.

    With an optical flow among the members, the error of the last forecast is moved along the flow and a share of it is
    added to the next ones: fine detail that a mean blurs, and a motion that changes, are missed again one frame later.
    The share at a lead time and in a region is that which would have served best so far, from 0 to 1.

    Args:
        members: the forecasters, on one device; they run in eval mode.
        horizon: frames to forecast at each step.
    """

    def __init__(self, members: Sequence[Forecaster], horizon: int) -> None:
        self._members = members
        self._horizon = horizon
        with eval_mode(*members):
            self._observer = evenly(members)
        flows = [number for number, member in enumerate(members) if isinstance(member, OpticalFlow)]
        self._flow = flows[0] if flows and len(members) > 1 else None  # a forecaster alone stays as it is
        self._products = ErrorProducts(min(horizon, FIT_HORIZON), len(members), REGIONS, DECAY)
        # Of the mean with the last error, and of the mean alone.
        self._error_products = ErrorProducts(min(horizon, ERROR_LEAD_TIMES), 2, REGIONS, DECAY)
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
        error = self._last_error(frame, missing)
        if self._state is None or missing is None or not missing.all():
            self._state, self._missing = self._observer.observe(frame, self._state), missing
        else:
            self._state = self._observer.advance(self._state)
        states = zip(self._members, member_states(self._state), strict=True)
        futures = torch.stack([member.forecast(own, self._horizon)[0] for member, own in states])
        shares = self._state[2]
        weights = torch.einsum("kqm,qhw->mkhw", self.weights.to(shares), shares[0])
        mean = mix(futures, weights[:, :, None])
        means = self._with_error(mean[: self._error_products.horizon], error)
        if not first:
            regions = _without(spread(shares, size)[0], self._missing)
            self._forecasts.append(_Forecast(futures[:, :FIT_HORIZON].clone(), regions, means))
        if self._flow is None:
            return mean[None]
        share = torch.einsum("kq,qhw->khw", self._error_shares.to(shares), shares[0])[:, None]
        return torch.cat([mix(means, torch.stack([share, 1 - share])), mean[len(share) :]])[None]

    def _measure(self, frame: Frame, missing: Bool[Tensor, "c h w"] | None) -> None:
        """Add the errors of the forecasts for this frame."""
        if missing is not None and missing.all():
            return
        for lead, forecast in enumerate(reversed(self._forecasts)):
            regions = _without(forecast.regions, missing)
            if len(self._members) > 1:
                self._products.add(lead, forecast.futures[:, lead], frame[0], regions)
            if self._flow is not None and lead < self._error_products.horizon:
                self._error_products.add(lead, forecast.means[:, lead], frame[0], regions)

    def _last_error(self, frame: Frame, missing: Bool[Tensor, "c h w"] | None) -> Frame | None:
        """What the mean of the members missed in this frame, 0 where pixels are missing; None if it is unknown."""
        if self._flow is None or not self._forecasts:
            return None
        error = frame - self._forecasts[-1].means[1, :1]
        for gaps in (missing, self._missing):
            error = error if gaps is None else error.masked_fill(gaps, 0)
        return error

    def _with_error(self, mean: Float[Tensor, "k c h w"], error: Frame | None) -> Float[Tensor, "2 k c h w"]:
        """The mean with the last error, which is moved along the flow, and the mean alone."""
        if error is None or self._flow is None or self._state is None:
            return mean.expand(2, -1, -1, -1, -1)
        flow, own = self._members[self._flow], member_states(self._state)[self._flow]
        moved = torch.cat(list(islice(flow.rollout((error, error, *own[2:])), len(mean))))
        return torch.stack([(mean + moved).clamp(0, 1), mean])

    @property
    def weights(self) -> Float[Tensor, "k q m"]:
        """Weight of each forecaster at each lead time in each region."""
        weights = weigh_members(self._products).expand(-1, REGIONS, -1)
        return weights[torch.arange(self._horizon).clamp(max=len(weights) - 1)]

    @property
    def _error_shares(self) -> Float[Tensor, "k q"]:
        """Share of the last error in a forecast, at each lead time in each region."""
        products = self._error_products
        shares = torch.zeros(products.horizon, REGIONS)
        if products.measured:
            shares[: products.measured] = products.best_weights(preference=ERROR_PREFERENCE)[..., 0]
        return shares


def _without(regions: Float[Tensor, "q h w"], missing: Bool[Tensor, "c h w"] | None) -> Float[Tensor, "q h w"]:
    """Regions without the pixels of which a channel is missing."""
    return regions if missing is None else regions.masked_fill(missing.any(dim=0), 0)
