"""Gradient flow: exact where it is known, measured for every cell, refused without recurrence."""

import math
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from framepred.baselines import LastFrame
from framepred.clips import ClipBatch
from framepred.data import MovingMNISTData
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.models import (
    ConvElmanCell,
    ConvGRUCell,
    ConvJordanCell,
    ConvLSTMCell,
    EncoderForecaster,
    FrameStack,
    LayeredForecaster,
)
from framepred.training import ForecastTask, fit, make_trainer
from framepred.training.callbacks import GradientFlow
from framepred.training.diagnosis import gradient_flow
from framepred.visualization.gradient_flow import UNDERFLOW, Flow, flow_image


class Fading(Forecaster):
    """A memory that is multiplied by a constant at every step."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def observe(self, frame: torch.Tensor, state: tuple[torch.Tensor, ...] | None = None) -> tuple[torch.Tensor, ...]:
        kept = torch.zeros_like(frame) if state is None else state[1]
        return frame, self.factor * (kept + frame)

    def next_frame(self, state: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return state[1]

    def named_memory(self, state: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        return {"the only: memory": state[1]}


def batch(frames: int = 14, channels: int = 1) -> ClipBatch:
    return ClipBatch.cut(torch.rand(2, frames, channels, 8, 8), frames // 2)


def test_a_halved_memory_has_the_rate_one_half() -> None:
    (flow,) = gradient_flow(Fading(0.5), nn.MSELoss(), batch())
    assert len(flow.norms) == 13
    assert flow.ratios == pytest.approx([0.5**step for step in range(13)], rel=1e-5)
    assert flow.rate == pytest.approx(0.5)
    assert flow.marks == {"vanishing": 11}


def test_explosion_underflow_and_constant_gradients_are_marked() -> None:
    (growing,) = gradient_flow(Fading(2.0), nn.MSELoss(), batch())
    assert growing.marks == {"explosion": 11}
    (sinking,) = gradient_flow(Fading(1e-4), nn.MSELoss(), batch())
    first = sinking.marks["underflow"]
    assert sinking.norms[-1 - first] < UNDERFLOW <= sinking.norms[-first]
    (kept,) = gradient_flow(Fading(1.0), nn.MSELoss(), batch())
    assert kept.marks == {}
    assert Flow("broken", [math.nan, math.inf, 1.0]).marks == {"explosion": 1}
    assert Flow("dead", [0.0, 0.0]).marks == {"vanishing": 0, "underflow": 0}


def test_the_norm_is_that_of_the_derivative() -> None:
    net = EncoderForecaster(hidden_channels=[3], kernel_size=3, stride=4, motion=False).double()
    clips = torch.rand(1, 4, 1, 8, 8, dtype=torch.float64)
    state = net.observe(clips[:, 0])
    push = torch.rand_like(state[1])

    @torch.no_grad()
    def error(amount: float) -> float:
        moved = state[0], state[1] + amount * push, state[2]
        for time in (1, 2):
            moved = net.observe(clips[:, time], moved)
        return float((net.next_frame(moved) - clips[:, 3]).square().mean())

    flows = {flow.name: flow for flow in gradient_flow(net, nn.MSELoss(), ClipBatch.cut(clips, 3))}
    slope = (error(1e-5) - error(-1e-5)) / 2e-5
    memory = state[1].detach().requires_grad_()
    moved = net.observe(clips[:, 2], net.observe(clips[:, 1], (state[0], memory, state[2].detach())))
    gradient = torch.autograd.grad((net.next_frame(moved) - clips[:, 3]).square().mean(), memory)[0]
    assert float((gradient * push).sum()) == pytest.approx(slope, rel=1e-5)
    assert flows["layer 1: hidden"].norms[0] == pytest.approx(float(gradient.norm()))


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        (ConvLSTMCell, ["hidden", "cell"]),
        (ConvGRUCell, ["hidden"]),
        (ConvElmanCell, ["hidden"]),
        (ConvJordanCell, ["output"]),
    ],
)
def test_every_cell_of_every_layer_is_measured(cell: type, parts: list[str]) -> None:
    net = EncoderForecaster(hidden_channels=[4, 3], kernel_size=3, cell=cell, share_weights=False)
    flows = gradient_flow(net, nn.MSELoss(), batch())
    assert [flow.name for flow in flows] == [f"layer {layer}: {part}" for layer in (1, 2) for part in parts]
    assert all(norm > 0 for flow in flows for norm in flow.norms)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_layers_of_appearance_have_two_cells() -> None:
    flows = gradient_flow(LayeredForecaster(coarse_channels=8, fine_channels=4), nn.MSELoss(), batch())
    assert [flow.name for flow in flows] == ["coarse: hidden", "coarse: cell", "fine: hidden", "fine: cell"]


@pytest.mark.parametrize("net", [FrameStack(), LastFrame()])
def test_networks_without_recurrence_are_refused(net: Forecaster) -> None:
    with pytest.raises(ConfigError, match=rf"^{type(net).__name__} has no recurrent state .* such as .*\.$"):
        gradient_flow(net, nn.MSELoss(), batch())


def test_clips_of_two_frames_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 3 frames, not 2"):
        gradient_flow(Fading(0.5), nn.MSELoss(), batch(2))


def test_a_picture_of_any_flow() -> None:
    flows = [Flow("kept", [1.0, 1.0]), Flow("dead", [0.0, 0.0]), Flow("broken", [math.inf, math.nan])]
    assert flow_image(flows).shape == (500, 800, 3)


@pytest.mark.usefixtures("without_report")
def test_training_logs_the_flow_and_learns_as_without(tmp_path: Path) -> None:
    weights = []
    for measured in (False, True):
        torch.manual_seed(0)
        task = ForecastTask(EncoderForecaster(hidden_channels=[4], kernel_size=3), 4, nn.MSELoss())
        data = MovingMNISTData(3, 3, 2, 8, 2, frame_size=(32, 32), digits_per_clip=1, digits="mnist-5k")
        trainer = make_trainer(
            tmp_path / str(measured), 4, 4, accelerator="cpu", enable_progress_bar=False, log_every_n_steps=1
        )
        trainer.callbacks += [GradientFlow(interval=2, clips=1)] if measured else []
        fit(trainer, task, data)
        weights.append(torch.cat([parameter.flatten() for parameter in task.net.parameters()]))
    assert torch.equal(*weights)
    board = EventAccumulator(str(tmp_path / "True")).Reload()
    assert [event.step for event in board.Scalars("gradient-flow/layer-1-cell")] == [2, 4]
    assert [event.step for event in board.Images("gradient-flow/plot")] == [2, 4]
