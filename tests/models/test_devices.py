"""Networks on a GPU: memory format, and steps that neither wait for the GPU nor copy from the host.

PyTorch computes shapes and devices of tensors on a GPU without one ("fake tensors"), so these tests run on the CPU.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from framepred.forecaster import Forecaster
from framepred.models import EncoderForecaster
from framepred.models.accelerated import AcceleratedForecaster
from framepred.models.devices import move_network, prefers_channels_last, use_channels_last
from framepred.models.pretrained import Network, bundled_names, load, load_weights
from framepred.restorer import Restorer

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
MISSING = torch.tensor([False, False, True, False])
every_bundled_forecaster = pytest.mark.parametrize(
    "name", [name for name in bundled_names() if name != "moving-mnist-restore"]
)
every_bundled_network = pytest.mark.parametrize("name", bundled_names())


@torch.no_grad()
def run(net: Network, clip: Tensor) -> Tensor:
    """Restore, or forecast three frames."""
    return net.restore(clip, MISSING) if isinstance(net, Restorer) else net(clip, horizon=3)


@every_bundled_network
def test_channels_last_predicts_the_same(name: str) -> None:
    clip = torch.rand(2, 4, 1, 24, 32, generator=torch.Generator().manual_seed(0))
    expected = run(load_weights(name).net, clip)
    net = use_channels_last(load_weights(name).net)
    convolutions = [part for part in net.modules() if isinstance(part, nn.Conv2d)]
    assert all(part.weight.is_contiguous(memory_format=torch.channels_last) for part in convolutions)
    torch.testing.assert_close(run(net, clip), expected, rtol=0, atol=1e-4)


def test_the_device_decides_the_memory_format() -> None:
    net = EncoderForecaster(hidden_channels=[4], kernel_size=3)
    assert all(parameter.is_contiguous() for parameter in move_network(net, CPU).parameters())
    assert prefers_channels_last(CUDA)
    assert not prefers_channels_last(CPU)


class HostOperations(TorchDispatchMode):
    """Collects operations that read or make a tensor on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(tensor.device.type == "cpu" for tensor in tensors_in([args, result])):
            self.found.append(str(func))
        return result


def tensors_in(values: Any) -> Iterator[Tensor]:
    """All tensors of nested lists and tuples."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors_in(value)


@pytest.fixture(scope="module")
def fake_tensors() -> FakeTensorMode:
    return FakeTensorMode()


def on_fake_gpu(net: Forecaster) -> Forecaster:
    """Replace parameters and buffers by fake ones on a GPU."""
    for part in net.modules():
        for stored in (part._parameters, part._buffers):
            for name, tensor in stored.items():
                if tensor is not None:
                    fake = torch.empty(tensor.shape, dtype=tensor.dtype, device=CUDA)
                    stored[name] = nn.Parameter(fake) if isinstance(tensor, nn.Parameter) else fake
    return net


def use_steps(net: Forecaster, clip: Tensor) -> Tensor:
    """Run every step of a forecaster."""
    state = net.observe(clip[:, 1], net.observe(clip[:, 0]))
    state = net.feedback(net.next_frame(state), state)
    return net.forecast(state, 12)


@pytest.mark.usefixtures("unchecked_shapes")
@every_bundled_forecaster
def test_a_gpu_is_not_made_to_wait(name: str, fake_tensors: FakeTensorMode) -> None:
    """Reading a value of a GPU raises an error here; a CUDA graph refuses it, and copies from the host too."""
    net = load(name)
    with fake_tensors, torch.no_grad(), HostOperations() as operations:
        frames = use_steps(on_fake_gpu(net), torch.rand(2, 4, 1, 24, 32, device=CUDA))
    assert frames.device.type == "cuda"
    assert operations.found == []


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
@every_bundled_forecaster
def test_compiled_steps_stay_on_the_gpu(name: str) -> None:
    """A CUDA graph refuses tensors of the host; meta tensors stand for those of a GPU."""
    operations = HostOperations()

    def count_host_operations(graph: nn.Module, _inputs: list[Tensor]) -> Callable[..., Any]:
        def run_graph(*inputs: Any) -> Any:
            with operations:
                return graph(*inputs)

        return run_graph

    net = AcceleratedForecaster(load(name).to("meta"), backend=count_host_operations)
    with torch.no_grad():
        use_steps(net, torch.rand(2, 4, 1, 24, 32, device="meta"))
    assert operations.found == []
