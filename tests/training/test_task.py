from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR

from framepred.clips import ClipBatch, State
from framepred.errors import ConfigError
from framepred.evaluation import DataRecord, evaluate
from framepred.models import EncoderForecaster
from framepred.training import Curriculum, ForecastTask, TeacherForcing, WarmupCosine
from framepred.training.optimizers import Muon
from framepred.training.rollout import Predicted, predict_every_frame


def make_task(net: EncoderForecaster, **arguments: object) -> ForecastTask:
    return ForecastTask(net, **{"budget": 10, "loss": nn.MSELoss(), **arguments})


def test_uint8_and_float_clips_train_alike(small_net: EncoderForecaster) -> None:
    pixels = torch.randint(0, 256, (1, 4, 1, 8, 8), dtype=torch.uint8)
    task = make_task(small_net)
    task.log = task.log_dict = lambda *_, **__: None
    losses = [task.training_step(ClipBatch.cut(clips, 2)) for clips in (pixels, pixels.float() / 255)]
    assert torch.equal(*losses)


class WithAuxiliaryLoss(EncoderForecaster):
    """A network with an auxiliary loss of 2."""

    def auxiliary_loss(self, state: State, frame: torch.Tensor) -> torch.Tensor:
        return state[0].new_tensor(2.0)


@pytest.mark.parametrize("tbptt_steps", [None, 3])
def test_the_auxiliary_loss_is_added_with_its_weight(tbptt_steps: int | None) -> None:
    torch.manual_seed(0)
    net, clips = WithAuxiliaryLoss(hidden_channels=[4], kernel_size=3), torch.rand(2, 6, 1, 8, 8)
    losses = []
    for weight in (0.0, 0.5):
        task = make_task(net, auxiliary_weight=weight, teacher_forcing=TeacherForcing(0.0), tbptt_steps=tbptt_steps)
        task.log = task.log_dict = lambda *_, **__: None
        losses.append(task.training_step(ClipBatch.cut(clips, 3)).detach())
    torch.testing.assert_close(losses[1] - losses[0], torch.tensor(1.0))


def test_a_negative_auxiliary_weight_is_refused(small_net: EncoderForecaster) -> None:
    with pytest.raises(ConfigError, match="auxiliary_weight must be at least 0"):
        make_task(small_net, auxiliary_weight=-0.1)


def test_a_checkpoint_of_another_schedule_is_refused(small_net: EncoderForecaster) -> None:
    checkpoint: dict[str, object] = {}
    make_task(small_net).on_save_checkpoint(checkpoint)
    make_task(small_net).on_load_checkpoint(checkpoint)
    schedules = {"teacher_forcing": TeacherForcing(fade=0.4), "curriculum": Curriculum(grow=0.4)}
    for changed in (
        {"seed": 1},
        {"protocol": "predrnn"},
        {"tbptt_steps": 4},
        *({name: schedules[name]} for name in schedules),
    ):
        with pytest.raises(ConfigError, match="follows the schedule"):
            make_task(small_net, **changed).on_load_checkpoint(checkpoint)


COURSES = [
    {"optimizer": partial(torch.optim.AdamW, lr=1e-5)},
    {"optimizer": partial(torch.optim.AdamW, weight_decay=0.5)},
    {"optimizer": torch.optim.Adam},
    {"optimizer": partial(Muon, kernel_lr=0.1)},
    {"lr_scheduler": partial(WarmupCosine, warmup=7)},
    {"lr_scheduler": partial(MultiStepLR, milestones=[3])},
    {"lr_scheduler": partial(MultiStepLR, milestones=[3, 6])},
    {"loss": nn.L1Loss()},
    {"loss": nn.SmoothL1Loss(beta=0.5)},
    {"loss": nn.SmoothL1Loss(beta=0.25)},
    {"loss": nn.Sequential(nn.SmoothL1Loss(beta=0.25))},
    {"auxiliary_weight": 0.1},
]


def test_a_checkpoint_of_another_course_is_refused(tmp_path: Path, small_net: EncoderForecaster) -> None:
    """Nothing that decides the course of a run changes silently when it is resumed; nothing is refused otherwise."""
    for number, course in enumerate(COURSES):
        checkpoint: dict[str, object] = {}
        make_task(small_net, **course).on_save_checkpoint(checkpoint)
        torch.save(checkpoint, tmp_path / "saved.ckpt")
        checkpoint = torch.load(tmp_path / "saved.ckpt", weights_only=True)
        make_task(small_net, **course, budget=20).on_load_checkpoint(checkpoint)
        for other, changed in enumerate([*COURSES, {}]):
            if other != number:
                with pytest.raises(ConfigError, match=r"follows the schedule .* with --weights instead of --ckpt_path"):
                    make_task(small_net, **changed).on_load_checkpoint(checkpoint)


@pytest.mark.parametrize("part", ["net", "loss", "optimizer", "lr_scheduler", "curriculum", "teacher_forcing"])
def test_a_class_of_the_same_name_is_another_one(part: str) -> None:
    kinds: dict[str, type] = {
        "net": EncoderForecaster, "loss": nn.MSELoss, "optimizer": torch.optim.AdamW, "lr_scheduler": WarmupCosine,
        "curriculum": Curriculum, "teacher_forcing": TeacherForcing,
    }  # fmt: skip

    def make(kinds: dict[str, Any]) -> ForecastTask:
        net, *parts = (kinds[name] for name in ("net", "loss", "curriculum", "teacher_forcing"))
        loss, curriculum, teacher_forcing = (kind() for kind in parts)
        of_task = {"optimizer": kinds["optimizer"], "lr_scheduler": kinds["lr_scheduler"], "curriculum": curriculum}
        return ForecastTask(net(1, [4], 3), 10, loss, **of_task, teacher_forcing=teacher_forcing)

    checkpoint: dict[str, Any] = {}
    make(kinds).on_save_checkpoint(checkpoint)
    other = make(kinds | {part: type(kinds[part].__name__, (kinds[part],), {"__module__": "mine"})})
    with pytest.raises(ConfigError, match=rf"{{'{part}.class': .*'{part}.class': 'mine.{kinds[part].__name__}'}}"):
        other.on_load_checkpoint(checkpoint)
    checkpoint["course"] = {name: value for name, value in checkpoint["course"].items() if ".class" not in name}
    other.on_load_checkpoint(checkpoint)  # earlier versions did not know


def test_what_decides_no_course_may_change(small_net: EncoderForecaster) -> None:
    checkpoint: dict[str, Any] = {}
    make_task(small_net).on_save_checkpoint(checkpoint)
    make_task(small_net, optimizer=partial(torch.optim.AdamW, foreach=True)).on_load_checkpoint(checkpoint)
    del checkpoint["course"]["auxiliary_weight"]  # as if an earlier version did not know it
    make_task(small_net, auxiliary_weight=0.5).on_load_checkpoint(checkpoint)
    del checkpoint["course"]  # as before framepred noted it
    make_task(small_net, loss=nn.L1Loss()).on_load_checkpoint(checkpoint)


def test_a_checkpoint_of_a_network_with_other_settings_is_refused() -> None:
    checkpoint: dict[str, Any] = {}
    make_task(EncoderForecaster(hidden_channels=[4], kernel_size=3)).on_save_checkpoint(checkpoint)
    with pytest.raises(ConfigError, match=r"'net.hidden_channels': \[4\].* asks for .*'net.hidden_channels': \[5\]"):
        make_task(EncoderForecaster(hidden_channels=[5], kernel_size=3)).on_load_checkpoint(checkpoint)


def test_a_budget_is_needed(small_net: EncoderForecaster) -> None:
    with pytest.raises(ConfigError, match="set max_steps"):
        make_task(small_net, budget=-1)


def test_training_draws_the_length_of_the_context(small_net: EncoderForecaster) -> None:
    """Every length from the shortest to that of the data occurs, the horizon stays, and a step is repeatable."""
    batch = ClipBatch.cut(torch.rand(2, 9, 1, 8, 8), 6)
    lengths = set()
    for seed in range(40):
        drawn = make_task(small_net, shortest_context=3, seed=seed).shorten(batch)
        again = make_task(small_net, shortest_context=3, seed=seed).shorten(batch)
        assert torch.equal(drawn.clips, batch.clips[:, : drawn.context.shape[1] + 3])
        assert (drawn.target.shape[1], again.context.shape) == (3, drawn.context.shape)
        lengths.add(drawn.context.shape[1])
    assert lengths == {3, 4, 5, 6}
    with pytest.raises(ConfigError, match="shortest_context must be at least 1"):
        make_task(small_net, shortest_context=0)


def test_half_of_the_steps_begin_after_a_stream(small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream plays the first half of the context back and forth; what follows it is learned from that state."""
    net = small_net
    clips = torch.rand(1, 9, 1, 8, 8)
    begun = []

    def keep(*arguments: Any) -> Predicted:
        begun.append(arguments)
        return predict_every_frame(*arguments)

    monkeypatch.setattr("framepred.training.forecast_task.predict_every_frame", keep)
    for seed in range(20):
        task = make_task(net, burn_in=5, seed=seed)
        task.log = task.log_dict = lambda *_, **__: None
        task.training_step(ClipBatch.cut(clips, 6))
    streams = []
    for length in range(1, 6):
        state = None
        for index in [2, 1, 0, 1, 2][-length:]:
            state = net.observe(clips[:, index], state)
        streams.append(state)
    after = [call for call in begun if call[4] is not None]
    assert 3 < len(after) < 17
    for _, learned, context, teacher, state, _ in after:
        assert torch.equal(learned, clips[:, 3:])
        assert (context, teacher.shape[1]) == (3, 6)
        assert any(all(map(torch.equal, state, stream)) for stream in streams)
    for _, learned, context, *_ in (call for call in begun if call[4] is None):
        assert torch.equal(learned, clips)
        assert context == 6
    with pytest.raises(ConfigError, match="burn_in is a number of frames of at least 0"):
        make_task(net, burn_in=5, tbptt_steps=3)


@pytest.mark.parametrize(("share", "frames", "context"), [(0.01, 2, 1), (0.3, 3, 2), (0.5, 5, 3), (1.0, 10, 6)])
def test_training_sees_the_beginning_of_each_clip(
    small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch, share: float, frames: int, context: int
) -> None:
    seen: list[tuple[torch.Tensor, int]] = []

    def observe(net: object, clips: torch.Tensor, context: int, *_: object) -> Predicted:
        seen.append((clips, context))
        return Predicted(clips[:, 1:].clone().requires_grad_(), torch.zeros(()))

    monkeypatch.setattr("framepred.training.forecast_task.predict_every_frame", observe)
    task = make_task(small_net, curriculum=Curriculum(start=share, grow=1.0))
    task.log = task.log_dict = lambda *_, **__: None
    clips = torch.rand(2, 10, 1, 8, 8)
    task.training_step(ClipBatch.cut(clips, 6))
    assert torch.equal(seen[0][0], clips[:, :frames])
    assert seen[0][1] == context


def test_the_optimizer_gets_its_schedule_and_the_schedule_its_budget(small_net: EncoderForecaster) -> None:
    made = make_task(small_net, budget=110, lr_scheduler=partial(WarmupCosine, warmup=10)).configure_optimizers()
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(110):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    factors = [rates[step] / 1e-3 for step in (0, 9, 10, 60)]
    assert factors == pytest.approx([1 / 11, 10 / 11, 1, 0.5])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0)


def test_schedulers_of_pytorch_can_be_used(small_net: EncoderForecaster) -> None:
    made = make_task(small_net, lr_scheduler=partial(torch.optim.lr_scheduler.StepLR, step_size=5))
    assert isinstance(made.configure_optimizers()["lr_scheduler"]["scheduler"], torch.optim.lr_scheduler.StepLR)


def test_a_resumed_schedule_keeps_its_warmup_and_takes_the_new_budget() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    schedules = [WarmupCosine(torch.optim.SGD([parameter], lr=1.0), warmup) for warmup in (3, 3, 4)]
    schedules[0].budget, schedules[1].budget = 10, 20
    state = schedules[0].state_dict()
    schedules[1].load_state_dict(state)
    assert schedules[1].budget == 20
    with pytest.raises(ConfigError, match="warm-up of 3 steps and this run asks for 4"):
        schedules[2].load_state_dict(state)


@pytest.mark.parametrize("arguments", [{"lr": -1.0}, {"nosuch": 1}])
def test_wrong_arguments_of_the_optimizer_are_one_sentence(
    small_net: EncoderForecaster, arguments: dict[str, float]
) -> None:
    task = make_task(small_net, optimizer=partial(torch.optim.AdamW, **arguments))
    with pytest.raises(ConfigError, match=r"The optimizer or its scheduler cannot be made: "):
        task.configure_optimizers()


def test_a_raised_budget_is_accepted_and_noted(small_net: EncoderForecaster) -> None:
    checkpoint: dict[str, object] = {}
    make_task(small_net).on_save_checkpoint(checkpoint)
    longer = make_task(small_net, budget=20)
    longer.on_load_checkpoint(checkpoint)
    assert longer.previous_budget == 10


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_step_runs_in_the_precision_of_the_network(small_net: EncoderForecaster, dtype: torch.dtype) -> None:
    clips = torch.randint(0, 256, (1, 6, 1, 8, 8), dtype=torch.uint8)
    for tbptt_steps in (None, 2):
        task = make_task(small_net, tbptt_steps=tbptt_steps).to(dtype)
        task.log = task.log_dict = lambda *_, **__: None
        assert task.training_step(ClipBatch.cut(clips, 3)).dtype == dtype
    task.validation_step(ClipBatch.cut(clips, 3))
    task.on_validation_epoch_end()
    assert task.val_score.metrics["mse"].value > 0


def validated(task: ForecastTask, *parts: torch.Tensor) -> dict[str, float]:
    """What a validation of these clips logs, three context frames each."""
    logged: dict[str, float] = {}
    task.log = lambda name, value, **_: logged.update({name: value})
    task.on_validation_epoch_start()
    for part in parts:
        task.validation_step(ClipBatch.cut(part, 3))
    task.on_validation_epoch_end()
    return logged


@pytest.mark.parametrize("protocol", ["openstl", "predrnn", "wang2004"])
def test_validation_measures_as_evaluation_does_in_any_batches(small_net: EncoderForecaster, protocol: str) -> None:
    clips = torch.rand(5, 6, 1, 16, 16)
    logged = validated(make_task(small_net.eval(), protocol=protocol), clips[:3], clips[3:], clips[:0])
    card = evaluate(small_net, [ClipBatch.cut(clips, 3)], protocol=protocol, data=DataRecord("noise"))
    expected = {f"val/{name}": metric.value for name, metric in card.metrics.items()}
    assert logged == pytest.approx(expected, rel=1e-5)


def test_frames_smaller_than_the_window_of_ssim_are_validated_without_it(small_net: EncoderForecaster) -> None:
    task = make_task(small_net.eval())
    assert sorted(validated(task, torch.rand(2, 6, 1, 5, 6))) == ["val/mae", "val/mse", "val/psnr"]


def test_an_unknown_protocol_is_refused(small_net: EncoderForecaster) -> None:
    with pytest.raises(ConfigError, match="no protocol 'nosuch'; choose one of openstl"):
        make_task(small_net, protocol="nosuch")


@pytest.mark.parametrize(("value", "sentence"), [(torch.nan, "NaN or infinite"), (0.0, "predictions are blank")])
def test_validation_says_that_predictions_have_collapsed(
    small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch, value: float, sentence: str
) -> None:
    monkeypatch.setattr(small_net, "forward", lambda context, horizon: torch.full_like(context[:, :horizon], value))
    task = make_task(small_net)
    validated(task, torch.rand(2, 6, 1, 8, 8))
    assert sentence in task.val_score.note
    assert "Likely causes" in task.val_score.note
    validated(task)
    assert task.val_score is None


@pytest.mark.parametrize(("side", "line"), [(8, "val/mse"), (80, "psnr dB")])
def test_a_validation_is_a_line_that_films_begin_with_psnr(small_net: EncoderForecaster, side: int, line: str) -> None:
    task = make_task(small_net.eval())
    validated(task, torch.rand(2, 6, 1, side, side))
    assert task.val_score.summary.startswith(line)
    assert "mse" in task.val_score.summary
    assert task.val_score.summary.endswith("(2 clips, protocol openstl v1)")


def test_a_class_of_a_script_may_be_imported_from_it_later(small_net: EncoderForecaster) -> None:
    """The same class has the module ``__main__`` while its script runs."""
    kinds = [type("Mine", (nn.MSELoss,), {"__module__": module}) for module in ("__main__", "mine", "yours")]
    tasks = [make_task(small_net, loss=kind()) for kind in kinds]
    checkpoints: list[dict[str, Any]] = [{}, {}, {}]
    for task, checkpoint in zip(tasks, checkpoints, strict=True):
        task.on_save_checkpoint(checkpoint)
    tasks[1].on_load_checkpoint(checkpoints[0])
    tasks[0].on_load_checkpoint(checkpoints[1])
    with pytest.raises(ConfigError, match="yours"):
        tasks[1].on_load_checkpoint(checkpoints[2])
