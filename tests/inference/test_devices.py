"""Choice of the device: names, and devices that this machine does not have."""

import pytest
import torch

from framepred.errors import ConfigError
from framepred.inference.devices import pick_device


@pytest.mark.parametrize("name", ["mps", "xpu", "meta", "gpu", "cpu:x", ""])
def test_only_cpu_and_cuda_are_devices(name: str) -> None:
    with pytest.raises(ConfigError, match="choose auto, cpu or cuda"):
        pick_device(name)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_gpu_must_exist(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert pick_device("auto").type == ("cuda" if count else "cpu")
    for index in range(3):
        name = f"cuda:{index}"
        if index < count:
            assert pick_device(name) == torch.device(name)
        else:
            with pytest.raises(ConfigError, match="finds"):
                pick_device(name)
