from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from framepred.errors import ClipError, ConfigError, DataError
from framepred.evaluation import ClipMetric, Score, frame_mse, frame_psnr

CLIPS = torch.rand(24, 3, 1, 4, 5, generator=torch.Generator().manual_seed(0))
TRUTH = torch.rand(24, 3, 1, 4, 5, generator=torch.Generator().manual_seed(1))
sizes = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def updated(metric: ClipMetric, batch_sizes: list[int]) -> ClipMetric:
    """Fed all 24 clips, in batches of these sizes over and over."""
    start = 0
    while start < len(CLIPS):
        for size in batch_sizes:
            if start < len(CLIPS):
                metric.update(CLIPS[start : start + size], TRUTH[start : start + size])
            start += size
    return metric


def assert_same(score: Score, expected: Score) -> None:
    for part, other in zip(score, expected, strict=True):
        np.testing.assert_allclose(part, other, rtol=1e-12)


def test_value_and_lead_times_by_hand() -> None:
    pred = torch.tensor([[1.0, 2.0], [3.0, 6.0]]).view(2, 2, 1, 1, 1)  # squared errors 1, 4; 9, 36
    metric = ClipMetric(frame_mse)
    metric.update(pred, torch.zeros_like(pred))
    score = metric.compute()
    assert score.value == 12.5
    assert score.lead_times == (5.0, 20.0)


def test_one_lead_time_is_still_a_sequence() -> None:
    metric = ClipMetric(frame_mse)
    metric.update(CLIPS[:, :1], TRUTH[:, :1])
    score = metric.compute()
    assert score.lead_times == (score.value,)


@given(batch_sizes=sizes)
def test_any_split_into_batches_gives_the_same_score(batch_sizes: list[int]) -> None:
    assert_same(updated(ClipMetric(frame_mse), batch_sizes).compute(), updated(ClipMetric(frame_mse), [24]).compute())


@pytest.mark.parametrize("batch_sizes", [[1], [2], [5, 3], [24]])
def test_a_clip_without_a_value_keeps_its_number(batch_sizes: list[int]) -> None:
    truth = TRUTH.clone()
    truth[[0, 5, 6, 14]] = torch.nan
    numbered, counting = ClipMetric(frame_mse), ClipMetric(frame_mse)
    numbered.update(CLIPS, truth, range(24))
    counting.update(CLIPS[:3], truth[:3])
    counting.reset()
    start = 0
    for size in batch_sizes * (24 // sum(batch_sizes)):
        counting.update(CLIPS[start : start + size], truth[start : start + size])
        start += size
    assert_same(counting.compute(), numbered.compute())


def test_calling_the_metric_batch_by_batch_gives_the_same_score() -> None:
    metric = ClipMetric(frame_mse)
    for pred, target in zip(CLIPS.split(7), TRUTH.split(7), strict=True):
        assert metric(pred, target).value == pytest.approx(frame_mse(pred, target).mean().item())
    assert_same(metric.compute(), updated(ClipMetric(frame_mse), [24]).compute())


def test_each_lead_time_has_its_own_interval() -> None:
    score = updated(ClipMetric(frame_mse), [24]).compute()
    for time, (low, high) in enumerate(score.lead_intervals):
        alone = ClipMetric(frame_mse)
        alone.update(CLIPS[:, time : time + 1], TRUTH[:, time : time + 1])
        assert (low, high) == pytest.approx((alone.compute().low, alone.compute().high), rel=1e-12)


def test_a_formula_may_give_one_value_per_clip() -> None:
    """Error of the change from frame to frame, which belongs to no lead time."""

    def change_error(pred: Tensor, target: Tensor) -> Tensor:
        return (pred.diff(dim=1) - target.diff(dim=1)).square().mean(dim=(1, 2, 3, 4))

    score = updated(ClipMetric(change_error), [5]).compute()
    assert score.value == pytest.approx(change_error(CLIPS, TRUTH).mean().item())
    assert score.low < score.value < score.high
    assert score.lead_times == score.lead_intervals == ()


def test_the_interval_is_that_of_drawing_clips_again() -> None:
    generator = torch.Generator().manual_seed(2)
    errors = torch.rand(400, 2, 1, 1, 1, generator=generator).square()
    metric = ClipMetric(frame_mse)
    metric.update(errors.sqrt(), torch.zeros_like(errors))
    score = metric.compute()
    per_clip = errors.mean(dim=(1, 2, 3, 4))
    half_width = 1.96 * per_clip.std().item() / 400**0.5
    assert score.low < score.value < score.high
    assert score.high - score.value == pytest.approx(half_width, rel=0.15)
    assert score.value - score.low == pytest.approx(half_width, rel=0.15)


def test_one_clip_is_its_own_interval() -> None:
    metric = ClipMetric(frame_psnr)
    metric.update(CLIPS[:1], TRUTH[:1])
    value, low, high, *_ = metric.compute()
    assert low == pytest.approx(value, rel=1e-12)
    assert high == pytest.approx(value, rel=1e-12)


def test_clips_that_are_alike_leave_no_doubt() -> None:
    metric = ClipMetric(frame_mse)
    metric.update(CLIPS[:1].expand(9, -1, -1, -1, -1), TRUTH[:1].expand(9, -1, -1, -1, -1))
    value, low, high, *_ = metric.compute()
    assert low == pytest.approx(value, rel=1e-12)
    assert high == pytest.approx(value, rel=1e-12)


def test_the_seed_moves_the_interval_and_nothing_else() -> None:
    first, second = (updated(ClipMetric(frame_mse, seed=seed), [24]).compute() for seed in (0, 1))
    assert (first.value, first.lead_times) == (second.value, second.lead_times)
    assert (first.low, first.high) != (second.low, second.high)


def test_memory_does_not_grow() -> None:
    def size(metric: ClipMetric) -> int:
        states = [value for value in vars(metric).values() if isinstance(value, Tensor)]
        lists = [value for value in vars(metric).values() if isinstance(value, list)]
        return sum(state.numel() for state in states) + sum(map(len, lists))

    metric = updated(ClipMetric(frame_mse), [1])
    once = size(metric)
    for _ in range(3):
        updated(metric, [1])
    assert metric.clips == 96
    assert size(metric) == once > 2000


def test_sums_hold_many_clips_in_float64() -> None:
    metric = ClipMetric(frame_mse)
    metric.update(CLIPS, TRUTH)
    for state in (metric.frame_sums, metric.replicate_sums, metric.replicate_clips):
        assert state.dtype == torch.float64


def gathered(other: ClipMetric) -> Callable[..., list[Tensor]]:
    """What two processes gather: own state and, in the order of registration, the other's."""
    states = iter(other.metric_state.values())
    return lambda state, group=None: [state, next(states)]


def test_two_processes_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    halves = []
    for rank in (0, 1):
        with monkeypatch.context() as patch:
            patch.setattr(torch.distributed, "is_initialized", lambda: True)
            patch.setattr(torch.distributed, "get_world_size", lambda: 2)
            patch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
            halves.append(ClipMetric(frame_mse))
            for batch in (slice(rank, 9, 2), slice(9 + (9 + rank) % 2, 23, 2)):  # 23 clips: one process has one more
                halves[-1].update(CLIPS[batch], TRUTH[batch])
    first, second = halves
    alone = ClipMetric(frame_mse)
    alone.update(CLIPS[:23], TRUTH[:23])
    first.dist_sync_fn, first.distributed_available_fn = gathered(second), lambda: True
    assert_same(first.compute(), alone.compute())
    assert first.clips == 12  # its own again


def test_the_horizon_is_that_of_the_first_clips() -> None:
    metric = ClipMetric(frame_mse)
    metric.update(CLIPS, TRUTH)
    with pytest.raises(ClipError, match=r"3 lead times but got clips of 2 frames"):
        metric.update(CLIPS[:, :2], TRUTH[:, :2])
    metric.reset()
    metric.update(CLIPS[:, :2], TRUTH[:, :2])
    assert len(metric.compute().lead_times) == 2


def test_the_horizon_can_be_given() -> None:
    with pytest.raises(ClipError, match=r"2 lead times but got clips of 3 frames"):
        ClipMetric(frame_mse, horizon=2).update(CLIPS, TRUTH)


@pytest.mark.parametrize("wrong", [{"replicates": 0}, {"seed": -1}, {"horizon": 0}])
def test_arguments_have_domains(wrong: dict[str, Any]) -> None:
    name, value = next(iter(wrong.items()))
    with pytest.raises(ConfigError, match=f"{name} {value}"):
        ClipMetric(frame_mse, **wrong)


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_no_clip_has_no_value() -> None:
    with pytest.raises(DataError, match="no clip with measured pixels to score"):
        ClipMetric(frame_mse).compute()
