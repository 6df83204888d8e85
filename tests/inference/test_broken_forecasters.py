"""Forecasters that predict NaN, or frames of another shape, are refused by every call; nothing is written as black."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import framepred
from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ClipError, FramepredError, WeightsError
from framepred.forecaster import Forecaster
from framepred.inference.adapt import adapt
from framepred.inference.folders import predict_folder
from framepred.models import BidirectionalForecaster, EncoderForecaster

Call = Callable[[Tensor, Forecaster], object]

CALLS: dict[str, Call] = {
    "predict": lambda clip, net: framepred.predict(clip, frames=2, weights=net, blend=False),
    "predict, scaled": lambda clip, net: framepred.predict(clip, frames=2, weights=net, blend=False, max_side=16),
    "stream": lambda clip, net: list(framepred.stream(clip, frames=2, weights=net, blend=False)),
    "restore": lambda clip, net: framepred.restore(clip, missing=[4, 5], weights=net).frames,
    "restore, at the end": lambda clip, net: framepred.restore(clip, missing=[10, 11], weights=net).frames,
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())

BLENDED: dict[str, Call] = {
    "predict, blended": lambda clip, net: framepred.predict(clip, frames=2, weights=net),
    "predict, blended and scaled": lambda clip, net: framepred.predict(clip, frames=2, weights=net, max_side=16),
    "stream, blended": lambda clip, net: list(framepred.stream(clip, frames=2, weights=net)),
    "adapt": lambda clip, net: adapt(net, clip, steps=1, context=3, horizon=2, cuts=False),
    "watch": lambda clip, net: framepred.watch(clip.repeat(10, 1, 1, 1), normal=3.0, weights=net),
}
"""Calls in which other predictions could take the place of those that are not finite."""


@pytest.fixture
def clip() -> Tensor:
    return torch.randint(0, 256, (12, 3, 24, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Cropping(Forecaster):
    """Predicts the last frame without its last row."""

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        return (to_unit(frame),)

    def next_frame(self, state: State) -> Frame:
        return state[0][..., :-1, :]


class Graying(Cropping):
    """Predicts one channel."""

    def next_frame(self, state: State) -> Frame:
        return state[0][:, :1]


@pytest.mark.parametrize("call", (CALLS | BLENDED).values(), ids=(CALLS | BLENDED).keys())
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_predict_nan_are_refused(call: Call, clip: Tensor, value: float) -> None:
    net = EncoderForecaster(hidden_channels=[2], kernel_size=3).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(value)
    with pytest.raises(WeightsError, match="predicted NaN or infinite pixels"):
        call(clip, net)


@pytest.mark.usefixtures("unchecked_shapes")
@every_call
@pytest.mark.parametrize("net", [Cropping(), Graying()], ids=["rows", "channels"])
def test_predictions_of_another_shape_are_refused(call: Call, clip: Tensor, net: Forecaster) -> None:
    with pytest.raises(ClipError, match=r"predicted a frame of the shape \(1, .* after frames of the shape \(1, 3, "):
        call(clip, net)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("max_side", [16, 256])
def test_a_blend_refuses_members_of_another_shape(clip: Tensor, max_side: int) -> None:
    class Network(Cropping):
        channels = 3

    clip = clip.repeat(2, 1, 1, 1)
    net = Network()
    net.weight = torch.nn.Parameter(torch.zeros(1))  # so that it is blended, as networks are
    with pytest.raises(FramepredError, match="predicted a frame of the shape"):
        framepred.predict(clip, frames=2, weights=net, max_side=max_side)
    with pytest.raises(FramepredError, match="predicted a frame of the shape"):
        list(framepred.stream(clip, frames=2, weights=net, max_side=max_side))


class Plain(nn.Module):
    """A network that only ``evaluate`` takes."""

    def forward(self, context: Tensor, horizon: int) -> Tensor:
        return to_unit(context)[:, -1:].expand(-1, horizon, -1, -1, -1)


FORECASTING: dict[str, Call] = {
    "predict": lambda clip, net: framepred.predict(clip, frames=2, weights=net),
    "predict_folder": lambda clip, net: predict_folder(clip_folder(clip), "predicted", weights=net),
    "stream": lambda clip, net: list(framepred.stream(clip, frames=2, weights=net)),
    "watch": lambda clip, net: framepred.watch(clip, normal=3.0, weights=net),
    "accelerate": lambda clip, net: framepred.accelerate(net),
    "export": lambda clip, net: framepred.export(net, "net.onnx"),
}


def clip_folder(clip: Tensor) -> Path:
    Path("clips").mkdir()
    np.save("clips/clip.npy", clip.numpy())
    return Path("clips")


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("call", FORECASTING.values(), ids=FORECASTING.keys())
@pytest.mark.parametrize("weights", [Plain(), Plain().forward, Plain, None, 3], ids=lambda one: type(one).__name__)
def test_what_is_no_forecaster_is_refused_in_a_sentence(
    call: Call, clip: Tensor, weights: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = f"a name, a path or a Forecaster, not {type(weights).__name__}; derive the network from framepred.fore"
    with pytest.raises(WeightsError, match=sentence):
        call(clip, weights)


@pytest.mark.usefixtures("unchecked_shapes")
def test_evaluate_takes_callables_and_nothing_else(clip: Tensor) -> None:
    for weights in (Plain(), Plain().forward):
        assert framepred.evaluate(weights, clip[None], context=3, horizon=2).data.clips == 2
    with pytest.raises(WeightsError, match="not NoneType"):
        framepred.evaluate(None, clip[None], context=3, horizon=2)  # type: ignore[arg-type]


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    "call",
    [*FORECASTING.values(), lambda clip, net: framepred.evaluate(net, clip[None], context=3, horizon=2)],
    ids=[*FORECASTING.keys(), "evaluate"],
)
def test_restorers_do_not_forecast(call: Call, clip: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = BidirectionalForecaster(layers=1, hidden_channels=4, mixing_channels=4, reach=1)
    with pytest.raises(WeightsError, match="The weights BidirectionalForecaster restore missing frames"):
        call(clip, net)  # type: ignore[arg-type]


@pytest.mark.usefixtures("unchecked_shapes")
def test_what_is_no_restorer_is_refused_in_a_sentence(clip: Tensor) -> None:
    with pytest.raises(WeightsError, match="a name, a path or a Restorer, not Plain; derive the network from"):
        framepred.restore(clip, missing=[3], weights=Plain())  # type: ignore[arg-type]
