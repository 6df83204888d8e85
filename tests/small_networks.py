"""Networks of every kind that are small enough for quick tests."""

from typing import Any

from framepred.media.ranges import ValueRange
from framepred.models import LayeredForecaster, TrackingForecaster
from framepred.models.exported import ExportedForecaster
from framepred.onnx_graphs import ExportInfo

LAYERED = {"layers": 2, "coarse_channels": 8, "fine_channels": 4, "embedding_channels": 6, "reach": 2}
RADAR = ValueRange(-32, 60, filler=-32)
"""Values in dBZ, with NaN outside the coverage."""
TRACKING = LAYERED | {"path_features": 16}


def layered(**changes: Any) -> LayeredForecaster:
    """A small layered forecaster, with other arguments where they are given."""
    return LayeredForecaster(**LAYERED | changes)


def tracking(**changes: Any) -> TrackingForecaster:
    """A small tracking forecaster, with other arguments where they are given."""
    return TrackingForecaster(**TRACKING | changes)


def last_frame_export() -> ExportedForecaster:
    """An export that repeats the last frame; like ONNX Runtime, it returns frames on the CPU."""
    info = ExportInfo("id", "0.2.0", "LastFrame", "own", None, 1, 1, None, False)
    return ExportedForecaster(dict.fromkeys(("start", "observe"), lambda inputs: (inputs[0].cpu(),)), info)
