"""The interface of forecasters: observe frames one by one, then forecast any horizon.

Features of some networks only are optional protocols; training, diagnosis and cost test for them with ``isinstance``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from os import PathLike
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from framepred.clips import Frame, Future, RawClip, RawFrame, State, check_range
from framepred.errors import NOT_FINITE, ClipError, ConfigError, WeightsError

Predictor: TypeAlias = Callable[[RawClip, int], Future]
"""Any callable ``(context, horizon) -> frames``: context ``(b, t, c, h, w)``, frames ``(b, horizon, c, h, w)``."""


@contextmanager
def eval_mode(*predictors: object) -> Iterator[None]:
    """Eval mode of those predictors that are modules.

    Afterwards every submodule has its previous mode, also submodules that were in eval mode before.

    Example:
        >>> net = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
        >>> with eval_mode(net):
        ...     net.training
        False
        >>> net.training, net[0].training, net[1].training
        (True, True, False)
    """
    networks = [predictor for predictor in predictors if isinstance(predictor, nn.Module)]
    modes = [(module, module.training) for network in networks for module in network.modules()]
    try:
        for network in networks:
            network.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


@runtime_checkable
class HasAuxiliaryLoss(Protocol):
    """A network with a loss of its own, which training adds to the pixel loss."""

    def auxiliary_loss(self, state: State, frame: RawFrame) -> Float[Tensor, ""]:
        """Return the loss of ``state`` given the true next frame ``(b, c, h, w)``: a scalar with a gradient."""


@runtime_checkable
class HasNamedMemory(Protocol):
    """A network whose recurrent memory can be inspected by name."""

    def named_memory(self, state: State) -> dict[str, Tensor]:
        """Return the memory tensors of a state by names such as ``layer 1: hidden``."""


@runtime_checkable
class HasUncountedMacs(Protocol):
    """A network with operations that PyTorch's FLOP counter does not count, such as warps and correlations."""

    def uncounted_macs(self, context: int, horizon: int, size: tuple[int, int, int]) -> int:
        """Return the multiply-accumulates of these operations for one clip.

        Args:
            context: observed frames.
            horizon: frames that are predicted or restored.
            size: channels, height and width of a frame.
        """


class Forecaster(nn.Module, ABC):
    """Predicts the next frames of a clip.

    A state is a flat tuple of tensors; the first is the most recent frame, observed or fed back. Subclasses implement
    :meth:`observe` and :meth:`next_frame`. Batch prediction, streaming, training and export use only these methods and
    :meth:`feedback`.

    Example:
        >>> import torch
        >>> from framepred.baselines import LastFrame
        >>> net, clip = LastFrame().eval(), torch.rand(2, 10, 1, 8, 8)  # (b, t, c, h, w) in [0, 1]
        >>> state = None
        >>> for frame in clip.unbind(dim=1):
        ...     state = net.observe(frame, state)
        >>> streamed = net.forecast(state, horizon=5)
        >>> torch.equal(streamed, net(clip, horizon=5))
        True
    """

    @abstractmethod
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state with one frame.

        Args:
            frame: ``(b, c, h, w)``, uint8, uint16 or floats in [0, 1].
            state: the state after the previous frame; None starts a new clip. It is not modified.

        Returns:
            The new state.
        """

    @abstractmethod
    def next_frame(self, state: State) -> Frame:
        """Predict the next frame ``(b, c, h, w)``, not clamped to [0, 1]."""

    def observe_clip(self, clip: RawClip) -> State:
        """Return the state after observing every frame of a clip ``(b, t, c, h, w)``, from the first on.

        A forecaster that needs only some of the frames may override it, with the same result.

        Raises:
            ClipError: if the clip has no frame.
        """
        state = None
        for frame in clip.unbind(dim=1):
            state = self.observe(frame, state)
        if state is None:
            raise ClipError("There is no frame to predict from; give at least one.")
        return state

    def feedback(self, frame: Frame, state: State) -> State:
        """Update the state with a frame beyond the context: a prediction or, in training, the true frame."""
        return self.observe(frame.clamp(0, 1), state)

    def forecast(self, state: State, horizon: int) -> Future:
        """Predict the next ``horizon`` frames, ``(b, horizon, c, h, w)``.

        The frames are clamped to [0, 1] in eval mode only, so that a loss sees the network's output.

        Raises:
            ConfigError: if ``horizon`` is less than 1.
        """
        if horizon < 1:
            raise ConfigError(f"The horizon must be at least 1 frame, not {horizon}.")
        clip = torch.stack(list(islice(self.rollout(state), horizon)), dim=1)
        return clip if self.training else clip.clamp(0, 1)

    def rollout(self, state: State) -> Iterator[Frame]:
        """Predict frames ``(b, c, h, w)`` without end, not clamped to [0, 1]; each is computed when requested.

        Raises:
            ClipError: if ``next_frame`` changes the shape of frames.
        """
        while True:
            frame = check_shape(self.next_frame(state), state[0])
            yield frame
            state = self.feedback(frame, state)

    def forward(self, context: RawClip, horizon: int) -> Future:
        """Observe every frame of ``context``, then forecast ``horizon`` frames, ``(b, horizon, c, h, w)``.

        Args:
            context: ``(b, t, c, h, w)``, uint8, uint16 or floats in [0, 1].
            horizon: number of frames to predict.

        Raises:
            ClipError: if the context has no frame or other axes; in eval mode also if floats exceed [0, 1].
            ConfigError: if ``horizon`` is less than 1.
        """
        if context.ndim != 5 or context.shape[1] == 0:
            raise ClipError(
                f"A context has the shape (b, t, c, h, w) with at least one frame, not {tuple(context.shape)}; "
                "a single clip gets its batch axis by clip[None]."
            )
        if not self.training:
            check_range(context)
        return self.forecast(self.observe_clip(context), horizon)


def check_name(weights: object, network: type[nn.Module] = Forecaster) -> None:
    """Check that weights that are no network are a name or a path.

    Args:
        weights: what a caller gave.
        network: the class of networks that the caller could give as well.

    Raises:
        WeightsError: if they are another object.
    """
    if not isinstance(weights, str | PathLike):
        raise WeightsError(
            f"Weights are a name, a path or a {network.__name__}, not {type(weights).__name__}; derive the network "
            f"from {network.__module__}.{network.__name__}."
        )


def check_shape(predicted: Tensor, last: Tensor) -> Tensor:
    """Return a predicted frame; refuse one that has not the shape of the last frame.

    Args:
        predicted: what ``next_frame`` returned.
        last: the most recent frame ``(b, c, h, w)``, the first tensor of a state.

    Raises:
        ClipError: if the shapes differ.
    """
    if predicted.shape != last.shape:
        raise ClipError(
            f"The forecaster predicted a frame of the shape {tuple(predicted.shape)} after frames of the shape "
            f"{tuple(last.shape)}; correct its next_frame."
        )
    return predicted


def check_finite(predicted: Tensor) -> Tensor:
    """Return predicted frames; refuse those that hold NaN or infinite pixels, which files would show as black.

    Raises:
        WeightsError: if there are any.
    """
    if not predicted.is_meta and not bool(predicted.isfinite().all()):  # meta tensors hold no values
        raise WeightsError(NOT_FINITE)
    return predicted
