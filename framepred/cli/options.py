"""Options that several verbs share, each written once."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from framepred.errors import ConfigError

if TYPE_CHECKING:
    import torch


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Protocol(StrEnum):
    """Named protocols of evaluation."""

    OPENSTL = "openstl"
    WANG2004 = "wang2004"


class Split(StrEnum):
    """Splits by digit image."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


DIGITS = {"moving-mnist": "mnist", "moving-fashion-mnist": "fashion-mnist"}

MAX_SIDE = 512

NATURAL = "natural-small"
"""Bundled weights that videos of any kind are predicted with, unless others are named."""

WeightsOption: TypeAlias = Annotated[
    str, typer.Option("--weights", help="Bundled name, folder, .ckpt, or owner/name on the Hugging Face Hub.")
]
ContextOption: TypeAlias = Annotated[int, typer.Option("--context", min=1, help="Frames that are seen.")]
SeedOption: TypeAlias = Annotated[int, typer.Option("--seed", min=0, help="Which stream of generated clips.")]
RootOption: TypeAlias = Annotated[Path | None, typer.Option("--root", help="Folder of MNIST's IDX files.")]
DownloadOption: TypeAlias = Annotated[bool, typer.Option("--download", help="Fetch digits that are missing.")]
DeviceOption: TypeAlias = Annotated[Device, typer.Option("--device", help="Where the network runs.")]
BatchOption: TypeAlias = Annotated[int, typer.Option("--batch-size", min=1, help="Clips at a time.")]
MaxSideOption: TypeAlias = Annotated[
    int, typer.Option("--max-side", min=8, help="Frames with a longer side are scaled to it for the network.")
]
LayoutOption: TypeAlias = Annotated[
    str | None, typer.Option("--layout", help="Order of an array's axes, such as thwc.")
]
RangeOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--range",
        metavar="auto|LOW,HIGH",
        help="Values of arrays and 16-bit pictures that become black and white; auto takes those that they use.",
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def pick_device(device: Device) -> "torch.device":
    """The device asked for; ``auto`` takes a GPU where there is one.

    Raises:
        ConfigError: if CUDA is asked for and there is none.
    """
    import torch

    if device is Device.AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device is Device.CUDA and not torch.cuda.is_available():
        raise ConfigError("PyTorch finds no CUDA device here; use --device cpu, or install a CUDA build of PyTorch.")
    return torch.device(device.value)


def check_digits(name: str) -> str:
    """The digits behind a generated data set's name.

    Raises:
        ConfigError: if the name is unknown.
    """
    if name not in DIGITS:
        raise ConfigError(f"There is no generated data set {name!r}; choose {' or '.join(DIGITS)}.")
    return DIGITS[name]
