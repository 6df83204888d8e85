"""``framepred train``: training by a config file."""

from typing import Annotated

import typer

from framepred.cli.processes import is_first_process
from framepred.cli.signals import Stopped
from framepred.errors import ConfigError
from framepred.training.config_files import configs, find_config

SHORTHANDS = {"--skip-broken": "--data.init_args.skip_broken=true"}
CONFIG_OPTIONS = ("--config", "-c")


def train(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="--config YAML …", show_default=False)] = None,
) -> None:
    """Train a network: --config YAML, then any --data.…, --model.…, --trainer.…, --ckpt_path last, --skip-broken."""
    resolved = [SHORTHANDS.get(argument, argument) for argument in resolve_configs(arguments or [])]

    from framepred.training.configuration import open_config
    from framepred.training.stopping import TrainingStopped

    try:
        result = open_config(resolved).start()
    except TrainingStopped as stop:
        raise Stopped(stop.number, f"{stop} Resume it with --ckpt_path last.") from None
    if is_first_process():
        advice = " To train on, raise --trainer.max_steps." if result.already_finished else ""
        typer.echo(f"{result.summary}{advice}", err=True)


def resolve_configs(arguments: list[str]) -> list[str]:
    """Replace the names of shipped configs after ``--config`` by their paths.

    Raises:
        ConfigError: if no config is given, or one is neither a file nor shipped.
    """
    resolved: list[str | None] = list(arguments)
    given = "--help" in arguments
    for index, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option not in CONFIG_OPTIONS:
            continue
        given = True
        if equals:
            resolved[index] = f"{option}={find_config(value)}"
        elif index + 1 < len(arguments):
            resolved[index : index + 2] = [None, f"--config={find_config(arguments[index + 1])}"]
    if not given:
        raise ConfigError(f"Give a config with --config: a YAML file, or one of {', '.join(configs())}.")
    return [argument for argument in resolved if argument is not None]
