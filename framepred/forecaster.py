"""The interface of everything that predicts: observe frames one by one, then forecast any horizon."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn

from framepred.clips import Frame, Future, RawClip, RawFrame, State
from framepred.errors import ClipError, ConfigError


class Forecaster(nn.Module, ABC):
    """Predicts the frames that come next.

    A state is a flat tuple of tensors whose first is the last frame seen. Subclasses give ``observe`` and
    ``next_frame``; batch prediction, streaming, training on every frame and export are made of these two.
    """

    @abstractmethod
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Take in one frame, ``(b, c, h, w)``, integers or floats in [0, 1]; a state of None starts a new clip.

        Returns:
            The new state; the caller's state is left as it was.
        """

    @abstractmethod
    def next_frame(self, state: State) -> Frame:
        """The frame that comes next, ``(b, c, h, w)``, raw: not clamped to [0, 1]."""

    def feedback(self, frame: Frame, state: State) -> State:
        """Take in a frame of the future: a prediction, or in training sometimes the truth."""
        return self.observe(frame.clamp(0, 1), state)

    def misplacement(self, state: State, frame: RawFrame) -> Float[Tensor, ""]:  # noqa: ARG002
        """How far objects of the next frame lie from where ``frame``, the true one, shows them.

        A scalar with a gradient, learned beside the loss of the pixels. Networks that move whole objects say so here;
        for all others it is 0.
        """
        return state[0].new_zeros(())

    def named_memory(self, state: State) -> dict[str, Tensor]:  # noqa: ARG002
        """What recurrent cells keep in a state, by names such as ``layer 1: hidden``; nothing without recurrence."""
        return {}

    def uncounted_macs(self, height: int, width: int) -> int:  # noqa: ARG002
        """Multiply-accumulates of one step on one clip that are neither convolution nor matrix product.

        Networks whose warps or correlations are worth counting say so here; see ``models.cost``.
        """
        return 0

    def forecast(self, state: State, horizon: int) -> Future:
        """The next ``horizon`` frames, ``(b, horizon, c, h, w)``; in eval mode clamped to [0, 1].

        Raises:
            ConfigError: if ``horizon`` is less than 1.
        """
        if horizon < 1:
            raise ConfigError(f"The horizon must be at least 1 frame, not {horizon}.")
        clip = torch.stack(list(islice(self.rollout(state), horizon)), dim=1)
        return clip if self.training else clip.clamp(0, 1)

    def rollout(self, state: State) -> Iterator[Frame]:
        """The future without end, frame by frame, ``(b, c, h, w)``, raw; each costs one step when it is asked for."""
        while True:
            frame = self.next_frame(state)
            yield frame
            state = self.feedback(frame, state)

    def forward(self, context: RawClip, horizon: int) -> Future:
        """Observe every frame of ``context``, ``(b, t, c, h, w)``, then forecast.

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
