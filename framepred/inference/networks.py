"""The forecaster that a caller names: bundled or own weights, a baseline, or a network object."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeAlias

from torch import nn

from framepred.baselines import load_baseline
from framepred.errors import ConfigError, WeightsError
from framepred.evaluation import WeightsRecord
from framepred.forecaster import Forecaster, check_name
from framepred.media.ranges import StatedRange, ValueRange
from framepred.models.exported import ExportedForecaster
from framepred.models.pretrained import load_weights
from framepred.restorer import Restorer

NATURAL = "natural-small"
"""Bundled weights that predict videos of any kind unless others are named."""

BASELINE_PREFIX = "baseline"


class NamedForecaster(NamedTuple):
    """A forecaster with what a results card says of its weights."""

    net: Forecaster
    record: WeightsRecord


Weights: TypeAlias = str | Path | Forecaster | NamedForecaster
"""A bundled name, a path, also of an ``.onnx`` export, ``owner/name`` of the Hugging Face Hub, ``baseline:NAME``, or a
forecaster."""


def open_forecaster(weights: Weights) -> NamedForecaster:
    """Return the forecaster that ``weights`` names or is.

    Raises:
        WeightsError: if there are no such weights, they are damaged, or they restore instead of forecast; or if the
            object is no forecaster.
        ConfigError: if there is no such baseline.
    """
    if isinstance(weights, NamedForecaster):
        return weights
    if isinstance(weights, Forecaster):
        return NamedForecaster(weights, WeightsRecord(type(weights).__name__))
    if isinstance(weights, Restorer):
        raise _cannot_forecast(type(weights).__name__)
    check_name(weights)
    kind, _, baseline = str(weights).partition(":")
    if kind == BASELINE_PREFIX:
        return NamedForecaster(load_baseline(baseline), WeightsRecord(str(weights)))
    loaded = load_weights(weights)
    if not isinstance(loaded.net, Forecaster):
        raise _cannot_forecast(str(weights))
    return NamedForecaster(loaded.net, WeightsRecord(str(weights), loaded.sha256))


def _cannot_forecast(name: str) -> WeightsError:
    return WeightsError(f"The weights {name} restore missing frames and cannot forecast; choose other weights.")


def is_network(net: nn.Module) -> bool:
    """Whether a forecaster is a network, or the export of one, and no baseline."""
    return isinstance(net, ExportedForecaster) or next(net.parameters(), None) is not None


def range_of(net: nn.Module) -> ValueRange | None:
    """The values of files that a network was trained on as 0 and 1; None if it was trained on bytes."""
    found = getattr(net, "value_range", None)
    return found if isinstance(found, ValueRange) else None


def channels_of(net: nn.Module) -> int | None:
    """Channels that the frames of a network must have; None if it takes any number."""
    channels = getattr(net, "channels", None)
    return channels if isinstance(channels, int) and channels > 1 else None


def needs_of(nets: Iterable[nn.Module], stated: StatedRange = None) -> tuple[int | None, ValueRange | None]:
    """The channels and the range of values that several networks need, which get the same frames; None for no need.

    Args:
        nets: the networks.
        stated: the range that a user stated, which takes the place of theirs.

    Raises:
        ConfigError: if they differ in what they need.
    """
    nets = list(nets)
    channels = sorted({count for count in map(channels_of, nets) if count is not None})
    ranges = {known.summary: known for known in map(range_of, nets) if known is not None}
    if len(channels) > 1:
        raise ConfigError(
            f"The weights take frames of {channels[0]} and of {channels[1]} channels; name those of one number at a "
            "time."
        )
    if stated is None and len(ranges) > 1:
        raise ConfigError(
            f"The weights were trained on different ranges of values, {' and '.join(ranges)}; name those of one range "
            "at a time, or state one range for all."
        )
    return next(iter(channels), None), next(iter(ranges.values()), None)
