"""Weights of a blend for clips that are too short to measure their own, and the script that measures them."""

import json
from pathlib import Path
from runpy import run_path

import numpy as np
import torch

from framepred.inference.default_blend import default_weights
from framepred.inference.regions import REGIONS
from framepred.models import EncoderForecaster

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmarks" / "default_blend.py"


def test_the_bundled_weights_are_shares_by_lead_time_and_region() -> None:
    weights = default_weights(4)
    assert weights.shape == (10, REGIONS, 4)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(10, REGIONS))


def test_the_script_writes_weights_of_films(tmp_path: Path, small_net: EncoderForecaster) -> None:
    drift = np.cumsum(np.random.default_rng(0).integers(0, 3, (45, 1, 24, 32)), axis=-1).astype(np.uint8)
    (tmp_path / "films").mkdir()
    np.save(tmp_path / "films" / "drift.npy", drift)
    small_net.save_pretrained(tmp_path / "net")
    write = run_path(str(SCRIPT))["write_default_blend"]
    write.__globals__["FILE"] = tmp_path / "blend.json"
    write(tmp_path / "films", str(tmp_path / "net"), windows=2)
    found = json.loads((tmp_path / "blend.json").read_text())
    assert found["films"] == ["drift"]
    torch.testing.assert_close(torch.tensor(found["weights"]).sum(dim=-1), torch.ones(10, REGIONS), rtol=0, atol=0.02)
