"""Named protocols: which formula each metric name stands for, and skill against baselines."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from framepred.errors import ConfigError
from framepred.evaluation.formulas import (
    FrameFormula,
    frame_mae,
    frame_mse,
    frame_psnr,
    frame_ssim_openstl,
    frame_ssim_wang2004,
)


class Measure(NamedTuple):
    """One metric of a protocol."""

    formula: FrameFormula
    higher_is_better: bool
    unit: str = ""


Measures: TypeAlias = Mapping[str, Measure]

_SHARED: dict[str, Measure] = {
    "mse": Measure(frame_mse, higher_is_better=False),
    "mae": Measure(frame_mae, higher_is_better=False),
    "psnr": Measure(frame_psnr, higher_is_better=True, unit="dB"),
}

PROTOCOLS: dict[str, Measures] = {
    "openstl": {**_SHARED, "ssim": Measure(frame_ssim_openstl, higher_is_better=True)},
    "wang2004": {**_SHARED, "ssim": Measure(frame_ssim_wang2004, higher_is_better=True)},
}


def find_protocol(name: str) -> Measures:
    """The metrics of a protocol by their names.

    Raises:
        ConfigError: if there is no protocol of this name.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"There is no protocol {name!r}; choose one of {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


def skill_scores(
    values: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]], measures: Measures
) -> dict[str, float]:
    """``1 − error / lowest baseline error`` of each metric: 1 is perfect, 0 no better than the best baseline.

    Only errors, where less is better and 0 perfect, have a skill (Murphy 1988); ratios of dB or of SSIM mean nothing.
    A metric is left out where there is no baseline or the best one makes no error.

    Args:
        values: the forecaster's metrics by name.
        baselines: each baseline's metrics by name.
        measures: the protocol's metrics by name.
    """
    errors = [name for name, measure in measures.items() if not measure.higher_is_better]
    best = {name: min((scores[name] for scores in baselines.values()), default=0.0) for name in errors}
    return {name: 1 - values[name] / best[name] for name in errors if best[name] > 0}
