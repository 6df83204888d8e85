"""Skill: how much of the best baseline's error a forecaster takes away."""

from collections.abc import Mapping

from framepred.evaluation.protocols import Measures


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
