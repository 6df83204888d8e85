"""A zoo of small files of many formats, each read in every way that framepred reads files."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from framepred.errors import FramepredError
from framepred.media.decoding import stream_frames
from framepred.media.formats import VIDEOS
from framepred.media.random_access import open_reader
from framepred.media.reading import open_frames
from video_zoo import ZOO, set_display_matrix, stacked, write_codec

SEEKABLE = ("mov", "dv", "mxf")
"""Containers that cannot be read as a stream of bytes."""


class Row(NamedTuple):
    """One file: how it is made, what is said of it, and whether all ways of reading it agree."""

    file: str
    codec: str
    pixels: str
    property: str
    frames: str
    agree: str


def survey(folder: Path) -> Iterator[Row]:
    """Make and read each file in a folder."""
    for sample in ZOO:
        made = sample.write(folder)
        yield _row(made, sample.codec, sample.pixels)
    for name, matrix in {"rotated-90.mp4": (0, 1, -1, 0), "mirrored.mp4": (-1, 0, 0, 1)}.items():
        turned = write_codec(folder / name, frames=20)
        set_display_matrix(turned, matrix)
        yield _row(turned, "libx264", "yuv420p", "display matrix")
    for name, (write, codec) in PAGES.items():
        write(folder / name)
        yield _row(folder / name, codec, "", "pages")


def _row(path: Path, codec: str, pixels: str, known: str = "") -> Row:
    try:
        stream = open_frames(path)
        truth = stacked(stream.frames)
        agree = _ways_that_differ(path, truth)
    except FramepredError as error:
        return Row(path.name, codec, pixels, known, "0", str(error))
    said = [known] if known else []
    said += ["rate varies"] if not stream.steady else []
    said += ["interlaced"] if any("interlaced" in note for note in stream.notes) else []
    said += ["HDR"] if any("HDR" in note for note in stream.notes) else []
    said += ["alpha"] if "alpha" in path.name else []
    count, channels, height, width = truth.shape
    shape = f"{count} of {width}×{height}, {'gray' if channels == 1 else 'RGB'}"
    return Row(path.name, codec, pixels, ", ".join(said), shape, ", ".join(agree) or "yes")


def _ways_that_differ(path: Path, truth: Tensor) -> list[str]:
    """The ways of reading a file that give other frames than reading it in order."""
    ways: dict[str, Callable[[], Tensor]] = {
        "last frames": lambda: stacked(open_frames(path, last=7).frames),
        "random access": lambda: _at_random(path, len(truth)),
    }
    wanted = {"last frames": truth[-7:], "random access": truth[_order(len(truth))], "stream": truth}
    if path.suffix in VIDEOS and not path.suffix.endswith(SEEKABLE):
        ways["stream"] = lambda: stacked(stream_frames("standard input", path.open("rb")).frames)
    return [f"{name} differs" for name, read in ways.items() if not torch.equal(read(), wanted[name])]


def _order(count: int) -> list[int]:
    return [int(number) for number in np.random.default_rng(0).permutation(count)[:10]]


def _at_random(path: Path, count: int) -> Tensor:
    with closing(open_reader(path)) as reader:
        return torch.stack([next(iter(reader.read(range(number, number + 1)))) for number in _order(count)])


def _texture(deep: bool) -> list[Image.Image]:
    """Sixteen frames, gray of 16 bits or RGB of 8."""
    random = np.random.default_rng(0)
    shape, kind = ((24, 32), np.uint16) if deep else ((24, 32, 3), np.uint8)
    return [Image.fromarray(random.integers(0, np.iinfo(kind).max, shape).astype(kind)) for _ in range(16)]


def _animation(path: Path) -> None:
    first, *others = _texture(deep=False)
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=others, duration=40, **lossless)


def _tiff(path: Path, description: str = "") -> None:
    first, *others = _texture(deep=True)
    first.save(path, save_all=True, append_images=others, **({"description": description} if description else {}))


_IMAGEJ = "ImageJ=1.54f\nimages=16\nframes=16\nloop=false"
_OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="32" SizeY="24" SizeC="1" SizeZ="1" SizeT="16"/>'
    "</Image></OME>"
)
PAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "animation.gif": (_animation, "GIF"),
    "animation.png": (_animation, "APNG"),
    "animation.webp": (_animation, "WebP"),
    "plain.tif": (_tiff, "TIFF, 16 bits"),
    "imagej.tif": (lambda path: _tiff(path, _IMAGEJ), "TIFF, ImageJ"),
    "time.ome.tif": (lambda path: _tiff(path, _OME), "TIFF, OME"),
}
