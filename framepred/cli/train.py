"""``framepred train``: Lightning's command line over a config."""

from pathlib import Path
from typing import Annotated

import typer

from framepred.errors import ConfigError

SHORTHANDS = {"--skip-broken": "--data.init_args.skip_broken=true"}


def train(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="--config YAML …", show_default=False)] = None,
) -> None:
    """Train a forecaster: --config YAML, then any --data.…, --model.…, --trainer.…, --ckpt_path last, --skip-broken."""
    resolved = [SHORTHANDS.get(argument, argument) for argument in resolve_configs(arguments or [])]

    from framepred.cli.lightning import run_training

    run_training(resolved)


def configs() -> dict[str, Path]:
    """Configs that ship with framepred, by name."""
    package = Path(__file__).parents[1]
    folder = next(folder for folder in (package / "configs", package.parent / "configs") if folder.is_dir())
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def resolve_configs(arguments: list[str]) -> list[str]:
    """Replace the names of shipped configs after ``--config`` by their paths.

    Raises:
        ConfigError: if no config is given, or one is neither a file nor shipped.
    """
    resolved = list(arguments)
    given = "--help" in arguments
    for index, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag not in ("--config", "-c"):
            continue
        given = True
        if equals:
            resolved[index] = f"{flag}={find_config(value)}"
        elif index + 1 < len(arguments):
            resolved[index + 1] = str(find_config(arguments[index + 1]))
    if not given:
        raise ConfigError(f"Say what to train with --config: a YAML file, or one of {', '.join(configs())}.")
    return resolved


def find_config(name: str) -> Path:
    """The config file of that path or shipped name.

    Raises:
        ConfigError: if there is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    if name not in configs():
        raise ConfigError(f"There is no config {name}: give a YAML file, or one of {', '.join(configs())}.")
    return configs()[name]
