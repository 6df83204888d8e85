"""Forecasts of each next frame of a stream: over a bounded number of frames."""

import numpy as np
import pytest

import framepred
from framepred.errors import ConfigError
from framepred.inference.watching.forecasting import RollingForecast, network_forecast
from framepred.inference.watching.learning import open_forecasts


@pytest.mark.parametrize("window", [4, 10])
def test_a_forecast_rests_on_the_last_frames_only(window: int) -> None:
    def observe(frame: np.ndarray, state: list[float] | None) -> list[float]:
        return [*(state or []), float(frame[0, 0, 0, 0])]

    seen: list[list[float]] = []

    def predict(state: list[float]) -> np.ndarray:
        seen.append(state)
        return np.zeros((1, 1, 2, 2), np.float32)

    forecast = RollingForecast(observe, predict, window=window)
    for number in range(40):
        forecast.advance(np.full((1, 2, 2), number, np.float32))
    for number, frames in enumerate(seen):
        assert frames == list(range(number - len(frames) + 1, number + 1))
        assert len(frames) <= window
        assert len(frames) >= min(number + 1, window // 2)


def test_the_error_of_bundled_weights_does_not_grow_over_a_long_stream() -> None:
    forecast = network_forecast(framepred.load("natural-small"))
    scene = np.kron(np.random.default_rng(0).random((3, 6, 9), dtype=np.float32), np.ones((8, 8), np.float32))
    expected, errors = None, []
    for number in range(60):
        picture = np.roll(scene, number, axis=2)
        if expected is not None:
            errors.append(float(np.abs(picture - expected).mean()))
        expected = forecast.advance(picture)
    assert np.mean(errors[-20:]) < 1.5 * np.mean(errors[5:15])


@pytest.mark.parametrize("weights", ["baseline:last-frame", "net.onnx", "baseline:optical-flow"])
def test_a_device_that_is_not_there_is_refused(weights: str) -> None:
    with pytest.raises(ConfigError, match=r"CUDA device|GPUs"):
        open_forecasts(weights, "cuda:99")
