"""Scores of frames larger than those that a network gets, and of values with a stated range."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import framepred
from framepred.baselines import LastFrame
from framepred.clips import to_unit
from framepred.forecaster import Forecaster
from framepred.models import EncoderForecaster
from framepred.models.cost import macs_per_clip
from small_networks import last_frame_export, layered


@pytest.fixture(scope="module")
def large() -> Tensor:
    """Noise, of which scaling down changes every error."""
    return torch.randint(0, 256, (1, 6, 1, 40, 600), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.mark.parametrize("name", ["last-frame", "optical-flow"])
def test_a_baseline_named_as_weights_scores_as_beside_a_network(large: Tensor, name: str) -> None:
    card = framepred.evaluate(f"baseline:{name}", large, context=3, horizon=3)
    assert card.metrics["mse"].value == pytest.approx(card.baselines[name]["mse"])
    if name == "last-frame":
        errors = (to_unit(large[0, 3:]) - to_unit(large[0, 2])).square().sum(dim=(1, 2, 3))
        assert card.metrics["mse"].value == pytest.approx(float(errors.mean()))
    assert card.notes == ()


def test_scaled_frames_are_noted_on_the_card(large: Tensor, small_net: EncoderForecaster) -> None:
    card = framepred.evaluate(small_net, large, context=3, horizon=3)
    assert "The network gets frames of 600x40 scaled to 512 pixels (max_side)." in card.notes
    card = framepred.evaluate(small_net, large, context=3, horizon=3, max_side=600)
    assert not any("scaled" in note for note in card.notes)


def test_the_cost_on_the_card_is_that_of_the_scaled_frames() -> None:
    clips = torch.rand(1, 4, 1, 32, 24)
    for net in (layered(), EncoderForecaster(hidden_channels=[4], kernel_size=3)):
        small = framepred.evaluate(net, clips, context=2, horizon=2, max_side=16, device="cpu").weights
        assert small is not None
        assert small.macs_per_clip == macs_per_clip(net, 2, 2, (1, 16, 12))


@pytest.mark.parametrize("net", [LastFrame(), last_frame_export()])
def test_what_cannot_be_counted_is_not_on_the_card(net: Forecaster) -> None:
    card = framepred.evaluate(net, torch.rand(1, 4, 1, 8, 8), context=2, horizon=2, device="cpu")
    assert card.weights is not None
    assert (card.weights.parameters, card.weights.macs_per_clip) == (None, None)


def test_the_size_of_held_out_scores_is_noted(large: Tensor) -> None:
    prediction = framepred.predict(large, frames=2, context=3, holdout=True, weights="baseline:last-frame")
    assert prediction.score is not None
    assert "Frames of 600x40 are scored at 512 pixels." in prediction.score.notes
    assert not any("for the network" in note for note in prediction.notes)


def test_a_range_in_use_is_said_by_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    notices: list[str] = []
    clip = np.linspace(0, 50, 8 * 64, dtype=np.float32).reshape(8, 8, 8)
    np.save("clip.npy", clip)
    list(framepred.stream("clip.npy", weights="baseline:last-frame", value_range=(0, 40), on_notice=notices.append))
    assert notices == ["The values 0 to 40 of clip.npy are scaled to [0, 1]; others are clamped."]
