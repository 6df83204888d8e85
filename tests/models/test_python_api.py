"""Every network class and every bundled network supports what PyTorch users do with a module."""

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from framepred.models import (
    BidirectionalForecaster,
    ConvElmanCell,
    ConvGRUCell,
    ConvJordanCell,
    EncoderForecaster,
    FrameStack,
)
from framepred.models.pretrained import Network, bundled_names, load_weights
from framepred.restorer import Restorer
from slow_cases import quick_where
from small_networks import layered

SMALL: dict[str, Callable[[], Network]] = {
    "lstm": partial(EncoderForecaster, hidden_channels=[4], kernel_size=3, share_weights=False),
    "gru": partial(EncoderForecaster, hidden_channels=[4], kernel_size=3, cell=ConvGRUCell),
    "elman": partial(EncoderForecaster, hidden_channels=[4], kernel_size=3, cell=ConvElmanCell),
    "jordan": partial(EncoderForecaster, hidden_channels=[4], kernel_size=3, cell=ConvJordanCell),
    "frame-stack": partial(FrameStack, hidden_channels=[4], kernel_size=3, frames=2),
    "layered": layered,
    "bidirectional": partial(BidirectionalForecaster, hidden_channels=8, mixing_channels=8, reach=2),
}

MISSING = torch.tensor([False, False, True, False])


def make(name: str) -> Network:
    return SMALL[name]().eval() if name in SMALL else load_weights(name).net


every_network = pytest.mark.parametrize("name", [*SMALL, *bundled_names()])
"""Small networks of every class, and the bundled ones."""

PRECISIONS = [(torch.half, 0.01), (torch.bfloat16, 0.1), (torch.double, 1e-4)]


@torch.no_grad()
def run(net: Network, clip: Tensor) -> Tensor:
    """Restore, or forecast three frames."""
    return net.restore(clip, MISSING) if isinstance(net, Restorer) else net(clip, horizon=3)


@pytest.fixture
def context() -> Tensor:
    """Smooth moving content, because half precision amplifies noise: ``(2, 4, 1, 20, 24)``."""
    noise = torch.rand(2, 1, 24, 32, generator=torch.Generator().manual_seed(0))
    smooth = nn.functional.avg_pool2d(noise, 5, 1)
    return torch.stack([smooth[..., :20, t : t + 24] for t in range(4)], dim=1)


class Step(nn.Module):
    """Frame and state to next frame and state."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net

    def forward(self, frame: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        state = self.net.observe(frame, state)
        return (self.net.next_frame(state), *self.net.feedback(frame, state))


@every_network
def test_copies_predict_the_same(name: str, context: Tensor) -> None:
    net = make(name)
    expected = run(net, context)
    saved = io.BytesIO()
    torch.save(net, saved)
    saved.seek(0)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), torch.load(saved, weights_only=False)):
        assert torch.equal(run(other, context), expected)


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    quick_where(
        lambda case: case[0] in SMALL or case[1] == torch.half,
        [(name, *precision) for name in [*SMALL, *bundled_names()] for precision in PRECISIONS],
    ),
)
def test_other_precisions(name: str, dtype: torch.dtype, tolerance: float, context: Tensor) -> None:
    net = make(name)
    expected = run(net, context)
    net = net.to(dtype)
    predicted = run(net, context.to(dtype))
    assert predicted.dtype == dtype
    assert (predicted - expected).abs().mean() < tolerance
    assert run(net, (context * 255).byte()).isfinite().all()


@every_network
def test_shapes_without_memory(name: str, context: Tensor) -> None:
    net = make(name)
    assert run(net.to("meta"), context.to("meta")).shape == run(make(name), context).shape


@every_network
def test_autocast(name: str, context: Tensor) -> None:
    net = make(name)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = run(net, context)
    assert (predicted - run(net, context)).abs().mean() < 0.1


forecasters = [name for name in [*SMALL, *bundled_names()] if name not in ("bidirectional", "moving-mnist-restore")]


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", forecasters)
def test_a_step_is_exported(name: str, context: Tensor) -> None:
    step, inputs = Step(make(name)), step_inputs(name, context)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(step, inputs).module()
        torch.testing.assert_close(exported(*inputs), step(*inputs), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", forecasters)
def test_a_step_runs_in_onnx(name: str, context: Tensor) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    step, inputs = Step(make(name)), step_inputs(name, context)
    file = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(step, inputs, dynamo=True, verbose=False).save(file)
        expected = step(*inputs)
    session = onnxruntime.InferenceSession(file.getvalue())
    given = {into.name: value.numpy() for into, value in zip(session.get_inputs(), flat(inputs), strict=True)}
    for found, wanted in zip(session.run(None, given), expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
@every_network
def test_compiled(name: str, context: Tensor) -> None:
    net = make(name)
    expected = run(net, context)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(net.fill if isinstance(net, Restorer) else net, backend="aot_eager")
        with torch.no_grad():
            if isinstance(net, Restorer):
                torch.testing.assert_close(compiled(context, MISSING).clamp(0, 1), expected[:, MISSING])
            else:
                torch.testing.assert_close(compiled(context, 3), expected, rtol=0, atol=1e-4)


@torch.no_grad()
def step_inputs(name: str, context: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    return context[:, 1], make(name).observe(context[:, 0])


def flat(inputs: tuple[Tensor, tuple[Tensor, ...]]) -> list[Tensor]:
    return [inputs[0], *inputs[1]]
