"""Recipes of weights: training stages from public data to a folder of weights with its card, resumable after a kill."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import yaml

from framepred.errors import ConfigError
from framepred.evaluation import Card, WeightsRecord
from framepred.media.atomic import atomic_write
from framepred.models.cost import count_parameters
from framepred.models.pretrained import Network, Pretrained, load_weights
from framepred.training.checkpointing import last_path
from framepred.training.config_files import find_config, find_recipe
from framepred.training.configuration import open_config, to_arguments
from framepred.training.run import RESUME_LAST, TrainingResult
from framepred.training.scoring import SplitClips, score_network

STAGE = "stage.json"
"""File in a stage's folder: what the stage was started with."""
SCALED = ("max_steps", "val_check_interval")


@dataclass(frozen=True)
class Stage:
    """One training of a recipe.

    Attributes:
        config: YAML file or shipped name.
        overrides: settings that replace those of the config, with dotted names.
        gpu: further settings where PyTorch finds a CUDA GPU and the accelerator is not ``cpu``, for speed; a run may
            continue without them.
    """

    config: str
    overrides: dict[str, Any] = field(default_factory=dict)
    gpu: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scoring:
    """How the weights of a recipe are scored: on a split of the last stage's data.

    Attributes:
        name: name of the data in the card.
        split: ``test`` or ``val``.
        overrides: settings of the data that replace those of the last stage.
    """

    name: str
    split: Literal["test", "val"] = "test"
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A named sequence of trainings. Each stage starts from the best weights of the stage before it.

    Attributes:
        name: name of the weights.
        stages: the trainings, at least one.
        scoring: how the result is scored.
        half: whether the weights are stored in float16, in half the space; the result is scored as it is stored.
    """

    name: str
    stages: list[Stage]
    scoring: Scoring
    half: bool = False


def read_recipe(name: str | Path) -> Recipe:
    """Read a recipe by the name of its weights or by its file.

    Raises:
        ConfigError: if there is no such recipe, or its file is not a recipe.
    """
    path = find_recipe(name)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        stages = [Stage(**stage) for stage in content["stages"]]
        recipe = Recipe(path.stem, stages, Scoring(**content["score"]), bool(content.get("half", False)))
    except (OSError, UnicodeError, yaml.YAMLError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path} is not a recipe ({' '.join(str(error).split())}); it needs stages with config and overrides, "
            "and score with name, split and overrides."
        ) from error
    if not recipe.stages or recipe.scoring.split not in ("test", "val"):
        raise ConfigError(f"{path} is not a recipe: it needs a stage, and the split of its score is test or val.")
    return recipe


def run_recipe(
    recipe: Recipe,
    output: Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    scale: float = 1.0,
    on_stage: Callable[[str], object] = lambda _: None,
) -> Path:
    """Train all stages of a recipe, then write weights, card and README into ``output/NAME``.

    Called again after a kill, it skips finished stages and resumes the unfinished one from its last checkpoint.

    Args:
        recipe: the recipe.
        output: folder for the runs of the stages and for the weights.
        overrides: settings of every stage, such as ``data.init_args.root``; they replace those of the recipe.
        scale: factor on the steps of every stage, for trials.
        on_stage: called with a sentence when a stage begins or is found finished.

    Returns:
        The folder of the weights.

    Raises:
        ConfigError: if a stage cannot be trained, or the folder holds stages of another recipe.
    """
    common = dict(overrides or {})
    results: list[TrainingResult] = []
    for number, stage in enumerate(recipe.stages, start=1):
        folder = output / f"{number}-{Path(stage.config).stem}"
        settings = stage.overrides | common | _scaled_steps(stage, scale)
        on_stage(f"Stage {number} of {len(recipe.stages)}: {stage.config} in {folder}.")
        results.append(_run_stage(stage, settings, folder, results[-1].weights if results else None))
        on_stage(results[-1].summary)
    folder = output / recipe.name
    _write_weights(recipe, results, common, folder)
    return folder


def _run_stage(stage: Stage, settings: dict[str, Any], folder: Path, weights: Path | None) -> TrainingResult:
    """Train a stage, or resume it, or return its result where it is finished."""
    marked = {"config": stage.config, "settings": settings, "weights": weights and str(weights)}
    started_with = json.dumps(marked, indent=2)
    marker = folder / STAGE
    if marker.is_file() and marker.read_text() != started_with:
        raise ConfigError(f"{folder} holds a stage of other settings, see {marker}; choose another output folder.")
    with atomic_write(marker) as draft:
        draft.write_text(started_with)
    on_gpu = torch.cuda.is_available() and settings.get("trainer.accelerator") != "cpu"
    fast = stage.gpu if on_gpu else {}
    settings = fast | settings | {"trainer.default_root_dir": str(folder)}
    if last_path(folder).exists():
        settings["ckpt_path"] = RESUME_LAST
    chosen = {} if weights is None else {"weights": str(weights)}
    return open_config([f"--config={find_config(stage.config)}", *to_arguments(settings | chosen)]).start()


def _scaled_steps(stage: Stage, scale: float) -> dict[str, Any]:
    """Return the steps of a stage and between its validations, times ``scale``, each at least 1."""
    if scale == 1.0:
        return {}
    trainer = yaml.safe_load(find_config(stage.config).read_text(encoding="utf-8"))["trainer"]
    full = {name: stage.overrides.get(f"trainer.{name}", trainer[name]) for name in SCALED if name in trainer}
    return {f"trainer.{name}": max(1, round(steps * scale)) for name, steps in full.items()}


def _write_weights(recipe: Recipe, results: list[TrainingResult], common: dict[str, Any], folder: Path) -> None:
    best = results[-1].weights
    assert best is not None
    net = load_weights(best).net
    assert isinstance(net, Pretrained)
    with atomic_write(folder) as draft:
        (net.half() if recipe.half else net).save_pretrained(draft)
        stored = load_weights(draft)
        card = _score(recipe, stored.net, stored.sha256, common)
        card.write(draft / "card.json")
        (draft / "README.md").write_text(_readme(recipe, results, stored.net, card))


def _score(recipe: Recipe, net: Network, sha256: str, common: dict[str, Any]) -> Card:
    """Evaluate the weights beside the baselines, as a forecaster or as a restorer of a gap in the middle."""
    last = recipe.stages[-1]
    settings = last.overrides | recipe.scoring.overrides | common
    run = open_config([f"--config={find_config(last.config)}", *to_arguments(settings)])
    run.datamodule.prepare_data()
    run.datamodule.setup("test" if recipe.scoring.split == "test" else "fit")
    return score_network(
        run.model,
        net,
        SplitClips(run.model, run.datamodule, recipe.scoring.split),
        data_name=recipe.scoring.name,
        weights=WeightsRecord(recipe.name, sha256),
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    )


def _readme(recipe: Recipe, results: list[TrainingResult], net: Network, card: Card) -> str:
    """Return the README of the weights: recipe, seed, time, machine class and score."""
    rows = "\n".join(_stage_rows(recipe, results))
    mse = json.loads(card.to_json())["metrics"]["mse"]["value"]
    return f"""# {recipe.name}

A `{type(net).__name__}` with {count_parameters(net):,} parameters. The command
`python scripts/train_weights.py {recipe.name}` makes these weights from public data by the recipe
`configs/recipes/{recipe.name}.yaml`; no step is done by hand.

| stage | config | seed | steps | minutes | machine |
| --- | --- | ---: | ---: | ---: | --- |
{rows}

Score: MSE {mse:.2f} ({recipe.scoring.name}, {recipe.scoring.split}, protocol {card.protocol}), see `card.json`.
"""


def _stage_rows(recipe: Recipe, results: list[TrainingResult]) -> Iterator[str]:
    for number, (stage, result) in enumerate(zip(recipe.stages, results, strict=True), start=1):
        took = json.loads((result.folder / "run.json").read_text())
        config = yaml.safe_load((result.folder / "config.yaml").read_text())
        yield (
            f"| {number} | `{stage.config}` | {config['seed_everything']} | {took['steps']:,} | {took['minutes']:g} | "
            f"{took['machine']} |"
        )
