"""The networks that the benchmark of equal minutes compares, and their trainings, at a toy size."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch

from framepred.models import TrackingForecaster

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def simvp(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("benchmarks.simvp")


def test_simvp_predicts_all_frames_at_once_and_streams_equal_to_batch(simvp: ModuleType) -> None:
    net = simvp.SimVP(frames=4, features=8, translator_features=16, blocks=4).eval()
    clip = torch.rand(2, 4, 1, 16, 24)
    with torch.no_grad():
        future = net(clip, horizon=6)
        assert future.shape == (2, 6, 1, 16, 24)
        assert torch.equal(future[:, :4], net(clip, horizon=4))
        assert torch.allclose(future[:, 4:], net(future[:, :4], horizon=2))
        state = None
        for frame in clip.unbind(1):
            state = net.observe(frame, state)
        assert torch.allclose(net.next_frame(state).clamp(0, 1), future[:, 0])
    other = clip.clone()
    other[:, 0] = 0
    assert not torch.allclose(net(other, horizon=1), net(clip, horizon=1))


@pytest.mark.slow
def test_every_network_trains_and_is_scored(monkeypatch: pytest.MonkeyPatch, simvp: ModuleType) -> None:
    quality = importlib.import_module("benchmarks.quality")
    monkeypatch.setattr("benchmarks.learning.TRIED_SECONDS", 0.0)
    small = {
        "framepred": lambda: TrackingForecaster(coarse_channels=8, fine_channels=4, path_features=16),
        "convlstm-s": lambda: quality.NETWORKS["convlstm 2×64"](),
        "simvp": lambda: simvp.SimVP(features=8, translator_features=16),
    }
    for name, make in small.items():
        monkeypatch.setitem(quality.RECIPES, name, quality.RECIPES[name]._replace(make=make, batch=1))
        found = quality.learn(name, minutes=0.0, clips=1, root=None, precision="32-true")
        assert len(found.mse) == 10
        assert found.steps == (2 if name == "framepred" else 1)
        assert found.gmacs > 0
