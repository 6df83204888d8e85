"""Forecasters whose steps run compiled, as CUDA graphs on a GPU, or in bfloat16."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeAlias, get_args

import torch

from framepred.clips import Frame, RawFrame, State
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.media.ranges import ValueRange

Precision: TypeAlias = Literal["32-true", "bf16-mixed"]
"""Lightning's names: float32, or autocast of convolutions and matrix products to bfloat16."""

Backend: TypeAlias = str | Callable[..., Any]
"""What ``torch.compile`` takes as its backend."""

FLOAT32: Precision = "32-true"

INDUCTOR = "inductor"
"""The compiler of PyTorch, the default of ``torch.compile``."""


class AcceleratedForecaster(Forecaster):
    """Runs the steps of a forecaster compiled, in bfloat16 autocast, or both, to predict without gradients.

    On CUDA, compiled steps are CUDA graphs (``torch.compile(mode="reduce-overhead")``): one launch replaces those of
    all small operations, which take most of the time of a tracking network. A graph writes its outputs to the same
    memory in each run, so states and frames are copied out of it.

    A step is compiled when it first gets frames of a shape, which takes up to some minutes. Frames equal those of
    ``net`` within rounding, of float32 or of bfloat16. States are those of ``net``.

    Args:
        net: the forecaster.
        compiled: whether the steps are compiled.
        precision: ``32-true``, or ``bf16-mixed`` for autocast to bfloat16.
        backend: backend of ``torch.compile``.

    Raises:
        ConfigError: if there is no such precision; while predicting, if the steps cannot be compiled on this machine.

    Example:
        >>> from framepred.baselines import LastFrame
        >>> net = AcceleratedForecaster(LastFrame(), compiled=False, precision="bf16-mixed")
        >>> net(torch.rand(1, 3, 1, 8, 8), horizon=2).shape
        torch.Size([1, 2, 1, 8, 8])
    """

    def __init__(
        self, net: Forecaster, *, compiled: bool = True, precision: Precision = FLOAT32, backend: Backend = INDUCTOR
    ) -> None:
        super().__init__()
        if precision not in get_args(Precision):
            raise ConfigError(f"There is no precision {precision!r}; choose {' or '.join(get_args(Precision))}.")
        self.net = net
        self.compiled = compiled
        self.precision: Precision = precision
        self.backend = backend
        self.training = net.training
        self._steps: dict[tuple[str, str], Callable[..., Any]] = {}

    @property
    def channels(self) -> int | None:
        """Channels of the frames of ``net``; None if it takes any number."""
        return getattr(self.net, "channels", None)

    @property
    def value_range(self) -> ValueRange | None:
        """The values of files that ``net`` was trained on as 0 and 1; None if it was trained on bytes."""
        return getattr(self.net, "value_range", None)

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state with one frame ``(b, c, h, w)``, integers or floats in [0, 1]."""
        return self._run("observe", frame, state)

    def feedback(self, frame: Frame, state: State) -> State:
        """Update the state with a frame beyond the context."""
        return self._run("feedback", frame, state)

    def next_frame(self, state: State) -> Frame:
        """Predict the next frame ``(b, c, h, w)``, not clamped to [0, 1], in the type of the observed frames."""
        (frame,) = self._run("next_frame", state)
        return frame.to(state[0].dtype)

    def _run(self, name: str, *inputs: object) -> State:
        """Run one step of ``net``; a frame is returned as a tuple of one tensor."""
        device = next((tensor.device for tensor in self.net.parameters()), torch.device("cpu"))
        with self._autocast(device):
            if not self.compiled:
                return _as_tuple(getattr(self.net, name)(*inputs))
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            try:
                outputs = self._step(name, device)(self.net, *inputs)
            except RuntimeError as error:
                raise unable_to_compile(error) or error from error.__cause__
            return tuple(tensor.clone() for tensor in _as_tuple(outputs))

    def _step(self, name: str, device: torch.device) -> Callable[..., Any]:
        """Return the compiled method of the class of ``net``; a copy of this forecaster calls it with its own copy."""
        if (name, device.type) not in self._steps:
            self._steps[name, device.type] = torch.compile(
                getattr(type(self.net), name),
                backend=self.backend,
                mode="reduce-overhead" if device.type == "cuda" and self.backend == INDUCTOR else None,
                dynamic=False,  # a CUDA graph has one shape
            )
        return self._steps[name, device.type]

    def _autocast(self, device: torch.device) -> AbstractContextManager[object]:
        return nullcontext() if self.precision == FLOAT32 else torch.autocast(device.type, torch.bfloat16)


def _as_tuple(outputs: Any) -> State:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def unable_to_compile(error: RuntimeError) -> ConfigError | None:
    """Return the one-sentence error for a failure of ``torch.compile``; None for any other error."""
    from torch._dynamo.exc import TorchDynamoException  # here, because the compiler takes a second to import

    if not isinstance(error, TorchDynamoException):
        return None
    reason = " ".join(str(getattr(error, "inner_exception", error)).split()).rstrip(".")
    return ConfigError(
        f"torch.compile cannot compile the network on this machine ({reason:.160}); install a C++ compiler, and Triton "
        "for a GPU, or do not compile."
    )
