"""Accelerated forecasters predict what the forecaster predicts, compiled or in bfloat16."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from framepred.baselines import LastFrame
from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ClipError, ConfigError
from framepred.forecaster import Forecaster
from framepred.models import EncoderForecaster
from framepred.models.accelerated import AcceleratedForecaster
from small_networks import RADAR, layered, tracking

pytestmark = pytest.mark.usefixtures("unchecked_shapes")


class Fading(Forecaster):
    """Halves the sum of all frames; small enough to be compiled in a moment."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(0.5))

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        frame = to_unit(frame)
        return (frame, frame if state is None else frame + state[1])

    def next_frame(self, state: State) -> Frame:
        return state[1] * self.factor


def encoder() -> EncoderForecaster:
    net = EncoderForecaster(hidden_channels=[4], kernel_size=3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.01  # untrained, it repeats the last frame
    return net


@pytest.fixture
def clip() -> Tensor:
    return torch.rand(2, 4, 1, 24, 32, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def check_equal(net: Forecaster, clips: list[Tensor], backend: str) -> None:
    """Compare predictions of clips, and of a copy with other weights, with those of the uncompiled network."""
    net, clip = net.eval(), clips[0]
    fast = AcceleratedForecaster(net, backend=backend)
    for part in clips:
        torch.testing.assert_close(fast(part, 3), net(part, 3), rtol=0, atol=1e-4)
    other = copy.deepcopy(fast)
    for parameter in other.net.parameters():
        parameter.mul_(0.5)
    torch.testing.assert_close(other(clip, 3), other.net(clip, 3), rtol=0, atol=1e-4)
    assert not torch.equal(other(clip, 3), fast(clip, 3))


@pytest.mark.slow  # it imports the compiler
@pytest.mark.ci
def test_compiled_steps_predict_the_same(clip: Tensor) -> None:
    check_equal(Fading(), [clip / 4], "eager")


@pytest.mark.slow
@pytest.mark.parametrize("make", [encoder, layered, tracking])
def test_compiled_networks_predict_the_same(make: Callable[[], Forecaster], clip: Tensor) -> None:
    check_equal(make(), [clip, clip[:1]], "aot_eager")


@pytest.mark.slow
def test_the_default_compiler_predicts_the_same(clip: Tensor) -> None:
    check_equal(encoder(), [clip], "inductor")


def test_states_outlive_the_next_run(clip: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA graph writes the outputs of each run to the same memory."""

    def compile_to_graph(function: Callable[..., Any], **_: object) -> Callable[..., Any]:
        memory: dict[int, Tensor] = {}

        def run(*inputs: Any) -> Any:
            outputs = function(*inputs)
            if isinstance(outputs, Tensor):
                return memory.setdefault(-1, outputs.clone()).copy_(outputs)
            return tuple(memory.setdefault(i, each.clone()).copy_(each) for i, each in enumerate(outputs))

        return run

    monkeypatch.setattr(torch, "compile", compile_to_graph)
    net = Fading().eval()
    with torch.inference_mode():
        torch.testing.assert_close(AcceleratedForecaster(net).eval()(clip / 4, 5), net(clip / 4, 5))


@pytest.mark.parametrize("make", [encoder, layered, tracking])
def test_bfloat16(make: Callable[[], Forecaster], clip: Tensor) -> None:
    net = make().eval()
    with torch.inference_mode():
        found, expected = AcceleratedForecaster(net, compiled=False, precision="bf16-mixed")(clip, 3), net(clip, 3)
    assert found.dtype == expected.dtype == torch.float32
    assert 0 < (found - expected).abs().mean() < 0.1


def test_an_error_of_the_network_stays_what_it_is(clip: Tensor) -> None:
    net = AcceleratedForecaster(encoder().eval(), backend="eager").eval()
    with torch.inference_mode():
        state = net.net.observe(clip[:, 0])
        with pytest.raises(ClipError, match="the one before"):
            net.observe(clip[:, 0, :, :16], state)


def test_a_machine_that_cannot_compile_is_named(clip: Tensor) -> None:
    def without_compiler(*_: object) -> Any:
        raise RuntimeError("No working C++ compiler found")

    net = AcceleratedForecaster(Fading(), backend=without_compiler)
    with pytest.raises(ConfigError, match=r"No working C\+\+ compiler found\); install"), torch.inference_mode():
        net(clip, 1)


def test_what_callers_ask_of_a_network_is_that_of_the_inner_one() -> None:
    net = layered(channels=3)
    net.value_range = RADAR
    fast = AcceleratedForecaster(net)
    assert (fast.channels, fast.value_range) == (3, RADAR)
    assert AcceleratedForecaster(LastFrame()).channels is None
    with pytest.raises(ConfigError, match="choose 32-true or bf16-mixed"):
        AcceleratedForecaster(net, precision="16-mixed")  # type: ignore[arg-type]
