"""The networks of the cost benchmark: framepred's forecaster, and ConvLSTMs of published sizes."""

from collections.abc import Callable

from framepred.forecaster import Forecaster
from framepred.models import EncoderForecaster, TrackingForecaster

NETWORKS: dict[str, Callable[[], Forecaster]] = {
    "framepred": TrackingForecaster,
    "convlstm-s": lambda: EncoderForecaster(hidden_channels=[128] * 4, kernel_size=5, stride=4, motion=False),
    "convlstm 2×64": lambda: EncoderForecaster(hidden_channels=[64] * 2, kernel_size=5, stride=4, motion=False),
}
"""``convlstm-s`` has the layer sizes of OpenSTL's ConvLSTM-S: 4 layers of 128 channels, 5×5 kernels, patches of 4.
It reads its own predictions and is built from framepred's cells. ``2×64`` is a small variant."""
