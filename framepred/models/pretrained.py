"""Pretrained weights: bundled, in a folder, in a checkpoint, or on the Hugging Face Hub.

A folder of weights holds ``config.json`` (class and arguments of the network) and ``model.safetensors``. Bundled
folders also hold ``card.json`` (their scores) and ``README.md`` (their training data). Loading executes no code from
these files: nothing is unpickled beyond tensors and plain values, and only classes of ``framepred.models`` are built.
"""

import hashlib
import json
import re
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from framepred.errors import ConfigError, WeightsError, reason_of
from framepred.forecaster import Forecaster
from framepred.media.ranges import ValueRange
from framepred.media.text import read_small_text
from framepred.models.checkpoints import read_checkpoint
from framepred.models.class_names import check_exported, exported_class, imported_class, saved_name
from framepred.models.exported import load_onnx
from framepred.models.forecast_restorer import ForecastRestorer
from framepred.models.tensor_shapes import SizeLimit, difference, tensor_shapes
from framepred.restorer import Restorer

BUNDLED = Path(__file__).with_name("weights")
RANGE = "value_range"
"""Entry of ``config.json`` that is no argument of the network."""
CONFIG, MODEL, ONNX, PT2 = "config.json", "model.safetensors", ".onnx", ".pt2"

_HUB_CARD = """---
library_name: framepred
license: apache-2.0
tags:
- video-prediction
---

Weights of framepred: `framepred predict clip.mp4 --weights {}`.
"""

MAX_CONFIG_BYTES = 100_000
"""Largest ``config.json``; those of framepred have less than 1,000 bytes."""


_Net = TypeVar("_Net", bound="Pretrained")


class Pretrained(nn.Module):
    """A network that is saved and loaded as weights, in a folder or on the Hugging Face Hub.

    Subclasses take plain arguments, which JSON can hold. Weights of those that ``framepred.models`` does not export
    load once the module that defines them is imported.

    Attributes:
        arguments: those of ``__init__`` that rebuild the network, by name.
        saved_dtype: type in which floats are saved; None for the type that they have.
        value_range: the values of arrays and of pictures with more than 8 bits that the network was trained on as 0
            and 1; None if it was trained on bytes, or on values whose type states the range.
    """

    arguments: dict[str, Any]
    saved_dtype: ClassVar[torch.dtype | None] = None
    value_range: ValueRange | None = None

    def __new__(cls: type[_Net], *args: Any, **kwargs: Any) -> _Net:
        """Note the arguments.

        Raises:
            ConfigError: if the class is one of ``framepred.models`` that is not exported.
        """
        check_exported(cls)
        net: _Net = super().__new__(cls)
        bound = signature(cls.__init__).bind_partial(net, *args, **kwargs)
        bound.apply_defaults()
        vars(net)["arguments"] = dict(list(bound.arguments.items())[1:])
        return net

    @classmethod
    def from_pretrained(cls: type[_Net], name: str | Path) -> _Net:
        """Load such a network, on the CPU, in eval mode; names as in :func:`load`.

        Raises:
            WeightsError: as :func:`load` does, or if the weights are those of another class.
        """
        net = load_weights(name).net
        if not isinstance(net, cls):
            raise WeightsError(f"The weights {name} are those of {saved_name(type(net))}, not of {saved_name(cls)}.")
        return net

    def save_pretrained(self, folder: str | Path) -> None:
        """Write weights and arguments into a folder, which is made where it is missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        kept = {
            name: tensor.to(self.saved_dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
            for name, tensor in self.state_dict().items()
        }
        (folder / MODEL).write_bytes(save(kept, metadata={"format": "pt"}))
        (folder / CONFIG).write_text(json.dumps(describe(self), indent=2) + "\n")

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Upload weights and arguments to the Hugging Face Hub.

        Args:
            repo_id: ``owner/name``; it is made where it is missing.
            private: whether a new repository is private.
            token: access token; None for that of ``hf auth login``.

        Returns:
            The address of the commit.
        """
        from huggingface_hub import HfApi  # takes .1 s, and only those who use the network need it

        api = HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            (Path(folder) / "README.md").write_text(_HUB_CARD.format(repo_id))
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder))


class PretrainedForecaster(Pretrained, Forecaster):
    """A forecaster that is saved and loaded as weights."""


class PretrainedRestorer(Pretrained, Restorer):
    """A restorer that is saved and loaded as weights."""


Network: TypeAlias = Forecaster | Restorer


class Weights(NamedTuple):
    """A loaded network, the name it was requested by, and the SHA-256 of its file."""

    net: Network
    name: str
    sha256: str


def describe(net: nn.Module) -> dict[str, Any]:
    """Return the class name, the arguments that rebuild a network, and its range, as ``config.json`` holds them."""
    value_range = getattr(net, "value_range", None)
    known = {} if value_range is None else {RANGE: value_range.to_json()}
    return {"class": saved_name(type(net)), **getattr(net, "arguments", {}), **known}


def set_value_range(net: Network, value_range: ValueRange | None) -> None:
    """Note in a network which values of files it was trained on as 0 and 1; its saved weights keep them."""
    vars(net)[RANGE] = value_range


def bundled_names() -> list[str]:
    """Return the names of the weights that ship with framepred."""
    return sorted(folder.name for folder in BUNDLED.iterdir() if (folder / MODEL).is_file())


def bundled_cards() -> dict[str, dict[str, Any]]:
    """Return the results cards of the bundled weights by name, each with the size of its file in bytes."""
    return {
        name: json.loads((BUNDLED / name / "card.json").read_text())
        | {"bytes": (BUNDLED / name / MODEL).stat().st_size}
        for name in bundled_names()
    }


def load(name: str | Path) -> Forecaster:
    """Load a pretrained forecaster, on the CPU, in eval mode.

    Args:
        name: a bundled name, a folder of weights, a ``.ckpt`` of ``framepred train``, an ``.onnx`` file of ``framepred
            export``, or an ``owner/name`` of the Hugging Face Hub. Only the last one uses the network.

    Raises:
        WeightsError: if there are no such weights, they are damaged or do not fit, or they are for restoring.

    Example:
        >>> import torch
        >>> from framepred.models import load
        >>> net = load("moving-mnist-convlstm")
        >>> context = torch.zeros(1, 10, 1, 64, 64, dtype=torch.uint8)  # (b, t, c, h, w)
        >>> net(context, horizon=10).shape
        torch.Size([1, 10, 1, 64, 64])
    """
    net = load_weights(name).net
    if not isinstance(net, Forecaster):
        raise WeightsError(f"The weights {name} restore missing frames and cannot forecast; use load_restorer.")
    return net


def load_restorer(name: str | Path) -> Restorer:
    """Load a pretrained restorer, on the CPU, in eval mode; names as in :func:`load`.

    Weights that forecast restore by :class:`~framepred.models.ForecastRestorer`, from both sides.

    Raises:
        WeightsError: if there are no such weights, or they are damaged or do not fit.
    """
    net = load_weights(name).net
    return net if isinstance(net, Restorer) else ForecastRestorer(net).eval()


def load_weights(name: str | Path) -> Weights:
    """Load a network as :func:`load` does, with the name and the hash that a results card records."""
    path = locate(name)
    if path.suffix.lower() == ONNX:
        return Weights(load_onnx(path), str(name), _sha256(path))
    config, tensors = _read_checkpoint(path) if path.is_file() else _read_folder(path)
    net = _rebuild(config, tensors, path)
    return Weights(net.eval(), str(name), _sha256(path / MODEL if path.is_dir() else path))


def locate(name: str | Path) -> Path:
    """Return the folder or checkpoint that a name stands for.

    Raises:
        WeightsError: if there is none.
    """
    if not str(name):
        raise WeightsError("The name of the weights is empty; give a bundled name, a folder or a .ckpt.")
    path = Path(name)
    if str(name) in bundled_names():
        return BUNDLED / str(name)
    try:
        if path.is_dir() or (path.suffix.lower() in (".ckpt", ONNX) and path.is_file()):
            return path
        if path.name == MODEL and path.is_file():
            return path.parent
        if path.suffix.lower() == PT2 and path.is_file():
            raise WeightsError(
                f"{name} is an export that torch.export.load runs, in programs of your own; here, give an .onnx export "
                "or the weights that it was made from."
            )
        may_be_on_hub = _is_hub_name(str(name)) and not path.parent.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        may_be_on_hub = False
    if may_be_on_hub:
        return _download(str(name))
    raise WeightsError(
        f"There are no weights {str(name)!r}: give one of {', '.join(bundled_names())}, a folder with {MODEL}, "
        "a .ckpt of a training run, an .onnx file of an export, or owner/name on the Hugging Face Hub."
    )


def _is_hub_name(name: str) -> bool:
    """Whether a name is an ``owner/name`` that the Hugging Face Hub permits."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, re.ASCII):
        return False
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=[CONFIG, MODEL]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise WeightsError(
            f"The weights {name!r} could not be fetched from the Hugging Face Hub ({reason_of(error)}); "
            f"check the name and the network, or use bundled ones: {', '.join(bundled_names())}."
        ) from error


def _read_folder(folder: Path) -> tuple[object, dict[str, Tensor]]:
    for name in (CONFIG, MODEL):
        if not (folder / name).is_file():
            raise WeightsError(
                f"{folder} does not hold weights: {name} is missing; a folder of weights has {CONFIG} and {MODEL}, as "
                "save_pretrained writes them."
            )
    try:
        return json.loads(read_small_text(folder / CONFIG, MAX_CONFIG_BYTES)), load_file(folder / MODEL)
    except (OSError, ValueError, RecursionError, MemoryError, SafetensorError) as error:
        raise WeightsError(
            f"{folder} does not hold readable weights ({reason_of(error)}); "
            f"a folder of weights has {CONFIG} and {MODEL}, as save_pretrained writes them."
        ) from error


def _read_checkpoint(path: Path) -> tuple[object, dict[str, Tensor]]:
    checkpoint = read_checkpoint(path)
    tensors = {
        key.removeprefix("net."): tensor for key, tensor in checkpoint["state_dict"].items() if key.startswith("net.")
    }
    return checkpoint["net"], tensors


def _rebuild(config: object, tensors: dict[str, Tensor], path: Path) -> Network:
    """Build the network that a config describes and give it its weights.

    Construction stops as soon as the network has more values than the file, so a config cannot make it allocate more.

    Raises:
        WeightsError: if the config names no network of ``framepred.models`` or does not fit the tensors.
    """
    kind, arguments = _described(config, path)
    value_range = arguments.pop(RANGE, None)
    try:
        with SizeLimit(tensors):
            net = kind(**arguments)
        if value_range is not None:
            set_value_range(net, ValueRange.from_json(value_range))
    except ConfigError as error:
        raise WeightsError(f"The {CONFIG} of {path} cannot be used: {error}") from error
    except Exception as error:  # arguments of wrong types fail in as many ways as there are types
        raise WeightsError(
            f"The {CONFIG} of {path} does not fit this version's {kind.__name__} ({reason_of(error)}); "
            "weights of framepred 0.1 are converted by scripts/convert_weights.py."
        ) from error
    expected, found = tensor_shapes(net.state_dict()), tensor_shapes(tensors)
    if expected != found:
        raise WeightsError(
            f"{path} does not fit the network that it names ({difference(expected, found)}); export the weights "
            "again, or convert weights of framepred 0.1 by scripts/convert_weights.py."
        )
    net.load_state_dict(tensors, strict=True)
    return net


def _described(config: object, path: Path) -> tuple[type[Network], dict[str, Any]]:
    """Return the class and the arguments of a config, checked before anything is built."""
    arguments = dict(config) if isinstance(config, dict) else {}
    name = arguments.pop("class", None)
    kind = exported_class(str(name)) or imported_class(str(name), Pretrained)
    if not (kind and issubclass(kind, Pretrained) and issubclass(kind, (Forecaster, Restorer))):
        raise WeightsError(
            f"{path} holds weights of the class {name!r:.80}, which framepred.models does not have; import the module "
            "that defines it first, in Python, as a subclass of PretrainedForecaster or PretrainedRestorer."
        )
    return kind, arguments


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
