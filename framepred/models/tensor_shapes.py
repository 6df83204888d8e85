"""Compare the tensors of saved weights with those of the network that is built for them."""

from contextlib import AbstractContextManager
from threading import get_ident

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from framepred.errors import ConfigError


def tensor_shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    """The shape of each tensor by its name."""
    return {name: tensor.shape for name, tensor in tensors.items()}


def difference(expected: dict[str, torch.Size], found: dict[str, torch.Size]) -> str:
    """Describe the first tensor that is missing, unknown or of another shape."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            return f"the tensor {name} is missing"
        if name not in expected:
            return f"the tensor {name:.80} is not part of the network"
        if expected[name] != found[name]:
            return f"{name} has the shape {list(found[name])} instead of {list(expected[name])}"
    return "no difference"


class SizeLimit(AbstractContextManager[None]):
    """Stops the construction of a network with more parameters or values than its file.

    PyTorch registers a parameter before it is initialised, so its memory is reserved but not yet in use.
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.parameters = len(tensors)
        self.values = sum(tensor.numel() for tensor in tensors.values())
        self.thread = get_ident()

    def __enter__(self) -> None:
        self._handle = register_module_parameter_registration_hook(self._count)

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _count(self, _module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        if parameter is None or get_ident() != self.thread:
            return
        self.parameters -= 1
        self.values -= parameter.numel()
        if self.parameters < 0 or self.values < 0:
            raise ConfigError("it describes a network with more values than model.safetensors holds.")
