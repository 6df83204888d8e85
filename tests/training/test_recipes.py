"""Recipes of weights: all stages, resumed after a kill, to scored weights; every shipped recipe is readable."""

import json
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from framepred.errors import ConfigError
from framepred.models import load
from framepred.training import callbacks
from framepred.training.config_files import find_config, recipes
from framepred.training.recipes import Recipe, read_recipe, run_recipe

RECIPE = """
stages:
  - config: smoke
    overrides: {trainer.max_steps: 2, trainer.val_check_interval: 2}
  - config: smoke
    overrides: {trainer.max_steps: 4, trainer.val_check_interval: 2, data.init_args.seed: 1}
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
            assert f" {setting.rpartition('.')[2]}:" in lines
