import json
from pathlib import Path

import pytest
import torch

from framepred.baselines import HeldFrame, LinearInterpolation
from framepred.clips import to_unit
from framepred.data import MovingMNIST
from framepred.errors import WeightsError
from framepred.models import EncoderForecaster, load
from framepred.models.pretrained import BUNDLED, bundled_names, load_restorer, load_weights
from framepred.restorer import MiddleGap, Restorer, cut_middle


@pytest.fixture
def folder(small_net: EncoderForecaster, tmp_path: Path) -> Path:
    small_net.save_pretrained(tmp_path / "weights")
    return tmp_path / "weights"


def test_saved_weights_predict_the_same(small_net: EncoderForecaster, folder: Path) -> None:
    clip = torch.rand(1, 4, 1, 8, 8)
    expected = small_net.eval()(clip, 3)
    assert torch.equal(load(folder)(clip, 3), expected)
    assert torch.equal(EncoderForecaster.from_pretrained(folder).eval()(clip, 3), expected)


def test_loaded_networks_are_ready_to_predict(folder: Path) -> None:
    assert not load(folder).training


def test_from_pretrained_is_strict(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "share_weights": False}))
    with pytest.raises(RuntimeError, match="forecaster"):
        EncoderForecaster.from_pretrained(folder)
    with pytest.raises(WeightsError, match="does not fit the network"):
        load(folder)


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_weights_load_and_are_small(name: str) -> None:
    assert not load_weights(name).net.training
    assert (BUNDLED / name / "model.safetensors").stat().st_size <= 8_000_000
    assert {"card.json", "README.md"} <= {file.name for file in (BUNDLED / name).iterdir()}


def test_moving_mnist_is_bundled() -> None:
    assert "moving-mnist" in bundled_names()


def test_bundled_weights_restore_better_than_interpolation() -> None:
    """On digits that training never saw, three frames missing in the middle."""
    batch = cut_middle(MovingMNIST("test", digits="mnist-5k").render(range(10)), 3)
    context, truth = to_unit(batch.context), to_unit(batch.target)
    nets: list[Restorer] = [load_restorer("moving-mnist-restore"), LinearInterpolation(), HeldFrame()]
    with torch.inference_mode():
        ours, *others = ((MiddleGap(net.eval())(context, 3) - truth).square().mean() for net in nets)
    assert ours < min(others) / 2


def test_hash_is_of_the_file(folder: Path) -> None:
    first = load_weights(folder).sha256
    net = load(folder)
    with torch.no_grad():
        net.readout.bias.add_(1)
    net.save_pretrained(folder)
    assert load_weights(folder).sha256 != first


@pytest.mark.parametrize("name", ["nosuch", "no/such/place", "../nosuch", "/nosuch"])
def test_unknown_weights_never_ask_the_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framepred.models.pretrained.snapshot_download", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(WeightsError, match="There are no weights"):
        load(name)


def test_only_owner_and_name_ask_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "framepred.models.pretrained.snapshot_download", lambda name, **_: asked.append(name) or str(folder)
    )
    load("owner/name")
    assert asked == ["owner/name"]


def test_without_network_the_hub_gives_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr("framepred.models.pretrained.snapshot_download", fail)
    with pytest.raises(WeightsError, match=r"could not be fetched .*no route.*bundled ones: .*moving-mnist, "):
        load("owner/name")


def test_damaged_files_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"rubbish")
    with pytest.raises(WeightsError, match="does not hold readable weights"):
        load(folder)


def test_a_pickle_that_runs_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path(tmp_path / "sprung").touch, ())

    torch.save({"net": Trap(), "state_dict": {}}, tmp_path / "trap.ckpt")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        load(tmp_path / "trap.ckpt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["os", "load", "Forecaster", "NoSuch", None])
def test_only_framepreds_own_classes_are_built(folder: Path, name: str | None) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "class": name}))
    with pytest.raises(WeightsError, match=r"framepred.models does not have"):
        load(folder)
