import pytest
import torch
from torch import nn

from framepred.clips import ClipBatch
from framepred.errors import ConfigError
from framepred.models import EncoderForecaster
from framepred.training import ForecastTask, TeacherForcing


def make_task(net: EncoderForecaster, **arguments: object) -> ForecastTask:
    return ForecastTask(net, **{"budget": 10, "loss": nn.MSELoss(), **arguments})


def test_bytes_train_as_the_floats_they_stand_for(small_net: EncoderForecaster) -> None:
    pixels = torch.randint(0, 256, (1, 4, 1, 8, 8), dtype=torch.uint8)
    task = make_task(small_net)
    task.log = task.log_dict = lambda *_, **__: None
    losses = [task.training_step(ClipBatch.cut(clips, 2)) for clips in (pixels, pixels.float() / 255)]
    assert torch.equal(*losses)


def test_a_checkpoint_of_another_schedule_is_refused(small_net: EncoderForecaster) -> None:
    checkpoint: dict[str, object] = {}
    make_task(small_net).on_save_checkpoint(checkpoint)
    make_task(small_net).on_load_checkpoint(checkpoint)
    for changed in ({"budget": 11}, {"teacher_forcing": TeacherForcing(fade=0.4)}, {"warmup": 1}, {"seed": 1}):
        with pytest.raises(ConfigError, match="follows the schedule"):
            make_task(small_net, **changed).on_load_checkpoint(checkpoint)


def test_a_budget_is_needed(small_net: EncoderForecaster) -> None:
    with pytest.raises(ConfigError, match=r"--trainer.max_steps"):
        make_task(small_net, budget=-1)
