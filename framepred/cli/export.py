"""``framepred export``: write the graphs of a network's step for other programs."""

import re
from pathlib import Path
from typing import Annotated

import typer

from framepred.cli.options import NetworkOption
from framepred.errors import ConfigError
from framepred.media.memory import check_memory
from framepred.media.outputs import check_output

EXPORTED = "moving-mnist"
"""Bundled weights that are exported unless others are named."""

BYTES_PER_PIXEL = 1024
"""Memory of a pixel while graphs are compared with PyTorch: 64 channels of float32, and copies of them."""

SIZE_PATTERN = re.compile(r"(\d{1,5})x(\d{1,5})")


def export(
    output: Annotated[Path, typer.Option("--output", help="model.onnx, or model.pt2 for torch.export.")],
    weights: NetworkOption = EXPORTED,
    size: Annotated[
        str, typer.Option("--size", metavar="HxW", help="Size of the frames; networks of patches take any.")
    ] = "64x64",
) -> None:
    """Write one step of a network (frame + state to frame + state), checked against PyTorch over 30 steps."""
    output = check_output(output, suffixes=(".onnx", ".pt2"))
    frame_size = _parse_size(size)

    import framepred

    exported = framepred.export(weights, output, size=frame_size)
    for (height, width), difference in exported.differences.items():
        print(f"{height}x{width}: largest difference from PyTorch over 30 steps {difference:.1e}")
    for file in exported.files:
        print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")


def _parse_size(text: str) -> tuple[int, int]:
    match = SIZE_PATTERN.fullmatch(text)
    if match is None:
        raise ConfigError(f"--size takes height x width in pixels, such as 64x64, not {text!r}.")
    height, width = int(match[1]), int(match[2])
    check_memory(height * width * BYTES_PER_PIXEL, f"Graphs for frames of {height}x{width} pixels", "lower --size")
    return height, width
