"""Blend several forecasters while frames arrive: the weights follow from forecasts that have come due."""

from collections import deque
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from framepred.clips import Frame, Future, State
from framepred.forecaster import Forecaster
from framepred.inference.blend import FIT_HORIZON, ErrorProducts

DECAY = 0.98
"""Factor by which an error counts less with each frame: half after 34 frames, so that the weights follow the scene."""


class OnlineBlend:
    """Forecasts at each frame, as the weighted mean of several forecasters, in constant memory.

    Every forecast is compared with the frames that follow it. The weights at a lead time are those that would have
    served best so far; before anything is known they are equal. The simplest forecaster should come last; see
    :func:`~framepred.inference.blend.fit_blend`.

    Args:
        members: the forecasters, on one device, in eval mode.
        horizon: frames to forecast at each step.
    """

    def __init__(self, members: Sequence[Forecaster], horizon: int) -> None:
        self._members = members
        self._horizon = horizon
        self._products = ErrorProducts(min(horizon, FIT_HORIZON), len(members), DECAY)
        self.reset()

    def reset(self) -> None:
        """Forget the frames, not the weights: the next frame does not follow from the last one."""
        self._states: list[State | None] = [None] * len(self._members)
        self._forecasts: deque[Float[Tensor, "m k c h w"]] = deque(maxlen=min(self._horizon, FIT_HORIZON))

    def step(self, frame: Frame) -> Future:
        """Observe one frame ``(1, c, h, w)`` and forecast the next ones, ``(1, k, c, h, w)``, in [0, 1]."""
        for lead, forecast in enumerate(reversed(self._forecasts)):
            self._products.add(lead, forecast[:, lead], frame[0])
        states = [member.observe(frame, state) for member, state in zip(self._members, self._states, strict=True)]
        futures = torch.stack(
            [member.forecast(state, self._horizon)[0] for member, state in zip(self._members, states, strict=True)]
        )
        self._states = list(states)
        self._forecasts.append(futures[:, :FIT_HORIZON].clone())
        return torch.einsum("km,mkchw->kchw", self.weights.to(futures), futures)[None]

    @property
    def weights(self) -> Float[Tensor, "k m"]:
        """Weight of each forecaster at each lead time."""
        if not self._products.measured:
            return torch.full((self._horizon, len(self._members)), 1 / len(self._members))
        weights = self._products.best_weights()
        return weights[torch.arange(self._horizon).clamp(max=len(weights) - 1)]
