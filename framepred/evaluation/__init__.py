"""How good predictions are: formulas, metrics, named protocols, results cards."""

from framepred.evaluation.cards import Card, DataRecord, Interval, WeightsRecord
from framepred.evaluation.evaluate import evaluate
from framepred.evaluation.formulas import (
    frame_mae,
    frame_mse,
    frame_psnr,
    frame_ssim_openstl,
    frame_ssim_wang2004,
)
from framepred.evaluation.metrics import FrameMetric, Score
from framepred.evaluation.protocols import PROTOCOLS, Measure, find_protocol, skill_scores

__all__ = [
    "PROTOCOLS",
    "Card",
    "DataRecord",
    "FrameMetric",
    "Interval",
    "Measure",
    "Score",
    "WeightsRecord",
    "evaluate",
    "find_protocol",
    "frame_mae",
    "frame_mse",
    "frame_psnr",
    "frame_ssim_openstl",
    "frame_ssim_wang2004",
    "skill_scores",
]
