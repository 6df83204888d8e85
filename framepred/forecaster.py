"""The interface of everything that predicts: observe frames one by one, then forecast any horizon.

What only some networks offer is an optional protocol. Training, diagnosis and cost look for it with ``isinstance``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from framepred.clips import Frame, Future, RawClip, RawFrame, State
from framepred.errors import ClipError, ConfigError

Predictor: TypeAlias = Callable[[RawClip, int], Future]
"""Any callable ``(context, horizon) -> frames``: context ``(b, t, c, h, w)``, frames ``(b, horizon, c, h, w)``."""


@runtime_checkable
class HasAuxiliaryLoss(Protocol):
    """A network with a loss of its own, which training adds to the loss on pixels."""

    def auxiliary_loss(self, state: State, frame: RawFrame) -> Float[Tensor, ""]:
        """The loss of ``state`` given the true next frame ``(b, c, h, w)``: a scalar with a gradient."""


@runtime_checkable
class HasNamedMemory(Protocol):
    """A network whose recurrent memory can be inspected by name."""

    def named_memory(self, state: State) -> dict[str, Tensor]:
        """The memory tensors of a state by names such as ``layer 1: hidden``."""


@runtime_checkable
class HasUncountedMacs(Protocol):
    """A network with operations that PyTorch's FLOP counter does not see, such as warps and correlations."""

    def uncounted_macs(self, height: int, width: int) -> int:
        """Multiply-accumulates of these operations for one step on one clip of frames of this size."""


class Forecaster(nn.Module, ABC):
    """Predicts the frames that come next.

    A state is a flat tuple of tensors whose first is the last observed frame. Subclasses implement ``observe`` and
    ``next_frame``; batch prediction, streaming, training on every frame and export are built on these two.
    """

    @abstractmethod
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state with one frame ``(b, c, h, w)``, integers or floats in [0, 1]; None starts a new clip.

        Returns:
            The new state; the given state is not modified.
        """

    @abstractmethod
    def next_frame(self, state: State) -> Frame:
        """Predict the next frame ``(b, c, h, w)``, not clamped to [0, 1]."""

    def feedback(self, frame: Frame, state: State) -> State:
        """Update the state with a frame beyond the context: a prediction or, in training, the true frame."""
        return self.observe(frame.clamp(0, 1), state)

    def forecast(self, state: State, horizon: int) -> Future:
        """Predict the next ``horizon`` frames, ``(b, horizon, c, h, w)``; in eval mode clamped to [0, 1].

        Raises:
            ConfigError: if ``horizon`` is less than 1.
        """
        if horizon < 1:
            raise ConfigError(f"The horizon must be at least 1 frame, not {horizon}.")
        clip = torch.stack(list(islice(self.rollout(state), horizon)), dim=1)
        return clip if self.training else clip.clamp(0, 1)

    def rollout(self, state: State) -> Iterator[Frame]:
        """Predict frame after frame ``(b, c, h, w)`` without end, not clamped; each is computed on request."""
        while True:
            frame = self.next_frame(state)
            yield frame
            state = self.feedback(frame, state)

    def forward(self, context: RawClip, horizon: int) -> Future:
        """Observe every frame of ``context``, ``(b, t, c, h, w)``, then forecast ``horizon`` frames.

        Raises:
            ClipError: if the context holds no frame.
            ConfigError: if ``horizon`` is less than 1.
        """
        if context.ndim != 5 or context.shape[1] == 0:
            raise ClipError(
                f"A context has the shape (b, t, c, h, w) with at least one frame, not {tuple(context.shape)}."
            )
        state = None
        for frame in context.unbind(dim=1):
            state = self.observe(frame, state)
        assert state is not None
        return self.forecast(state, horizon)
