from collections.abc import Callable
from functools import partial

import pytest
import torch

from framepred.baselines import Blank, LastFrame
from framepred.errors import ClipError, ConfigError
from framepred.forecaster import Forecaster
from framepred.inference.scaling import ScaledForecaster
from framepred.models import (
    ConvElmanCell,
    ConvGRUCell,
    ConvJordanCell,
    ConvLSTMCell,
    EncoderForecaster,
    FrameStack,
    LayeredForecaster,
)
from small_networks import layered, tracking

FORECASTERS = {
    "encoder-forecaster": lambda: EncoderForecaster(hidden_channels=[4, 3], kernel_size=3),
    "peephole, unshared": lambda: EncoderForecaster(
        hidden_channels=[4],
        kernel_size=3,
        norm=False,
        motion=False,
        share_weights=False,
        cell=partial(ConvLSTMCell, peephole=True),
    ),
    "no forget gate": lambda: EncoderForecaster(
        hidden_channels=[4, 3], kernel_size=3, cell=partial(ConvLSTMCell, forget_gate=False)
    ),
    "gru": lambda: EncoderForecaster(hidden_channels=[4, 3], kernel_size=3, cell=ConvGRUCell),
    "elman": lambda: EncoderForecaster(hidden_channels=[4, 3], kernel_size=3, cell=ConvElmanCell),
    "jordan": lambda: EncoderForecaster(hidden_channels=[4, 3], kernel_size=3, cell=ConvJordanCell),
    "frame-stack": lambda: FrameStack(frames=3, hidden_channels=[4], kernel_size=3),
    "layered": layered,
    "tracking": partial(tracking, lead_times=3),
    "scaled": lambda: ScaledForecaster(EncoderForecaster(hidden_channels=[4], kernel_size=3), max_side=9),
    "blank": Blank,
    "last-frame": LastFrame,
}


@pytest.fixture(params=FORECASTERS)
def net(request: pytest.FixtureRequest) -> Forecaster:
    return FORECASTERS[request.param]().double().eval()


def observe_all(net: Forecaster, clip: torch.Tensor) -> tuple[torch.Tensor, ...]:
    state = None
    for frame in clip.unbind(dim=1):
        state = net.observe(frame, state)
    return state


def test_streaming_equals_batch(net: Forecaster, clip: torch.Tensor) -> None:
    streamed = net.forecast(observe_all(net, clip), 7)
    torch.testing.assert_close(streamed, net(clip, 7), rtol=0, atol=1e-9)


def test_observing_own_predictions_equals_the_forecast(clip: torch.Tensor) -> None:
    net = FORECASTERS["encoder-forecaster"]().double().eval()
    state, frames = observe_all(net, clip), []
    for _ in range(5):
        frames.append(net.next_frame(state).clamp(0, 1))
        state = net.observe(frames[-1], state)
    torch.testing.assert_close(torch.stack(frames, dim=1), net(clip, 5), rtol=0, atol=1e-9)


def test_batch_items_do_not_mix(net: Forecaster, clip: torch.Tensor) -> None:
    torch.testing.assert_close(net(clip, 4)[1:], net(clip[1:], 4), rtol=0, atol=1e-9)


def test_forecast_leaves_the_state_as_it_was(net: Forecaster, clip: torch.Tensor) -> None:
    state = observe_all(net, clip)
    before = [tensor.clone() for tensor in state]
    net.forecast(state, 3)
    for tensor, kept in zip(state, before, strict=True):
        assert torch.equal(tensor, kept)


def test_state_is_a_flat_tuple_that_begins_with_the_last_frame(net: Forecaster, clip: torch.Tensor) -> None:
    state = observe_all(net, clip)
    assert isinstance(state, tuple)
    assert all(isinstance(part, torch.Tensor) for part in state)
    assert torch.equal(state[0], clip[:, -1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("make", FORECASTERS.values(), ids=FORECASTERS)
def test_frames_that_are_fed_back_get_the_precision_of_those_observed(
    make: Callable[[], Forecaster], dtype: torch.dtype, clip: torch.Tensor
) -> None:
    net, frame = make().to(dtype).eval(), clip[:, -1].float()
    with torch.no_grad():
        state = net.observe(frame, net.observe(clip[:, 0].float()))
        fed_back = net.feedback(frame, state)
        assert [part.dtype for part in fed_back] == [part.dtype for part in state]
        torch.testing.assert_close(fed_back, net.feedback(frame.to(dtype), state), check_dtype=False, atol=1e-2, rtol=0)


@pytest.mark.parametrize(("context", "horizon"), [(1, 12), (2, 1), (9, 2)])
def test_any_context_and_any_horizon(net: Forecaster, clip: torch.Tensor, context: int, horizon: int) -> None:
    prediction = net(clip[:, :context], horizon)
    assert prediction.shape == (2, horizon, 1, 10, 13)
    longer = net(clip[:, :context], horizon + 1)
    torch.testing.assert_close(prediction, longer[:, :horizon], rtol=0, atol=1e-9)


def test_eval_clamps_and_training_does_not(clip: torch.Tensor) -> None:
    net = EncoderForecaster(hidden_channels=[4], kernel_size=3).double()
    torch.nn.init.constant_(net.readout.bias, 5.0)
    assert net.train()(clip, 2).max() > 1
    assert net.eval()(clip, 2).max() == 1


def test_horizon_below_one_is_refused(net: Forecaster, clip: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="at least 1 frame, not 0"):
        net(clip, 0)


def test_empty_context_is_refused(net: Forecaster, clip: torch.Tensor) -> None:
    with pytest.raises(ClipError, match="at least one frame"):
        net(clip[:, :0], 3)


@pytest.mark.parametrize("value", [-0.5, 2.0, 255.0, float("nan"), float("inf")])
def test_floats_outside_the_unit_range_are_refused(value: float, clip: torch.Tensor) -> None:
    clip[0, 3, 0, 2, 2] = value
    with pytest.raises(ClipError, match=r"lie in \[0, 1\]"):
        LastFrame().eval()(clip, 3)


@pytest.mark.parametrize("make", ["encoder-forecaster", "frame-stack", "layered"])
@pytest.mark.parametrize("channels", [2, 5])
def test_any_number_of_channels_and_what_to_do_about_another(make: str, channels: int) -> None:
    net = {"encoder-forecaster": EncoderForecaster, "frame-stack": FrameStack, "layered": LayeredForecaster}[make]
    predict = net(channels=channels).eval()
    assert predict(torch.rand(1, 2, channels, 8, 8), 2).shape == (1, 2, channels, 8, 8)
    with pytest.raises(
        ClipError, match=f"{channels} channels, and these frames have 3; convert the frames to {channels}"
    ):
        predict(torch.rand(1, 2, 3, 8, 8), 2)
    with pytest.raises(ClipError, match=r"these frames have 1; .*, or use weights with 1 channel\.$"):
        predict(torch.rand(1, 2, 1, 8, 8), 2)
