"""Scores of predictions: formulas, metrics, named protocols, results cards, comparisons, reports.

Names are imported when they are first used: predictions need only cards, and only ``ClipMetric`` needs torchmetrics,
which takes seconds to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framepred.evaluation.averages import ClipAverage, Score
    from framepred.evaluation.cards import Card, DataRecord, Interval, WeightsRecord
    from framepred.evaluation.collapse import PixelStatistics
    from framepred.evaluation.evidence import Evidence, Example
    from framepred.evaluation.formulas import (
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
    from framepred.evaluation.metrics import ClipMetric
    from framepred.evaluation.protocols import (
        PROTOCOLS,
        Measure,
        Protocol,
        ProtocolVersion,
        find_protocol,
        skill_scores,
    )
    from framepred.evaluation.run import evaluate, evaluate_together
    from framepred.evaluation.scorer import SavedPredictions

_MODULES = {
    "Card": "cards",
    "ClipAverage": "averages",
    "ClipMetric": "metrics",
    "DataRecord": "cards",
    "Evidence": "evidence",
    "Example": "evidence",
    "Interval": "cards",
    "Measure": "protocols",
    "PROTOCOLS": "protocols",
    "PixelStatistics": "collapse",
    "Protocol": "protocols",
    "ProtocolVersion": "protocols",
    "SavedPredictions": "scorer",
    "Score": "averages",
    "WeightsRecord": "cards",
    "evaluate": "run",
    "evaluate_together": "run",
    "find_protocol": "protocols",
    "frame_mae": "formulas",
    "frame_mae_predrnn": "formulas",
    "frame_mse": "formulas",
    "frame_mse_predrnn": "formulas",
    "frame_psnr": "formulas",
    "frame_psnr_predrnn": "formulas",
    "frame_ssim_openstl": "formulas",
    "frame_ssim_predrnn": "formulas",
    "frame_ssim_wang2004": "formulas",
    "skill_scores": "protocols",
}

__all__ = [
    "PROTOCOLS",
    "Card",
    "ClipAverage",
    "ClipMetric",
    "DataRecord",
    "Evidence",
    "Example",
    "Interval",
    "Measure",
    "PixelStatistics",
    "Protocol",
    "ProtocolVersion",
    "SavedPredictions",
    "Score",
    "WeightsRecord",
    "evaluate",
    "evaluate_together",
    "find_protocol",
    "frame_mae",
    "frame_mae_predrnn",
    "frame_mse",
    "frame_mse_predrnn",
    "frame_psnr",
    "frame_psnr_predrnn",
    "frame_ssim_openstl",
    "frame_ssim_predrnn",
    "frame_ssim_wang2004",
    "skill_scores",
]


def __getattr__(name: str) -> Any:
    """Import a public name of this package."""
    if name not in _MODULES:
        raise AttributeError(f"module 'framepred.evaluation' has no attribute {name!r}")
    return getattr(import_module(f"framepred.evaluation.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
