"""Weights: bundled, in a folder, in a checkpoint, or on the Hugging Face Hub.

A folder of weights holds ``config.json`` (the class's name and its arguments) and ``model.safetensors``; bundled
ones also ``card.json`` (how they score) and ``README.md`` (what they were trained on). Nothing here unpickles: a
file from a stranger cannot run code.
"""

import hashlib
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from huggingface_hub import PyTorchModelHubMixin, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from framepred.errors import ConfigError, WeightsError
from framepred.forecaster import Forecaster
from framepred.models.checkpoints import read_checkpoint
from framepred.restorer import Restorer

BUNDLED = Path(__file__).with_name("weights")
CONFIG, MODEL = "config.json", "model.safetensors"


class Pretrained(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="framepred",
    license="apache-2.0",
    tags=["video-prediction"],
):
    """A network with ``from_pretrained``, ``save_pretrained`` and ``push_to_hub``.

    Subclasses live in ``framepred.models`` and take plain arguments, which JSON can hold.
    """

    def _remember(self, **arguments: Any) -> None:
        """Give arguments of ``__init__`` that JSON cannot hold the form in which ``config.json`` shall name them."""
        self._hub_mixin_config = _arguments(self) | arguments

    def _save_pretrained(self, save_directory: Path) -> None:
        super()._save_pretrained(save_directory)
        (save_directory / CONFIG).write_text(json.dumps(describe(self), indent=2) + "\n")

    @classmethod
    def _from_pretrained(cls, *, strict: bool = True, **arguments: Any) -> "Pretrained":
        net: Pretrained = super()._from_pretrained(strict=strict, **arguments)
        return net


class PretrainedForecaster(Pretrained, Forecaster):
    """A forecaster that is saved and loaded as weights."""


class PretrainedRestorer(Pretrained, Restorer):
    """A restorer that is saved and loaded as weights."""


Network: TypeAlias = Forecaster | Restorer


class Weights(NamedTuple):
    """A loaded network, the name it was asked for by, and the SHA-256 of its file."""

    net: Network
    name: str
    sha256: str


def describe(net: nn.Module) -> dict[str, Any]:
    """What rebuilds the network: its class's name and its arguments."""
    return {"class": type(net).__name__, **_arguments(net)}


def _arguments(net: nn.Module) -> dict[str, Any]:
    """The arguments of a network as the hub's mixin noted them."""
    return getattr(net, "_hub_mixin_config", None) or {}


def bundled_names() -> list[str]:
    """Names of the weights that ship with framepred."""
    return sorted(folder.name for folder in BUNDLED.iterdir() if (folder / MODEL).is_file())


def bundled_cards() -> dict[str, dict[str, Any]]:
    """The results cards of the bundled weights, by name, each with the size of its file in bytes."""
    return {
        name: json.loads((BUNDLED / name / "card.json").read_text())
        | {"bytes": (BUNDLED / name / MODEL).stat().st_size}
        for name in bundled_names()
    }


def load(name: str | Path) -> Forecaster:
    """The pretrained forecaster of that name, on the CPU, in eval mode.

    Args:
        name: a bundled name, a folder of weights, a ``.ckpt`` of ``framepred train``, or an ``owner/name`` of the
            Hugging Face Hub; only the last may ask the network.

    Raises:
        WeightsError: if there are no such weights, they are damaged or do not fit, or they restore instead of forecast.
    """
    net = load_weights(name).net
    if not isinstance(net, Forecaster):
        raise WeightsError(f"The weights {name} restore missing frames and cannot forecast; use load_restorer.")
    return net


def load_restorer(name: str | Path) -> Restorer:
    """The pretrained restorer of that name, on the CPU, in eval mode; names as in :func:`load`.

    Raises:
        WeightsError: if there are no such weights, they are damaged or do not fit, or they forecast instead of restore.
    """
    net = load_weights(name).net
    if not isinstance(net, Restorer):
        raise WeightsError(f"The weights {name} forecast and cannot restore missing frames; use moving-mnist-restore.")
    return net


def load_weights(name: str | Path) -> Weights:
    """As :func:`load`, with the name and hash that a results card records."""
    path = locate(name)
    config, tensors = _read_checkpoint(path) if path.is_file() else _read_folder(path)
    net = _rebuild(config, path)
    try:
        net.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise WeightsError(
            f"{path} does not fit the network that it names ({_first_line(error)}); export the weights again."
        ) from error
    return Weights(net.eval(), str(name), _sha256(path / MODEL if path.is_dir() else path))


def locate(name: str | Path) -> Path:
    """The folder or checkpoint that a name stands for, as :func:`load` finds it."""
    path = Path(name)
    if str(name) in bundled_names():
        return BUNDLED / str(name)
    if path.is_dir() or (path.suffix == ".ckpt" and path.is_file()):
        return path
    if path.name == MODEL and path.is_file():
        return path.parent
    if re.fullmatch(r"[\w-]+/[\w.-]+", str(name)) and not path.parent.is_dir():
        return _download(str(name))
    raise WeightsError(
        f"There are no weights {str(name)!r}: give one of {', '.join(bundled_names())}, a folder with {MODEL}, "
        "a .ckpt of a training run, or owner/name on the Hugging Face Hub."
    )


def _download(name: str) -> Path:
    try:
        return Path(snapshot_download(name, allow_patterns=[CONFIG, MODEL]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise WeightsError(
            f"The weights {name!r} could not be fetched from the Hugging Face Hub ({_first_line(error)}); "
            f"check the name and the network, or use bundled ones: {', '.join(bundled_names())}."
        ) from error


def _read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        return json.loads((folder / CONFIG).read_text()), load_file(folder / MODEL)
    except (OSError, ValueError, SafetensorError) as error:
        raise WeightsError(
            f"{folder} does not hold readable weights ({_first_line(error)}); "
            f"a folder of weights has {CONFIG} and {MODEL}, as save_pretrained writes them."
        ) from error


def _read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    checkpoint = read_checkpoint(path)
    tensors = {
        key.removeprefix("net."): tensor for key, tensor in checkpoint["state_dict"].items() if key.startswith("net.")
    }
    return checkpoint["net"], tensors


def _rebuild(config: dict[str, Any], path: Path) -> Network:
    arguments = dict(config)
    name = arguments.pop("class", None)
    kind = getattr(import_module("framepred.models"), str(name), None)
    if not (isinstance(kind, type) and issubclass(kind, (Forecaster, Restorer))):
        raise WeightsError(
            f"{path} holds weights of the class {name!r}, which framepred.models does not have; "
            "build the network yourself and use load_state_dict."
        )
    try:
        return kind(**arguments)
    except TypeError as error:
        raise WeightsError(f"{path} was made by another version of {name} ({error}); install that version.") from error
    except ConfigError as error:
        raise WeightsError(f"The {CONFIG} of {path} cannot be used: {error}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".:") or type(error).__name__
