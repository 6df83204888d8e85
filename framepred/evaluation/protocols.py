"""Named, versioned protocols: which formula each metric name stands for, and skill against baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from framepred.errors import ConfigError
from framepred.evaluation.formulas import (
    OPENSTL,
    PREDRNN,
    WANG2004,
    ClipFormula,
    frame_mae,
    frame_mae_predrnn,
    frame_mse,
    frame_mse_predrnn,
    frame_psnr,
    frame_psnr_predrnn,
    frame_ssim_openstl,
    frame_ssim_predrnn,
    frame_ssim_wang2004,
)


class Measure(NamedTuple):
    """A metric of a protocol: its formula, and how to read its values.

    Attributes:
        formula: gives one value per frame, ``(b, t)``, or one value per clip, ``(b,)``.
        higher_is_better: whether a larger value is a better one.
        unit: such as dB.
        summed: whether a value is a sum over the pixels of a frame.
        min_side: smallest height and width of a frame that the formula takes, in pixels.
    """

    formula: ClipFormula
    higher_is_better: bool
    unit: str = ""
    summed: bool = False
    min_side: int = 1


Measures: TypeAlias = Mapping[str, Measure]


class ProtocolVersion(NamedTuple):
    """The name and the version of a protocol, as a card records them."""

    name: str
    version: int = 1

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


@dataclass(frozen=True)
class Protocol:
    """A named set of metrics. A change of any formula that changes a value gets a new version.

    Attributes:
        name: such as ``openstl``.
        version: of the formulas, 1 at first.
        measures: the metrics by name.
        description: how the metrics are computed, in a sentence.
        source: paper or program that the formulas follow.

    Raises:
        ConfigError: if there is no metric ``mse``, by which checkpoints are chosen and collapsed predictions found.
    """

    name: str
    version: int
    measures: Measures
    description: str
    source: str

    def __post_init__(self) -> None:
        if "mse" not in self.measures:
            raise ConfigError(f"The protocol {self.name} has no metric mse, which training and reports need; add it.")

    @property
    def id(self) -> ProtocolVersion:
        """Name and version."""
        return ProtocolVersion(self.name, self.version)


OPTIONAL = ("lpips", "lpips_raw")
"""Metrics that may be measured beside those of a protocol; a smaller value is better."""

_PIXEL_METRICS: dict[str, Measure] = {
    "mse": Measure(frame_mse, higher_is_better=False, summed=True),
    "mae": Measure(frame_mae, higher_is_better=False, summed=True),
    "psnr": Measure(frame_psnr, higher_is_better=True, unit="dB"),
}

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "openstl",
            1,
            {**_PIXEL_METRICS, "ssim": Measure(frame_ssim_openstl, higher_is_better=True, min_side=OPENSTL.side)},
            "MSE and MAE are sums over the pixels of a frame, not clipped; SSIM has a 7×7 uniform window and the data "
            "range 2.",
            "OpenSTL, Tan et al. 2023, arXiv:2306.11249",
        ),
        Protocol(
            "predrnn",
            1,
            {
                "mse": Measure(frame_mse_predrnn, higher_is_better=False, summed=True),
                "mae": Measure(frame_mae_predrnn, higher_is_better=False, summed=True),
                "psnr": Measure(frame_psnr_predrnn, higher_is_better=True, unit="dB"),
                "ssim": Measure(frame_ssim_predrnn, higher_is_better=True, min_side=PREDRNN.side),
            },
            "Predictions are clipped for every metric; PSNR and SSIM are computed on frames truncated to 8 bits, SSIM "
            "with a 7×7 uniform window and the data range 255.",
            "PredRNN, Wang et al. 2017, core/trainer.py of github.com/thuml/predrnn-pytorch",
        ),
        Protocol(
            "wang2004",
            1,
            {**_PIXEL_METRICS, "ssim": Measure(frame_ssim_wang2004, higher_is_better=True, min_side=WANG2004.side)},
            "As openstl, but SSIM is the original: 11×11 Gaussian window of σ 1.5, data range 1.",
            "Wang et al. 2004, doi:10.1109/TIP.2003.819861",
        ),
    )
}


def find_protocol(name: str | ProtocolVersion) -> Protocol:
    """The protocol of a name, or of a name and version.

    Raises:
        ConfigError: if there is no protocol of this name, or only another version of it.

    >>> find_protocol("openstl").measures["psnr"].unit
    'dB'
    """
    if isinstance(name, str):
        wanted = ProtocolVersion(name, PROTOCOLS[name].version if name in PROTOCOLS else 1)
    else:
        wanted = name
    if wanted.name not in PROTOCOLS:
        raise ConfigError(f"There is no protocol {wanted.name!r}; choose one of {', '.join(PROTOCOLS)}.")
    protocol = PROTOCOLS[wanted.name]
    if wanted.version != protocol.version:
        raise ConfigError(
            f"This version of framepred has the protocol {protocol.id}, not {wanted}; evaluate again with one version."
        )
    return protocol


def skill_scores(
    values: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]], measures: Measures
) -> dict[str, float]:
    """``1 − error / lowest baseline error`` of each metric: 1 is perfect, 0 equals the best baseline (Murphy 1988).

    Only errors, where less is better and 0 is perfect, have a skill; ratios of dB or of SSIM have no meaning. A metric
    is left out where there is no baseline or the best one makes no error.

    Args:
        values: the forecaster's metrics by name.
        baselines: each baseline's metrics by name.
        measures: the protocol's metrics by name.
    """
    lower_is_better = [name for name, measure in measures.items() if not measure.higher_is_better]
    best = {name: min((scores[name] for scores in baselines.values()), default=0.0) for name in lower_is_better}
    return {name: 1 - values[name] / best[name] for name in lower_is_better if best[name] > 0}
