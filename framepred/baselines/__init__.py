"""Forecasters without gradients: what a network has to beat."""

from framepred.baselines.blank import Blank
from framepred.baselines.last_frame import LastFrame
from framepred.baselines.optical_flow import OpticalFlow
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster

BASELINES: dict[str, type[Forecaster]] = {"blank": Blank, "last-frame": LastFrame, "optical-flow": OpticalFlow}
"""The baselines by the names that cards and ``--weights baseline:NAME`` use."""


def load_baseline(name: str) -> Forecaster:
    """The baseline of this name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in BASELINES:
        raise ConfigError(f"There is no baseline {name!r}; choose one of {', '.join(BASELINES)}.")
    return BASELINES[name]()


__all__ = ["BASELINES", "Blank", "LastFrame", "OpticalFlow", "load_baseline"]
