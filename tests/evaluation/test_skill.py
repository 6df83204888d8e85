import pytest

from framepred.evaluation import find_protocol, skill_scores

MEASURES = find_protocol("openstl").measures


def test_skill_is_against_the_best_baseline_of_each_error() -> None:
    values = {"mse": 44.0, "mae": 90.0, "psnr": 20.0, "ssim": 0.9}
    baselines = {
        "blank": {"mse": 176.0, "mae": 300.0, "psnr": 13.8, "ssim": 0.8},
        "last-frame": {"mse": 291.2, "mae": 200.0, "psnr": 11.7, "ssim": 0.6},
    }
    assert skill_scores(values, baselines, MEASURES) == pytest.approx({"mse": 0.75, "mae": 0.55})


def test_worse_than_the_baseline_is_negative() -> None:
    assert skill_scores({"mse": 3.0, "mae": 1.0}, {"blank": {"mse": 1.0, "mae": 1.0}}, MEASURES) == {
        "mse": -2,
        "mae": 0,
    }


def test_no_baseline_or_a_perfect_one_gives_no_skill() -> None:
    values = {"mse": 3.0, "mae": 1.0}
    assert skill_scores(values, {}, MEASURES) == {}
    assert skill_scores(values, {"blank": {"mse": 0.0, "mae": 2.0}}, MEASURES) == {"mae": 0.5}
