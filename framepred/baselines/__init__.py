"""Forecasters and restorers without trained networks, for comparison."""

from framepred.baselines.hopfield import HopfieldMemory, HopfieldRecall
from framepred.baselines.interpolation import HeldFrame, LinearInterpolation
from framepred.baselines.markov import MarkovForecaster
from framepred.baselines.minterpolate import Minterpolate
from framepred.baselines.optical_flow import MotionCompensated, OpticalFlow
from framepred.baselines.simple import Blank, LastFrame
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.restorer import Restorer

BASELINES: dict[str, type[Forecaster]] = {"blank": Blank, "last-frame": LastFrame, "optical-flow": OpticalFlow}
"""The forecasting baselines by the names that cards and ``--weights baseline:NAME`` use."""

RESTORERS: dict[str, type[Restorer]] = {
    "linear": LinearInterpolation,
    "motion-compensated": MotionCompensated,
    "minterpolate": Minterpolate,
    "last-frame": HeldFrame,
    "hopfield": HopfieldRecall,
}
"""The restorers without a network by the names that ``framepred restore --method`` uses."""


def load_baseline(name: str) -> Forecaster:
    """Build the forecasting baseline of this name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in BASELINES:
        raise ConfigError(f"There is no baseline {name!r}; choose one of {', '.join(BASELINES)}.")
    return BASELINES[name]()


__all__ = [
    "BASELINES",
    "RESTORERS",
    "Blank",
    "HeldFrame",
    "HopfieldMemory",
    "HopfieldRecall",
    "LastFrame",
    "LinearInterpolation",
    "MarkovForecaster",
    "Minterpolate",
    "MotionCompensated",
    "OpticalFlow",
    "load_baseline",
]
