"""Forecasts of each next frame of a stream, by a network in PyTorch or by an ONNX export without PyTorch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float32

if TYPE_CHECKING:
    from framepred.forecaster import Forecaster

WINDOW = 10
"""Frames of a stream that a forecast of a network rests on, at most.

Most networks are trained on clips of some ten frames. The state of a recurrent network may leave the range that it was
trained on when it observes for longer, and the error then grows.
"""

Batch: TypeAlias = Float32[np.ndarray, "1 c h w"]


@runtime_checkable
class StepForecast(Protocol):
    """Forecasts each next frame of a stream, in constant memory.

    Attributes:
        name: of the weights; a profile is read with the weights only that it was made with.
    """

    name: str

    def fresh(self) -> "StepForecast":
        """The same forecasts of a new stream."""

    def advance(self, picture: Float32[np.ndarray, "c h w"]) -> Float32[np.ndarray, "c h w"]:
        """Observe the next frame, in [0, 1], and forecast the one after it."""


class RollingForecast:
    """Forecasts from a bounded number of the last frames.

    Two states take turns: each starts when the other has observed half of the window, and forecasts when it has
    observed half of the window itself. So a forecast rests on ``window / 2`` to ``window`` frames.

    Args:
        observe: updates a state, None at first, with a frame ``(1, c, h, w)``.
        predict: the frame after those that a state has observed.
        name: of the weights.
        channels: channels that frames must have; gray frames are repeated to as many. 1 for any number.
        window: frames that a forecast rests on, at most; None for all, which needs one state only.
        trained_range: the range of values that the weights were trained on; see
            :class:`framepred.onnx_graphs.ExportInfo`.
    """

    def __init__(
        self,
        observe: Callable[[Batch, Any], Any],
        predict: Callable[[Any], Batch],
        name: str = "",
        channels: int = 1,
        window: int | None = WINDOW,
        trained_range: Mapping[str, float] | None = None,
    ) -> None:
        self.name, self.channels, self.trained_range = name, channels, trained_range
        self._observe, self._predict, self._window = observe, predict, window
        self._states: list[Any] = [None, None]
        self._count = 0

    def fresh(self) -> "RollingForecast":
        """The same forecasts of a new stream."""
        return RollingForecast(self._observe, self._predict, self.name, self.channels, self._window, self.trained_range)

    def advance(self, picture: Float32[np.ndarray, "c h w"]) -> Float32[np.ndarray, "c h w"]:
        """Observe the next frame, in [0, 1], and forecast the one after it.

        Raises:
            WeightsError: if the weights predict NaN or infinite pixels.
        """
        if len(picture) == 1 < self.channels:
            picture = np.repeat(picture, self.channels, axis=0)
        half = None if self._window is None else self._window // 2
        if half is not None and self._count and self._count % half == 0:
            self._states = [self._states[1], None]  # the older state is forgotten
        old, young = self._states
        if half is None or self._count < half:
            self._states = [None, self._observe(picture[None], young)]
        else:
            self._states = [self._observe(picture[None], old), self._observe(picture[None], young)]
        self._count += 1
        return np.asarray(self._predict(next(state for state in self._states if state is not None))[0])


def onnx_forecast(path: str | Path) -> RollingForecast:
    """Forecasts by an ``.onnx`` export; PyTorch is not imported.

    Raises:
        WeightsError: if a file is missing or is no such export, or ONNX Runtime is not installed.
    """
    from framepred.inference.onnx_only import OnnxForecaster

    forecaster = OnnxForecaster(path)
    info = forecaster.info
    return RollingForecast(
        forecaster.observe, forecaster.next_frame, info.weights, info.channels, trained_range=info.trained_range
    )


def network_forecast(net: "Forecaster", name: str | None = None) -> RollingForecast:
    """Forecasts by a forecaster on its device; a baseline, which has no memory that could grow, observes all frames.

    Args:
        net: the forecaster.
        name: of its weights; None for the name of its class.
    """
    import torch

    from framepred.forecaster import check_finite, eval_mode
    from framepred.inference.devices import device_of
    from framepred.inference.networks import channels_of, is_network

    device = device_of(net)

    @torch.inference_mode()
    def observe(frame: Batch, state: Any) -> Any:
        with eval_mode(net):
            return net.observe(torch.from_numpy(frame).to(device), state)

    @torch.inference_mode()
    def predict(state: Any) -> Batch:
        with eval_mode(net):
            return np.asarray(check_finite(net.forecast(state, 1)[:, 0]).float().cpu().numpy())

    return RollingForecast(
        observe, predict, name or type(net).__name__, channels_of(net) or 1, WINDOW if is_network(net) else None
    )


def forecast_name(forecast: StepForecast | None) -> str:
    """What forecasts each frame, in words; None stands for the last frame."""
    return "the last frame" if forecast is None else forecast.name
