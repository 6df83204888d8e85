"""Options that several commands share, each written once."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from framepred.errors import ConfigError
from framepred.media.formats import stated_path
from framepred.media.outputs import stated_output

if TYPE_CHECKING:
    from framepred.media.ranges import RangeChoice


class Device(StrEnum):
    """Device on which the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Precision(StrEnum):
    """Precision in which the network computes, by Lightning's names."""

    FLOAT32 = "32-true"
    BFLOAT16 = "bf16-mixed"


class Protocol(StrEnum):
    """Evaluation protocols by name."""

    OPENSTL = "openstl"
    PREDRNN = "predrnn"
    WANG2004 = "wang2004"


class Split(StrEnum):
    """Splits of the digit images."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


DIGITS = {"moving-mnist": "mnist", "moving-fashion-mnist": "fashion-mnist"}

MAX_SIDE = 512
"""Longer side of the frames that a network gets, in pixels, unless another is given."""

MAX_FRAMES = 10_000
"""Frames that an option takes at most: seven minutes at 25 frames a second, far beyond any useful forecast."""

MAX_CLIPS = 1_000_000
"""Clips that an option takes at most: a hundred times the usual test sets."""

MAX_BATCH = 10_000
"""Clips at a time at most: more gain no speed."""

MAX_FRAME_SIDE = 16_384
"""Height and width of generated frames at most, in pixels: twice the width of 8K video."""

MAX_SEED = 2**63 - 1
"""Largest seed that PyTorch takes."""

NATURAL = "natural-small"
"""Bundled weights that predict videos of any kind, unless others are named."""

WeightsOption: TypeAlias = Annotated[
    str, typer.Option("--weights", help="Bundled name, folder, .ckpt, .onnx, or owner/name on the Hugging Face Hub.")
]
NetworkOption: TypeAlias = Annotated[
    str, typer.Option("--weights", help="Bundled name, folder, .ckpt, or owner/name on the Hugging Face Hub.")
]
ContextOption: TypeAlias = Annotated[
    int, typer.Option("--context", min=1, max=MAX_FRAMES, help="Observed frames to predict from.")
]
FramesOption: TypeAlias = Annotated[int, typer.Option("--frames", min=1, max=MAX_FRAMES, help="Frames to predict.")]
HorizonOption: TypeAlias = Annotated[int, typer.Option("--horizon", min=1, max=MAX_FRAMES, help="Frames to predict.")]
ClipsOption: TypeAlias = Annotated[int, typer.Option("--clips", min=1, max=MAX_CLIPS, help="Number of clips, at most.")]
SeedOption: TypeAlias = Annotated[
    int, typer.Option("--seed", min=0, max=MAX_SEED, help="Number that determines the generated clips.")
]


def input_path(option: str, text: str) -> Any:
    """An option that names what is read; an empty path is refused."""
    return typer.Option(option, metavar="<path>", parser=stated_path, help=text)


def output_path(option: str, text: str) -> Any:
    """An option that names what is written; an empty path is refused."""
    return typer.Option(option, metavar="<path>", parser=stated_output, help=text)


RootOption: TypeAlias = Annotated[
    Path | None, input_path("--root", "Folder of the IDX files of MNIST or Fashion-MNIST.")
]
DownloadOption: TypeAlias = Annotated[bool, typer.Option("--download", help="Download digits that are missing.")]
DeviceOption: TypeAlias = Annotated[Device, typer.Option("--device", help="Where the network runs.")]
CompileOption: TypeAlias = Annotated[
    bool,
    typer.Option("--compile", help="Compile the network first, for minutes; on a GPU it then runs as CUDA graphs."),
]
PrecisionOption: TypeAlias = Annotated[
    Precision, typer.Option("--precision", help="bf16-mixed computes in bfloat16, which is faster on a GPU.")
]
BatchOption: TypeAlias = Annotated[int, typer.Option("--batch-size", min=1, max=MAX_BATCH, help="Clips at a time.")]

OneClipOption: TypeAlias = Annotated[
    int, typer.Option("--batch-size", min=1, max=MAX_BATCH, help="Has no effect here: a source is one clip.")
]
"""The batch size where it is there only because every command that predicts has it."""
MaxSideOption: TypeAlias = Annotated[
    int,
    typer.Option(
        "--max-side", min=8, max=MAX_FRAME_SIDE, help="Frames with a longer side are scaled to it for the network."
    ),
]
LayoutOption: TypeAlias = Annotated[
    str | None, typer.Option("--layout", help="Order of an array's axes, such as thwc.")
]
RangeOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--range",
        metavar="auto|LOW,HIGH[,nan=VALUE]",
        help="Values of arrays and 16-bit pictures that become black and white, and what NaN is read as; auto takes "
        "those that they use.",
    ),
]

ArrayOption: TypeAlias = Annotated[
    str | None, typer.Option("--array", metavar="NAME", help="Which array of a file that holds several.")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def parsed_range(text: str | None) -> "RangeChoice":
    """The value of ``--range``.

    Raises:
        ConfigError: if it is no range.
    """
    if text is None:
        return None
    from framepred.media.ranges import parse_range  # imports torch

    return parse_range(text)


def refuse_given(context: typer.Context, names: Iterable[str], subject: str) -> None:
    """Refuse options that would have no effect, if they stand on the command line.

    Args:
        context: of the call.
        names: parameters of the command.
        subject: what the options do not apply to.

    Raises:
        ConfigError: that names those that were given.
    """
    options = given_options(context, names)
    if options:
        verb, pronoun = ("has", "it") if len(options) == 1 else ("have", "them")
        raise ConfigError(f"{' and '.join(options)} {verb} no effect on {subject}; leave {pronoun} out.")


def given_options(context: typer.Context, names: Iterable[str]) -> list[str]:
    """Those of some parameters that stand on the command line, as users write them."""
    sources = {name: context.get_parameter_source(name) for name in names}
    given = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    return [parameter.opts[0] for parameter in context.command.params if parameter.name in given]


def check_digits(name: str) -> str:
    """The name of the digits that a generated data set shows.

    Raises:
        ConfigError: if the name is unknown.
    """
    if name not in DIGITS:
        raise ConfigError(f"There is no generated data set {name!r}; choose {' or '.join(DIGITS)}.")
    return DIGITS[name]
