"""The GPU benchmark runs on the CPU at a toy size."""

import importlib
import json
import time
from pathlib import Path
from types import ModuleType

import pytest

from small_networks import tracking

SCRIPTS = Path(__file__).parents[1] / "scripts"
TOY = {"device": "cpu", "batch_size": 1, "side": 32, "context": 2, "horizon": 1}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("benchmarks.gpu")


def test_a_network_is_measured(gpu: ModuleType) -> None:
    found = dict(gpu.measurements(tracking, gpu.Settings(**TOY, compiled=False), 0.0))
    assert found.pop("difference") == 0
    assert 0 < found.pop("difference_bfloat16") < 0.1
    assert found.keys() == gpu.MEASURED.keys() - {
        "difference", "difference_bfloat16", "frames_compiled", "inference_compiled"
    }  # fmt: skip
    assert min(found.values()) > 0


def test_a_restorer_is_measured(gpu: ModuleType) -> None:
    found = dict(gpu.measurements(gpu.ALL_NETWORKS["moving-mnist-restore"], gpu.Settings(**TOY), 0.0))
    assert found.pop("difference") == 0
    assert found.keys() == {"inference_contiguous", "inference", "training"}
    assert min(found.values()) > 0


def test_what_takes_too_long_is_not_measured(gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    start = time.monotonic()
    gpu.write_gpu_card(gpu.Settings(**TOY), 0.001, tmp_path / "gpu.json", ["moving-mnist", "natural-small"])
    assert time.monotonic() - start < 10
    card = json.loads((tmp_path / "gpu.json").read_text())
    assert card["device"].startswith("CPU")
    assert set(card["networks"]["natural-small"].values()) == {"not measured"}
    assert "not measured" in capsys.readouterr().out


@pytest.mark.slow
def test_the_card_holds_every_network(gpu: ModuleType, tmp_path: Path) -> None:
    gpu.write_gpu_card(gpu.Settings(**TOY, compiled=False), 20.0, tmp_path / "gpu.json")
    networks = json.loads((tmp_path / "gpu.json").read_text())["networks"]
    assert {"moving-mnist", "convlstm-s"} < networks.keys()
    assert networks["moving-mnist-restore"].pop("frames") == "not measured"  # it does not stream
    for found in networks.values():
        assert found["difference"] == 0
        assert min(found["training"], found["inference"], found.get("frames", 1)) > 0


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
def test_a_compiled_network_is_measured(gpu: ModuleType) -> None:
    found = dict(gpu.measurements(gpu.ALL_NETWORKS["moving-mnist-convlstm"], gpu.Settings(**TOY), 0.0))
    assert found.keys() == gpu.MEASURED.keys()
    assert min(found["frames_compiled"], found["inference_compiled"]) > 0
