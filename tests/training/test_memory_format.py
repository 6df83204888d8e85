"""Training in the memory format of a GPU, here on the CPU, gives the weights of ordinary training."""

from pathlib import Path

import pytest
import torch

from framepred.data import MovingMNISTData
from framepred.models import EncoderForecaster, load
from framepred.training import ForecastTask, Muon, fit, make_trainer, task

STEPS = 3


def train(folder: Path) -> EncoderForecaster:
    """The network after a few steps of the optimizer that reshapes weights; its gradients are clipped."""
    torch.manual_seed(0)
    net = EncoderForecaster(hidden_channels=[8], kernel_size=3)
    data = MovingMNISTData(3, 3, 2, 8, 2, frame_size=(32, 32), digits_per_clip=1, digits="mnist-5k")
    trainer = make_trainer(
        folder, STEPS, STEPS, accelerator="cpu", logger=False, enable_progress_bar=False, gradient_clip_val=1.0
    )
    fit(trainer, ForecastTask(net, STEPS, torch.nn.MSELoss(), Muon), data)
    return net


@pytest.mark.filterwarnings("ignore")
def test_channels_last_trains_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = train(tmp_path / "contiguous")
    monkeypatch.setattr(task, "prefers_channels_last", lambda _: True)
    net = train(tmp_path / "channels-last")
    kernels = [parameter for parameter in net.parameters() if parameter.ndim == 4 and min(parameter.shape[1:]) > 1]
    assert kernels
    assert not any(kernel.is_contiguous() for kernel in kernels)
    torch.testing.assert_close(net.state_dict(), expected.state_dict(), rtol=0, atol=1e-3)

    clip = torch.rand(1, 3, 1, 32, 32)
    with torch.inference_mode():
        predicted = net.eval()(clip, 2)
        net.save_pretrained(tmp_path / "saved")
        for saved in (tmp_path / "channels-last/checkpoints/last.ckpt", tmp_path / "saved"):
            torch.testing.assert_close(load(saved)(clip, 2), predicted, rtol=0, atol=1e-5)
