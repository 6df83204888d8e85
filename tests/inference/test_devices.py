"""Choice of the device: names, and devices that this machine does not have."""

import pytest
import torch

from framepred.errors import ConfigError
from framepred.inference.devices import full_float32, pick_device


@pytest.mark.parametrize("name", ["mps", "xpu", "meta", "gpu", "cpu:x", ""])
def test_only_cpu_and_cuda_are_devices(name: str) -> None:
    with pytest.raises(ConfigError, match="choose auto, cpu or cuda"):
        pick_device(name)


def test_full_float32_is_restored_afterwards() -> None:
    allowed = torch.backends.cudnn.allow_tf32
    with full_float32():
        assert torch.backends.cudnn.allow_tf32 is False
    assert torch.backends.cudnn.allow_tf32 is allowed


@pytest.mark.parametrize(("rank", "index"), [("0", 0), ("1", 1), ("2", 0)])
def test_each_process_of_a_machine_gets_its_gpu(monkeypatch: pytest.MonkeyPatch, rank: str, index: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", rank)
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda", index)
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    assert pick_device("cpu") == torch.device("cpu")


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
