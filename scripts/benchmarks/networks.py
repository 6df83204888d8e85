"""What is compared with what: framepred's forecaster, and the ConvLSTM of the published size."""

from collections.abc import Callable

from framepred.forecaster import Forecaster
from framepred.models import EncoderForecaster, TrackingForecaster

NETWORKS: dict[str, Callable[[], Forecaster]] = {
    "framepred": TrackingForecaster,
    "convlstm-s": lambda: EncoderForecaster(hidden_channels=[128] * 4, kernel_size=5, stride=4, motion=False),
    "convlstm 2×64": lambda: EncoderForecaster(hidden_channels=[64] * 2, kernel_size=5, stride=4, motion=False),
}
"""``convlstm-s`` has the layers of OpenSTL's (4 of 128 channels, 5×5, patches of 4; it feeds its predictions back),
built from our own cells; ``2×64`` is its best small setting."""
