"""A report as one HTML file: it loads nothing, from the network or from other files."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import jinja2
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor
from torch.nn import functional

from framepred.clips import to_unit
from framepred.media.atomic import atomic_write
from framepred.media.encoding import VideoWriter
from framepred.media.frames import to_8_bits
from framepred.media.images import encode_png
from framepred.visualization.error_map import colour_error, error_view

FPS = 5  # of the players: slow enough to follow digits
PANEL = 192  # pixels: smaller frames are enlarged by a whole factor to about this, larger ones reduced to it
GAP = 4  # pixels between the panels of a player
STRIP_COLUMNS = 10  # frames of the printed strip, at most


class Player(NamedTuple):
    """One clip: truth, prediction and error side by side, as a video and, for print, as a strip.

    Attributes:
        title: such as best, median or worst.
        caption: number of the clip and its error.
        video: the mp4 file as a data URI.
        strip: a png with the predicted frames, as a data URI.
        context: observed frames.
        frames: all frames.
    """

    title: str
    caption: str
    video: str
    strip: str
    context: int
    frames: int
    fps: int = FPS


class Picture(NamedTuple):
    """A picture with its caption, as a data URI."""

    caption: str
    uri: str


class Chart(NamedTuple):
    """An inline SVG with its heading."""

    heading: str
    svg: str


@dataclass(frozen=True)
class Report:
    """The content of a report.

    Attributes:
        title: the forecaster.
        subtitle: data and protocol.
        headline: the score and the best baseline, in a sentence.
        published: rows of results that others published, which were not measured here.
        notes: warnings, shown first.
        headings: of the table of scores.
        rows: the cells of the table, the forecaster first.
        legend: lines below the table.
        names: the curves of the charts, in the order of their colours.
        charts: metrics by lead time.
        distribution: the error over clips; None where it is unknown.
        players: example clips.
        maps: where the error lies.
        facts: what was measured, with which weights, by which protocol.
        commands: how to reproduce the report.
        card: the JSON of the card.
    """

    title: str
    subtitle: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    headline: str = ""
    published: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    legend: Sequence[str] = ()
    names: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    distribution: Chart | None = None
    players: Sequence[Player] = ()
    maps: Sequence[Picture] = ()
    facts: Sequence[tuple[str, str]] = ()
    commands: Sequence[str] = ()
    card: str = field(default="", repr=False)


def write_html(path: Path, report: Report) -> None:
    """Write a report, whole or not at all.

    Raises:
        MediaError: if the file cannot be written.
    """
    page = _template().render(report=report)
    with atomic_write(path) as draft:
        draft.write_text(page, encoding="utf-8")


def make_player(
    title: str,
    caption: str,
    context: Shaped[Tensor, "_n _c _h _w"],
    target: Shaped[Tensor, "_t _c _h _w"],
    prediction: Shaped[Tensor, "_t _c _h _w"],
) -> Player:
    """Encode one clip: truth, prediction and error side by side; the context is shown in both pictures.

    Frames are gray or RGB: uint8, uint16, or floats in [0, 1]; of other frames the first channel is shown.
    """
    shown = [_as_rgb(to_8_bits(part.cpu())) for part in (context, target, prediction)]
    observed, truth, predicted = (_fitted(part) for part in shown)
    error = _fitted(error_view(target.cpu(), prediction.cpu()))
    top = [
        torch.cat([observed, truth]),
        torch.cat([observed, predicted]),
        torch.cat([torch.zeros_like(observed), error]),
    ]
    return Player(
        title,
        caption,
        f"data:video/mp4;base64,{_encoded(_mp4(_beside(top, dim=3)))}",
        png_uri(_strip(truth, predicted, error)),
        context=len(context),
        frames=len(context) + len(target),
    )


def error_pictures(error: Float[Tensor, "_t _h _w"], thirds: int = 3) -> list[Picture]:
    """The mean error by position, for all lead times and for each third of them, on one colour scale."""
    parts = [part for part in error.tensor_split(min(thirds, len(error))) if len(part)]
    starts = [1 + sum(len(part) for part in parts[:number]) for number in range(len(parts))]
    named = {"all lead times": error.mean(dim=0)}
    if len(parts) > 1:
        for start, part in zip(starts, parts, strict=True):
            named[f"lead time +{start} to +{start + len(part) - 1}"] = part.mean(dim=0)
    brightest = max(float(part.max()) for part in named.values()) or 1.0
    return [
        Picture(
            f"{name}: mean {float(part.mean()):.2g}, brightest colour {brightest:.2g}",
            png_uri(_coloured(part / brightest)),
        )
        for name, part in named.items()
    ]


def png_uri(picture: UInt8[Tensor, "3 _h _w"]) -> str:
    """A picture as a data URI."""
    return f"data:image/png;base64,{_encoded(encode_png(picture.contiguous()))}"


def _coloured(values: Float[Tensor, "_h _w"]) -> UInt8[Tensor, "3 _H _W"]:
    return _fitted(colour_error(values)[None])[0]


def _as_rgb(frames: UInt8[Tensor, "_t _c _h _w"]) -> UInt8[Tensor, "_t 3 _h _w"]:
    return frames if frames.shape[1] == 3 else frames[:, :1].expand(-1, 3, -1, -1)


def _fitted(frames: UInt8[Tensor, "_t 3 _h _w"]) -> UInt8[Tensor, "_t 3 _H _W"]:
    """Frames enlarged by a whole factor without smoothing, or reduced by averaging; height and width are even."""
    height, width = frames.shape[-2:]
    longer = max(height, width)
    factor = math.ceil(PANEL / longer) if longer < PANEL else PANEL / longer
    size = [2 * max(1, round(side * factor / 2)) for side in (height, width)]
    if factor >= 1:
        return functional.interpolate(frames.float(), size, mode="nearest").to(torch.uint8)
    reduced = functional.interpolate(to_unit(frames), size, mode="bilinear", antialias=True)
    return to_8_bits(reduced.clamp(0, 1))


def _beside(parts: Sequence[UInt8[Tensor, "_t 3 _h _w"]], dim: int) -> UInt8[Tensor, "_t 3 _H _W"]:
    """Clips side by side (dim 3) or one above the other (dim 2), with gray lines between."""
    shape = list(parts[0].shape)
    shape[dim] = GAP
    line = torch.full(shape, 128, dtype=torch.uint8)
    joined = [piece for part in parts for piece in (line, part)][1:]
    return torch.cat(joined, dim=dim)


def _strip(*rows: UInt8[Tensor, "_t 3 _h _w"]) -> UInt8[Tensor, "3 _H _W"]:
    """Truth, prediction and error in rows, evenly spaced lead times in columns, at half the size of the player."""
    count = len(rows[0])
    chosen = torch.linspace(0, count - 1, min(count, STRIP_COLUMNS)).round().long()
    small = [row[chosen][..., ::2, ::2] for row in rows]
    lines = [_beside([frame[None] for frame in row], dim=3) for row in small]
    return _beside(lines, dim=2)[0]


def _mp4(frames: UInt8[Tensor, "_t 3 _h _w"]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        with VideoWriter(path, FPS) as writer:
            for frame in frames:
                writer.write(frame)
        return path.read_bytes()


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("framepred.visualization", "templates")
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "report.html"
    )
