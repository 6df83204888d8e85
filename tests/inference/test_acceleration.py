"""Evaluation and streams with accelerated weights; the results card records the precision."""

import numpy as np
import pytest
import torch

import framepred
from framepred.errors import ConfigError
from framepred.evaluation import Card
from framepred.models.accelerated import AcceleratedForecaster
from framepred.models.exported import ExportedForecaster
from framepred.onnx_graphs import ExportInfo

CLIPS = np.random.default_rng(0).integers(0, 256, (2, 5, 1, 16, 16), dtype=np.uint8)
CONVLSTM = "moving-mnist-convlstm"


def evaluate(weights: object, **options: object) -> Card:
    return framepred.evaluate(weights, CLIPS, context=3, horizon=2, device="cpu", **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plain() -> Card:
    return evaluate(CONVLSTM)


def test_a_card_records_bfloat16(plain: Card) -> None:
    card = evaluate(CONVLSTM, precision="bf16-mixed")
    assert card.metrics["mse"].value == pytest.approx(plain.metrics["mse"].value, rel=0.05)
    assert card.metrics["mse"].value != plain.metrics["mse"].value
    assert card.baselines == plain.baselines
    assert card.weights is not None
    assert card.weights.precision == "bf16-mixed"
    assert Card.from_json(card.to_json()).weights == card.weights
    assert plain.weights is not None
    assert (plain.weights.precision, "precision" in plain.to_json()) == (None, False)
    assert (card.weights.sha256, card.weights.macs_per_clip) == (plain.weights.sha256, plain.weights.macs_per_clip)


def test_a_forecaster_that_was_accelerated_before_is_recorded_too(plain: Card) -> None:
    card = evaluate(framepred.accelerate(CONVLSTM, compiled=False, precision="bf16-mixed"))
    assert card.weights is not None
    assert plain.weights is not None
    assert (card.weights.precision, card.weights.macs_per_clip) == ("bf16-mixed", plain.weights.macs_per_clip)


def test_baselines_stay_in_float32() -> None:
    card = evaluate("baseline:last-frame", precision="bf16-mixed")
    assert card.weights is not None
    assert card.weights.precision is None
    assert card.metrics["mse"].value == card.baselines["last-frame"]["mse"]


def test_a_callable_cannot_be_accelerated() -> None:
    def repeat(context: torch.Tensor, horizon: int) -> torch.Tensor:
        return context[:, -1:].expand(-1, horizon, -1, -1, -1)

    for options in ({"compiled": True}, {"precision": "bf16-mixed"}):
        with pytest.raises(ConfigError, match="repeat is neither"):
            evaluate(repeat, **options)
    with pytest.raises(ConfigError, match="is neither"):
        framepred.evaluate(predictions=CLIPS, truth=CLIPS, precision="bf16-mixed")


def test_an_export_cannot_be_accelerated() -> None:
    info = ExportInfo("id", "0.2.0", "FrameStack", "own", None, 1, 1, None, False)
    with pytest.raises(ConfigError, match="ONNX Runtime runs exports as they are"):
        framepred.accelerate(ExportedForecaster({}, info))


def test_nothing_asked_changes_nothing() -> None:
    net = framepred.load(CONVLSTM)
    assert framepred.accelerate(net, compiled=False) is net
    assert isinstance(framepred.accelerate(net), AcceleratedForecaster)


def test_streams_run_in_bfloat16() -> None:
    frames = CLIPS[0]
    options = {"frames": 2, "weights": CONVLSTM, "device": "cpu", "blend": False, "cuts": False}
    plain, low = (
        [step.mse for step in framepred.stream(frames, precision=precision, **options)]  # type: ignore[arg-type]
        for precision in ("32-true", "bf16-mixed")
    )
    assert low[1:] == pytest.approx(plain[1:], rel=0.1)
    assert low[1:] != plain[1:]
