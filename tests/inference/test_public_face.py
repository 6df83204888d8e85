"""The names of ``framepred`` itself."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import framepred
from framepred.inference.adapt import adapt
from framepred.models import EncoderForecaster


@pytest.mark.parametrize("name", framepred.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert callable(getattr(framepred, name))
    assert name in dir(framepred)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        framepred.nosuch  # noqa: B018


def test_torch_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, framepred; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


CLIP = torch.randint(0, 256, (30, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
NORMAL = torch.randint(0, 256, (100, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))

CALLS: dict[str, Callable[[EncoderForecaster], object]] = {
    "predict": lambda net: framepred.predict(CLIP, frames=2, weights=net),
    "predict without blending": lambda net: framepred.predict(CLIP, frames=2, weights=net, blend=False),
    "predict and adapt": lambda net: framepred.predict(CLIP, frames=2, weights=net, adapt=0.01, context=3),
    "adapt": lambda net: adapt(net, CLIP, steps=1, context=3, horizon=2),
    "stream": lambda net: next(iter(framepred.stream(CLIP, frames=2, weights=net))),
    "stream without blending": lambda net: next(iter(framepred.stream(CLIP, frames=2, weights=net, blend=False))),
    "watch": lambda net: list(framepred.watch(CLIP, normal=NORMAL, weights=net)),
    "watch and adapt": lambda net: list(framepred.watch(CLIP, normal=NORMAL, weights=net, adapt=0.01)),
    "restore": lambda net: framepred.restore(CLIP, missing=[4, 5], method="bidirectional", weights=net).frames,
    "accelerate": lambda net: framepred.accelerate(net, compiled=False, precision="bf16-mixed"),
    "evaluate": lambda net: framepred.evaluate(net, CLIP.view(3, 10, 1, 16, 16), context=3, horizon=2),
    "export": lambda net: framepred.export(net, "q.pt2"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_leaves_the_callers_network_and_random_numbers_as_they_were(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    net = EncoderForecaster(hidden_channels=[4], kernel_size=3)
    net.encoder.eval()  # frozen
    modes = {name: module.training for name, module in net.named_modules()}
    numbers = torch.get_rng_state()
    CALLS[call](net)
    assert {name: module.training for name, module in net.named_modules()} == modes
    assert torch.equal(torch.get_rng_state(), numbers)


def test_an_export_leaves_the_network_on_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, moved, apply = EncoderForecaster(hidden_channels=[4], kernel_size=3), [], nn.Module._apply
    monkeypatch.setattr(nn.Module, "_apply", lambda self, *change: (moved.append(self), apply(self, *change))[1])
    framepred.export(net, tmp_path / "q.pt2")
    assert moved
    assert not any(module is net for module in moved)
