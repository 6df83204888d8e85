import pytest
import torch
from torch import nn

from framepred.clips import ClipBatch, State
from framepred.errors import ConfigError
from framepred.models import EncoderForecaster
from framepred.training import Curriculum, ForecastTask, TeacherForcing
from framepred.training.rollout import Predicted


def make_task(net: EncoderForecaster, **arguments: object) -> ForecastTask:
    return ForecastTask(net, **{"budget": 10, "loss": nn.MSELoss(), **arguments})


def test_bytes_train_as_the_floats_they_stand_for(small_net: EncoderForecaster) -> None:
    pixels = torch.randint(0, 256, (1, 4, 1, 8, 8), dtype=torch.uint8)
    task = make_task(small_net)
    task.log = task.log_dict = lambda *_, **__: None
    losses = [task.training_step(ClipBatch.cut(clips, 2)) for clips in (pixels, pixels.float() / 255)]
    assert torch.equal(*losses)


class Misplacing(EncoderForecaster):
    """Says that everything lies two pixels beside its place."""

    def misplacement(self, state: State, frame: torch.Tensor) -> torch.Tensor:
        return state[0].new_tensor(2.0)


@pytest.mark.parametrize("tbptt_steps", [None, 3])
def test_what_lies_beside_its_place_is_learned_beside_the_pixels(tbptt_steps: int | None) -> None:
    torch.manual_seed(0)
    net, clips = Misplacing(widths=[4], kernel=3), torch.rand(2, 6, 1, 8, 8)
    losses = []
    for weight in (0.0, 0.5):
        task = make_task(net, placement_weight=weight, teacher_forcing=TeacherForcing(0.0), tbptt_steps=tbptt_steps)
        task.log = task.log_dict = lambda *_, **__: None
        losses.append(task.training_step(ClipBatch.cut(clips, 3)).detach())
    torch.testing.assert_close(losses[1] - losses[0], torch.tensor(1.0))


def test_placement_cannot_count_less_than_nothing(small_net: EncoderForecaster) -> None:
    with pytest.raises(ConfigError, match="placement_weight must be at least 0"):
        make_task(small_net, placement_weight=-0.1)


def test_a_checkpoint_of_another_schedule_is_refused(small_net: EncoderForecaster) -> None:
    checkpoint: dict[str, object] = {}
    make_task(small_net).on_save_checkpoint(checkpoint)
    make_task(small_net).on_load_checkpoint(checkpoint)
    schedules = {"teacher_forcing": TeacherForcing(fade=0.4), "curriculum": Curriculum(grow=0.4)}
    for changed in (
        {"budget": 11},
        {"warmup": 1},
        {"seed": 1},
        {"tbptt_steps": 4},
        *({name: schedules[name]} for name in schedules),
    ):
        with pytest.raises(ConfigError, match="follows the schedule"):
            make_task(small_net, **changed).on_load_checkpoint(checkpoint)


def test_a_budget_is_needed(small_net: EncoderForecaster) -> None:
    with pytest.raises(ConfigError, match=r"--trainer.max_steps"):
        make_task(small_net, budget=-1)


@pytest.mark.parametrize(("share", "frames", "context"), [(0.01, 2, 1), (0.3, 3, 2), (0.5, 5, 3), (1.0, 10, 6)])
def test_training_sees_the_beginning_of_each_clip(
    small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch, share: float, frames: int, context: int
) -> None:
    seen: list[tuple[torch.Tensor, int]] = []

    def watch(net: object, clips: torch.Tensor, context: int, teacher: torch.Tensor) -> Predicted:
        seen.append((clips, context))
        return Predicted(clips[:, 1:].clone().requires_grad_(), torch.zeros(()))

    monkeypatch.setattr("framepred.training.task.predict_every_frame", watch)
    task = make_task(small_net, curriculum=Curriculum(start=share, grow=1.0))
    task.log = task.log_dict = lambda *_, **__: None
    clips = torch.rand(2, 10, 1, 8, 8)
    task.training_step(ClipBatch.cut(clips, 6))
    assert torch.equal(seen[0][0], clips[:, :frames])
    assert seen[0][1] == context
