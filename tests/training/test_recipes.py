"""Recipes of weights: all stages, resumed after a kill, to scored weights; every shipped recipe is readable."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer

from framepred.errors import ConfigError
from framepred.models import TrackingForecaster, load
from framepred.training import callbacks
from framepred.training import recipes as recipes_module
from framepred.training.config_files import find_config, recipes
from framepred.training.recipes import Recipe, read_recipe, run_recipe

RECIPE = """
stages:
  - config: smoke
    overrides: &small
      trainer.max_steps: 2
      trainer.val_check_interval: 2
      data.init_args.batch_size: 2
      data.init_args.val_clips: 2
  - config: smoke
    overrides: {<<: *small, trainer.max_steps: 4, data.init_args.seed: 1}
score: {name: moving-mnist, overrides: {data.init_args.test_clips: 2}}
"""
QUIET = {"trainer.accelerator": "cpu", "trainer.enable_progress_bar": False, "trainer.logger": False}


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return read_recipe(tmp_path / "tiny.yaml")


def weights_of(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("without_report")
def test_a_killed_recipe_continues_to_the_same_weights(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_recipe(recipe, tmp_path / "whole", QUIET)

    with monkeypatch.context() as killed:

        def kill(_: Callback, trainer: Trainer, *__: object) -> None:
            if trainer.default_root_dir.endswith("2-smoke") and trainer.global_step == 3:
                raise RuntimeError("killed")

        killed.setattr(callbacks.PredictionPanels, "on_train_batch_end", kill)
        with pytest.raises(RuntimeError, match="killed"):
            run_recipe(recipe, tmp_path / "killed", QUIET)
    sentences: list[str] = []
    resumed = run_recipe(recipe, tmp_path / "killed", QUIET, on_stage=sentences.append)
    assert "was finished: 2 steps" in sentences[1]
    assert "is finished: 4 steps" in sentences[3]
    assert weights_of(resumed) == weights_of(whole)

    assert load(resumed)(torch.rand(1, 4, 1, 40, 40), 2).shape == (1, 2, 1, 40, 40)
    card = json.loads((resumed / "card.json").read_text())
    assert (card["weights"]["name"], card["data"]["split"], card["data"]["clips"]) == ("tiny", "test", 2)
    assert {"blank", "last-frame"} <= card["baselines"].keys()
    readme = (resumed / "README.md").read_text()
    assert "train_weights.py tiny" in readme
    assert "| 2 | `smoke` | 0 | 4 |" in readme


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("without_report")
def test_half_precision_halves_the_file_and_is_what_is_scored(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    whole = run_recipe(read_recipe(tmp_path / "tiny.yaml"), tmp_path / "whole", QUIET)
    (tmp_path / "tiny.yaml").write_text(f"{RECIPE}half: true\n")
    half = run_recipe(read_recipe(tmp_path / "tiny.yaml"), tmp_path / "half", QUIET)
    assert len(weights_of(half)) < 0.6 * len(weights_of(whole))
    net = load(half)
    assert {tensor.dtype for tensor in net.state_dict().values()} == {torch.float32}
    for name, tensor in load(whole).state_dict().items():
        torch.testing.assert_close(net.state_dict()[name], tensor.half().float(), rtol=0, atol=0)
    card = json.loads((half / "card.json").read_text())
    assert card["weights"]["sha256"] == hashlib.sha256(weights_of(half)).hexdigest()


@pytest.mark.filterwarnings("ignore")
def test_settings_for_a_gpu_are_used_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = "    gpu: {trainer.precision: none-such}\n  - config: smoke\n    overrides: {<<"
    (tmp_path / "tiny.yaml").write_text(RECIPE.replace("  - config: smoke\n    overrides: {<<", gpu))
    recipe = read_recipe(tmp_path / "tiny.yaml")
    assert [stage.gpu for stage in recipe.stages] == [{"trainer.precision": "none-such"}, {}]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ConfigError, match=r"trainer\.precision"):
        run_recipe(recipe, tmp_path / "gpu", QUIET | {"trainer.accelerator": "gpu"})
    opened: list[list[str]] = []
    monkeypatch.setattr(recipes_module, "open_config", opened.append)
    with pytest.raises(AttributeError):  # nothing is opened that could start
        run_recipe(recipe, tmp_path / "cpu", QUIET)
    assert opened
    assert not any("precision" in argument for argument in opened[0])


def test_another_recipe_does_not_continue_a_folder(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "1-smoke").mkdir()
    (tmp_path / "1-smoke/stage.json").write_text("{}")
    with pytest.raises(ConfigError, match="holds a stage of other settings"):
        run_recipe(recipe, tmp_path, QUIET)


@pytest.mark.parametrize(
    "content", ["", "stages: []", "stages: 3\nscore: {}", "stages: [{configs: 1}]\nscore: {name: a}"]
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "wrong.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"wrong\.yaml is not a recipe"):
        read_recipe(tmp_path / "wrong.yaml")


@pytest.mark.parametrize("name", recipes())
def test_shipped_recipes_name_configs_and_settings_that_exist(name: str) -> None:
    for stage in read_recipe(name).stages:
        lines = find_config(stage.config).read_text()
        for setting in stage.overrides:
            assert setting == "weights" or f" {setting.rpartition('.')[2]}:" in lines
    first = read_recipe(name).stages[0].overrides
    assert first.get("weights", "moving-mnist") in recipes()  # what a recipe starts from has a recipe, too


SMALL = QUIET | {
    "model.net.init_args.coarse_channels": 8,
    "model.net.init_args.fine_channels": 4,
    "model.net.init_args.embedding_channels": 4,
    "data.init_args.batch_size": 2,
    "data.init_args.val_clips": 1,
    "data.init_args.horizon": 1,
}
"""Settings that run a shipped recipe of a layered or tracking forecaster on seconds of work."""


def scored_by(name: str, folder: Path, overrides: dict[str, object]) -> tuple[Recipe, dict[str, Any]]:
    """Run all stages of a shipped recipe for single steps; return the recipe and the card of the result."""
    recipe = read_recipe(name)
    weights = run_recipe(recipe, folder, SMALL | overrides, scale=1e-6)
    net = load(weights)
    assert next(net.parameters()).isfinite().all()
    for number, stage in enumerate(recipe.stages, start=1):
        assert json.loads((folder / f"{number}-{stage.config}" / "run.json").read_text())["steps"] == 1
    assert f"train_weights.py {name}" in (weights / "README.md").read_text()
    card: dict[str, Any] = json.loads((weights / "card.json").read_text())
    return recipe, card


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("without_report")
def test_the_recipe_of_natural_small_runs_on_prepared_clips(tmp_path: Path) -> None:
    """Clips as datasets/natural_video makes them, but smaller and shorter."""
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        clips = np.random.default_rng(0).integers(0, 256, (2, 5, 1, 24, 24), dtype=np.uint8)
        np.save(tmp_path / split / "000.npy", clips)
    overrides = {"data.init_args.root": str(tmp_path), "data.init_args.context": 4, "model.burn_in": 3}
    recipe, card = scored_by("natural-small", tmp_path / "runs", overrides)
    assert len(recipe.stages) == 2
    assert (card["data"]["name"], card["data"]["split"], card["data"]["clips"]) == ("natural-video", "val", 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("without_report")
def test_the_recipe_of_moving_fashion_mnist_runs_on_its_files(fashion_files: Path, tmp_path: Path) -> None:
    net = TrackingForecaster(coarse_channels=8, fine_channels=4, embedding_channels=4)
    net.save_pretrained(tmp_path / "first")
    overrides = {"data.init_args.root": str(fashion_files), "data.init_args.test_clips": 1}
    recipe, card = scored_by(
        "moving-fashion-mnist", tmp_path / "runs", overrides | {"weights": str(tmp_path / "first")}
    )
    assert [stage.config.rpartition("_")[2] for stage in recipe.stages] == ["tracking", "paths"]
    assert (card["weights"]["name"], card["data"]["split"]) == ("moving-fashion-mnist", "test")
