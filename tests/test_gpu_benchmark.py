"""The GPU benchmark runs on the CPU at a toy size."""

import importlib
import json
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.slow
def test_the_card_holds_every_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    gpu = importlib.import_module("benchmarks.gpu")
    monkeypatch.setattr(gpu, "CONTEXT", 2)
    monkeypatch.setattr(gpu, "HORIZON", 1)
    gpu.write_gpu_card("cpu", 0.0, 1, 16, tmp_path / "gpu.json")
    card = json.loads((tmp_path / "gpu.json").read_text())
    assert card["device"].startswith("CPU")
    assert "convlstm-s" in card["networks"]
    for found in card["networks"].values():
        assert found["cpu_difference"] == 0
        assert min(found["training_clips_per_second"], found["inference_clips_per_second"]) > 0
