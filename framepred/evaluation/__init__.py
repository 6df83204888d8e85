"""Scores of predictions: formulas, metrics, named protocols, results cards, comparisons, reports.

What needs torchmetrics, whose import takes seconds, is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

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
from framepred.evaluation.protocols import (
    PROTOCOLS,
    Measure,
    Protocol,
    ProtocolVersion,
    find_protocol,
    skill_scores,
)

if TYPE_CHECKING:
    from framepred.evaluation.evaluate import evaluate, evaluate_together
    from framepred.evaluation.metrics import ClipMetric, Score
    from framepred.evaluation.scorer import SavedPredictions

__all__ = [
    "PROTOCOLS",
    "Card",
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
    """Import what needs torchmetrics, all at once: importing the module ``evaluate`` alone would hide its function."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from framepred.evaluation.evaluate import evaluate, evaluate_together
    from framepred.evaluation.metrics import ClipMetric, Score
    from framepred.evaluation.scorer import SavedPredictions

    globals().update(
        evaluate=evaluate,
        evaluate_together=evaluate_together,
        ClipMetric=ClipMetric,
        Score=Score,
        SavedPredictions=SavedPredictions,
    )
    return globals()[name]
