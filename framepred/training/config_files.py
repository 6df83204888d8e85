"""Config files by path or by name. Needs no torch, so that a wrong name is refused at once."""

from pathlib import Path

import yaml

from framepred.errors import ConfigError

MAX_BYTES = 1_000_000
"""Size of a config, at most; those of framepred have less than 5,000 bytes."""

_PACKAGE = Path(__file__).parents[1]


def configs() -> dict[str, Path]:
    """Return the configs that ship with framepred, by name."""
    return _yaml_files(".")


def recipes() -> dict[str, Path]:
    """Return the recipes of the bundled weights, by name."""
    return _yaml_files("recipes")


def fragments() -> dict[str, Path]:
    """Return the fragments of configs, which set the trainer's devices only, by name."""
    return _yaml_files("fragments")


def find_config(name: str | Path) -> Path:
    """Return the config file of a path or of the shipped name of a config or fragment.

    Raises:
        ConfigError: if there is neither, or the file holds no settings.
    """
    path = _find(name, "config", configs() | fragments())
    if not _holds_settings(path):
        raise ConfigError(f"{name} holds no settings by name; give a YAML file of a config.")
    return path


def find_recipe(name: str | Path) -> Path:
    """Return the recipe file of a path or of the name of bundled weights.

    Raises:
        ConfigError: if there is neither.
    """
    return _find(name, "recipe", recipes())


def _find(name: str | Path, kind: str, shipped: dict[str, Path]) -> Path:
    if Path(name).is_file():
        if Path(name).stat().st_size > MAX_BYTES:
            raise ConfigError(f"{name} has more than {MAX_BYTES:,} bytes; give a YAML file of a {kind}.")
        return Path(name)
    if str(name) not in shipped:
        raise ConfigError(f"There is no {kind} {name}: give a YAML file, or one of {', '.join(shipped)}.")
    return shipped[str(name)]


def _holds_settings(path: Path) -> bool:
    """Whether a file may be YAML of settings by name; False where it is YAML of anything else, such as a sentence."""
    try:
        return isinstance(yaml.safe_load(path.read_bytes()), dict)
    except (yaml.YAMLError, RecursionError, ValueError):  # who reads the settings says where the file is wrong
        return True


def _yaml_files(subfolder: str) -> dict[str, Path]:
    """Return the YAML files in the wheel's folder of configs, or in that of a clone."""
    root = next(folder for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if folder.is_dir())
    return {path.stem: path for path in sorted((root / subfolder).glob("*.yaml"))}
