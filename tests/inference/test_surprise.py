import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framepred.errors import ConfigError
from framepred.inference.surprise import MIN_DEVIATION, MIN_ERRORS, Alarm, Surprise

errors = st.lists(st.floats(0, 1), min_size=MIN_ERRORS, max_size=30)


def judged(values: list[float], window: int = 256) -> list[float | None]:
    surprise = Surprise(window)
    return [surprise.judge(value) for value in values]


@given(errors, st.floats(0, 1))
def test_it_is_the_distance_from_the_median_in_robust_standard_deviations(before: list[float], error: float) -> None:
    usual = np.median(before)
    spread = max(1.4826 * np.median(np.abs(np.array(before) - usual)), 0.05 * usual, MIN_DEVIATION)
    assert judged([*before, error])[-1] == pytest.approx((error - usual) / spread, rel=1e-6, abs=1e-6)


def test_of_normal_errors_it_is_a_z_score() -> None:
    scores = judged(np.random.default_rng(0).normal(0.5, 0.05, 4000).tolist())[256:]
    assert statistics.mean(scores) == pytest.approx(0, abs=0.1)
    assert statistics.stdev(scores) == pytest.approx(1, abs=0.1)


def test_few_errors_say_nothing() -> None:
    assert judged([0.5] * (MIN_ERRORS + 1)) == [None] * MIN_ERRORS + [0]


def test_a_picture_that_stands_still_does_not_turn_rounding_into_surprise() -> None:
    assert judged([0.0] * 50 + [MIN_DEVIATION])[-1] == pytest.approx(1)


def test_an_error_that_hardly_varies_does_not_turn_drift_into_surprise() -> None:
    assert max(judged(np.linspace(0.06, 0.065, 60).tolist())[MIN_ERRORS:]) < 2


def test_outliers_do_not_hide_one_another() -> None:
    regular = np.random.default_rng(0).normal(0.1, 0.01, 60).tolist()
    assert min(judged([*regular, *[0.5] * 25])[-25:]) > 10


@given(errors)
def test_only_the_window_counts(before: list[float]) -> None:
    assert judged([0.9] * 40 + before + [0.3], window=len(before))[-1] == judged([*before, 0.3])[-1]


def test_what_is_forgotten_does_not_count() -> None:
    surprise = Surprise()
    for _ in range(20):
        surprise.judge(0.9)
    surprise.reset()
    assert [surprise.judge(0.1) for _ in range(MIN_ERRORS + 1)] == [None] * MIN_ERRORS + [0]


def test_a_window_too_small_to_judge_by() -> None:
    with pytest.raises(ConfigError, match="at least 10 frames, not 3"):
        Surprise(window=3)


def test_the_alarm_triggers_when_surprise_exceeds_it_and_not_while_it_stays_above() -> None:
    alarm = Alarm(4)
    triggered = [alarm.triggers(surprise) for surprise in (None, 3.9, 4, 4.1, 9, 3, 5, None, 5)]
    assert [index for index, triggers in enumerate(triggered) if triggers] == [3, 6, 8]


@pytest.mark.parametrize("threshold", [0, -1, float("nan"), float("inf")])
def test_an_alarm_needs_a_positive_number(threshold: float) -> None:
    with pytest.raises(ConfigError, match=f"must be a positive number, not {threshold:g}"):
        Alarm(threshold)
