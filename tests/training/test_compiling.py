"""Training with compiled cells gives the weights of ordinary training."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from framepred.data import MovingMNISTData
from framepred.errors import ConfigError
from framepred.models import EncoderForecaster, FrameStack
from framepred.training import ForecastTask, fit, make_trainer

STEPS = 3


def train(folder: Path, compiled: bool) -> dict[str, Tensor]:
    """The weights after a few steps."""
    torch.manual_seed(0)
    net = EncoderForecaster(hidden_channels=[4, 4], kernel_size=3)
    data = MovingMNISTData(3, 3, 2, 8, 2, frame_size=(32, 32), digits_per_clip=1, digits="mnist-5k")
    trainer = make_trainer(folder, STEPS, STEPS, accelerator="cpu", logger=False, enable_progress_bar=False)
    fit(trainer, ForecastTask(net, STEPS, torch.nn.MSELoss(), compiled=compiled), data)
    return net.state_dict()


@pytest.mark.filterwarnings("ignore")
def test_compiled_cells_train_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler, a backend that counts stands for it."""
    calls: list[int] = []

    def counted(function: object, **_: object) -> object:
        def run(*arguments: object) -> object:
            calls.append(torch.is_grad_enabled())
            return function(*arguments)  # type: ignore[operator]

        return run

    expected = train(tmp_path / "plain", compiled=False)
    monkeypatch.setattr(torch, "compile", counted)
    torch.testing.assert_close(train(tmp_path / "compiled", compiled=True), expected)
    assert calls == [True] * (STEPS * 5 * 2)  # steps of training, predicted frames, layers; none in validation


def test_what_has_no_cells_is_not_compiled() -> None:
    with pytest.raises(ConfigError, match="FrameStack has no recurrent cells to compile"):
        ForecastTask(FrameStack(), 1, torch.nn.MSELoss(), compiled=True)
