import pytest
import torch
from torch import nn

from framepred.clips import ClipBatch
from framepred.errors import ConfigError
from framepred.models import EncoderForecaster
from framepred.training import ForecastTask, TeacherForcing


def make_task(net: EncoderForecaster, **arguments: object) -> ForecastTask:
    return ForecastTask(net, **{"budget": 10, "loss": nn.MSELoss(), **arguments})


def test_batches_become_floats_on_the_device(small_net: EncoderForecaster) -> None:
    pixels = torch.full((1, 2, 1, 8, 8), 255, dtype=torch.uint8)
    batch = make_task(small_net).on_after_batch_transfer(ClipBatch(pixels, pixels), 0)
    assert all(frames.dtype == torch.float32 and frames.eq(1).all() for frames in batch)


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
