"""Choose the device that a network runs on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from framepred.errors import ConfigError

LOCAL_RANK = "LOCAL_RANK"
"""Environment variable that numbers the processes of a machine; torchrun and Lightning set it."""


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """Return the device of this name; ``auto`` is a CUDA GPU if PyTorch finds one, else the CPU.

    Of several processes on a machine that torchrun starts, each gets a GPU of its own by ``auto`` and by ``cuda``;
    processes beyond the number of GPUs share them.

    Raises:
        ConfigError: if the name is not ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, or PyTorch finds no such device.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except RuntimeError:
        found = None
    if found is None or found.type not in ("cpu", "cuda"):
        raise ConfigError(f"There is no device {str(device)!r}; choose auto, cpu or cuda.")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("PyTorch finds no CUDA device here; choose the device cpu, or install a CUDA build of it.")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"There is no device {str(device)!r}: PyTorch finds {torch.cuda.device_count()} GPUs, counted from 0."
        )
    if found.type == "cuda" and found.index is None and LOCAL_RANK in os.environ:
        return torch.device("cuda", int(os.environ[LOCAL_RANK]) % torch.cuda.device_count())
    return found


@contextmanager
def full_float32() -> Iterator[None]:
    """Turn off TF32, which convolutions on a GPU use by default; it rounds their inputs to 10 bits."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


def device_of(net: nn.Module) -> torch.device:
    """Return the device of a network's parameters; the CPU if it has none."""
    return next((tensor.device for tensor in net.parameters()), torch.device("cpu"))
