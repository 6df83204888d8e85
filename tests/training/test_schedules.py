import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framepred.errors import ConfigError
from framepred.training import Curriculum, TeacherForcing
from framepred.training.schedules import WarmupCosine, learning_rate_factor


def test_teacher_forcing_fades_in_a_straight_line() -> None:
    forcing = TeacherForcing(start=0.8, fade=0.5)
    assert [forcing.probability(step, 100) for step in (0, 25, 50, 99)] == pytest.approx([0.8, 0.4, 0, 0])


def test_without_fade_there_is_no_teacher() -> None:
    assert TeacherForcing(fade=0.0).probability(0, 100) == 0


@pytest.mark.parametrize("arguments", [{"start": 1.1}, {"start": -0.1}, {"fade": 2.0}])
def test_probabilities_outside_their_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"lie in \[0, 1\]"):
        TeacherForcing(**arguments)


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    factors = [learning_rate_factor(step, 110, 10) for step in (0, 9, 10, 60, 110)]
    assert factors == pytest.approx([1 / 11, 10 / 11, 1, 0.5, 0])


def test_a_resumed_schedule_takes_the_rate_of_its_own_budget_at_once() -> None:
    def schedule(budget: int) -> tuple[torch.optim.Optimizer, WarmupCosine]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        scheduler = WarmupCosine(optimizer, warmup=10)
        scheduler.budget = budget
        return optimizer, scheduler

    optimizer, scheduler = schedule(100)
    for _ in range(60):
        optimizer.step()
        scheduler.step()
    for budget in (100, 400):
        resumed, continued = schedule(budget)
        resumed.load_state_dict(optimizer.state_dict())
        continued.load_state_dict(scheduler.state_dict())
        expected = 0.1 * learning_rate_factor(60, budget, 10)
        assert resumed.param_groups[0]["lr"] == continued.get_last_lr()[0] == expected


@given(st.integers(0, 400), st.integers(1, 300), st.integers(0, 400))
def test_factors_are_factors(step: int, budget: int, warmup: int) -> None:
    assert 0 <= learning_rate_factor(step, budget, warmup) <= 1
    assert 0 <= TeacherForcing().probability(step, budget) <= 1
    assert 0 < Curriculum(0.3, 0.6).share(step, budget) <= 1


def test_a_curriculum_grows_in_a_straight_line_to_whole_clips() -> None:
    curriculum = Curriculum(start=0.2, grow=0.5)
    assert [curriculum.share(step, 100) for step in (0, 25, 50, 99)] == pytest.approx([0.2, 0.6, 1, 1])


def test_without_a_curriculum_clips_are_whole() -> None:
    assert Curriculum().share(0, 100) == 1


@pytest.mark.parametrize("arguments", [{"start": 0.0}, {"start": 1.1}, {"grow": -0.1}])
def test_a_curriculum_outside_its_range_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="curriculum's start lies in"):
        Curriculum(**arguments)
