"""Named protocols: which formula a metric's name stands for.

Papers mean different things by "SSIM"; a number is worth nothing without the name of its protocol.
"""

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
