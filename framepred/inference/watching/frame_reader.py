"""Reduce the frames of a stream, forecast each from those before, and measure their features."""

import copy
from typing import Any

import numpy as np
from jaxtyping import Shaped

from framepred.inference.watching.features import FeatureExtractor, Map, Observation, reduced
from framepred.inference.watching.forecasting import StepForecast
from framepred.media.pictures import as_picture, resized_picture, unit_picture


class FrameReader:
    """Reduces the frames of a stream, forecasts each, and measures their features.

    Args:
        fps: frames per second.
        size: height and width of the reduced frames.
        forecast: forecasts each frame from those before; None for the last frame.
    """

    def __init__(self, fps: float, size: tuple[int, int], forecast: StepForecast | None = None) -> None:
        self._size = size
        self._forecast = forecast
        self._extractor = FeatureExtractor(fps)
        self.reset()

    def reset(self) -> None:
        """Start anew: the next frame does not follow from the last one."""
        self._extractor.reset()
        self._forecast = self._forecast and self._forecast.fresh()
        self._next: Map | None = None
        self.expected: Map | None = None

    def copy(self) -> "FrameReader":
        """The same reader, which goes on on its own."""
        copied = copy.copy(self)
        copied._extractor = self._extractor.copy()
        copied._forecast = copy.copy(self._forecast)  # replaces its states, and changes none
        return copied

    def observe(
        self, frame: Shaped[Any, "c h w"], missing: Shaped[np.ndarray, "c h w"] | None = None
    ) -> Observation | None:
        """Measure the next frame; None for the first two, and where no pixel is measured, after which all starts anew.

        ``expected`` is the forecast of this frame.
        """
        if missing is not None and missing.all():
            self.reset()
            return None
        picture = as_picture(frame)
        small_frame = reduced(picture, self._size, missing)
        self.expected = self._next
        observed = self._extractor.observe(small_frame, self.expected)
        self._next = small_frame.gray
        if self._forecast is not None:
            small = unit_picture(resized_picture(picture, self._size))
            self._next = reduced(self._forecast.advance(small), self._size).gray
        return observed
