from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from framepred.clips import ClipBatch
from framepred.data import MovingMNISTData
from framepred.errors import ConfigError
from framepred.models import BidirectionalForecaster, EncoderForecaster, load_restorer
from framepred.restorer import cut_middle
from framepred.training import ForecastTask, Gaps, RestoreTask, TeacherForcing, fit, make_trainer
from framepred.training.configuration import make_task


def small() -> BidirectionalForecaster:
    return BidirectionalForecaster(hidden_channels=4, mixing_channels=4, reach=1)


def task(**arguments: object) -> RestoreTask:
    made = RestoreTask(small(), **{"budget": 10, "loss": nn.MSELoss(), **arguments})
    made.log = made.log_dict = lambda *_, **__: None
    return made


@given(st.integers(2, 30), st.integers(1, 8), st.floats(0, 1), st.integers(0, 2**32))
def test_some_frames_are_missing_and_never_all(length: int, longest: int, thinned: float, seed: int) -> None:
    missing = Gaps(longest, thinned).draw(np.random.default_rng(seed), length)
    assert missing.shape == (length,)
    assert 0 < int(missing.sum()) < length


def test_gaps_come_anywhere_and_up_to_their_longest() -> None:
    random = np.random.default_rng(0)
    drawn = torch.stack([Gaps(longest=4, thinned=0).draw(random, 12) for _ in range(600)]).float()
    share = drawn.mean(dim=0)
    assert share.min() > 0.1
    assert share[5] > share[0]
    runs = {len(run) for row in drawn.int().tolist() for run in "".join(map(str, row)).split("0") if run}
    assert {1, 2, 3, 4} <= runs


def test_thinned_clips_keep_every_kth_frame() -> None:
    random = np.random.default_rng(0)
    for _ in range(40):
        seen = (~Gaps(thinned=1).draw(random, 20)).nonzero().flatten()
        assert len(seen.diff().unique()) == 1
        assert seen.diff()[0] in (2, 3, 4)


@pytest.mark.parametrize("arguments", [{"longest": 0}, {"thinned": -0.1}, {"thinned": 1.1}])
def test_gaps_outside_their_domain(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="longest gap"):
        Gaps(**arguments)


def test_the_gap_of_a_step_depends_on_seed_and_step_alone() -> None:
    batch = ClipBatch.cut(torch.rand(2, 12, 1, 8, 8), 9)
    restore, other = task(seed=3), task(seed=4)
    restore.gaps = other.gaps = Gaps(longest=3, thinned=0)
    seen: list[list[bool]] = []
    for learner in (restore, restore, other):
        learner.net.fill = lambda clip, missing: seen.append(missing.tolist()) or clip[:, missing]  # type: ignore
        torch.rand(5)
        learner.training_step(batch)
    assert seen[0] == seen[1] != seen[2]


def test_only_missing_frames_are_scored() -> None:
    clips = torch.rand(2, 12, 1, 8, 8)
    learner = task()
    learner.net.fill = lambda clip, missing: clip[:, missing] + 0.5  # type: ignore[method-assign]
    assert learner.training_step(ClipBatch.cut(clips, 9)).item() == pytest.approx(0.25)


def test_the_middle_is_cut_out() -> None:
    clips = torch.arange(7).view(1, 7, 1, 1, 1)
    context, target, _ = cut_middle(clips, 3)
    assert context.flatten().tolist() == [0, 1, 5, 6]
    assert target.flatten().tolist() == [2, 3, 4]


def test_networks_find_their_task() -> None:
    settings = {"budget": 1, "loss": nn.MSELoss()}
    assert type(make_task(EncoderForecaster(hidden_channels=[2]), **settings)) is ForecastTask
    assert type(make_task(small(), **settings)) is RestoreTask
    with pytest.raises(ConfigError, match=r"EncoderForecaster forecasts, so model.gaps has no meaning; leave it out"):
        make_task(EncoderForecaster(hidden_channels=[2]), gaps=Gaps(), **settings)
    with pytest.raises(ConfigError, match=r"restores missing frames, so model.teacher_forcing has no meaning"):
        make_task(small(), teacher_forcing=TeacherForcing(), **settings)


def test_a_run_leaves_weights_that_restore(tmp_path: Path) -> None:
    data = MovingMNISTData(5, 2, batch_size=2, val_clips=2, frame_size=(28, 30), digits="mnist-5k")
    learner = RestoreTask(small(), budget=2, loss=nn.MSELoss())
    trainer = make_trainer(tmp_path, 2, 2, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
    fit(trainer, learner, data)
    assert trainer.callback_metrics["val/mse"] > 0
    net = load_restorer(tmp_path / "checkpoints" / "best.ckpt")
    clip, missing = torch.rand(1, 4, 1, 28, 30), torch.tensor([False, True, False, False])
    assert torch.equal(net.restore(clip, missing), learner.net.eval().restore(clip, missing))


def test_a_run_with_other_gaps_is_not_resumed() -> None:
    checkpoint: dict[str, object] = {}
    task().on_save_checkpoint(checkpoint)
    task().on_load_checkpoint(checkpoint)
    with pytest.raises(ConfigError, match="follows the schedule"):
        task(gaps=Gaps(longest=2)).on_load_checkpoint(checkpoint)
    with pytest.raises(ConfigError, match=r"'gaps.class': 'framepred.Gaps'"):
        task(gaps=type("Gaps", (Gaps,), {})()).on_load_checkpoint(checkpoint)
