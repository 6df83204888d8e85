"""Clips as one still picture: what was seen, what followed, what was predicted, and how far off it was."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from framepred.clips import to_unit
from framepred.errors import ClipError
from framepred.media.atomic import atomic_write
from framepred.media.frames import to_8_bits
from framepred.media.images import encode_png

COLUMNS = 10  # frames a row; of longer clips, evenly spaced ones, the first and the last among them
ERROR_COLOURS = "inferno"

_DPI = 100
_SIDE = 128  # pixels: the longer side of a frame in the picture
_GAP = 6
_LABELS = 128  # pixels for the names of the rows
_MARGIN = 28
_TIMES = 26  # pixels for the times above a row
_BETWEEN = 36  # pixels between clips
_TITLE = 44
_SCALE = 76  # pixels for the error's colour scale
_SCALE_WIDTH = 262
_INK = "#1b1f27"
_FAINT = "#6b7280"
_ACCENT = "#c2540a"

Pixels = NDArray[np.uint8]


class Row(NamedTuple):
    """Frames ``(h, w, 3)`` of one size beside their name and under their times, if these are shown."""

    name: str
    colour: str
    times: Sequence[str]
    frames: list[Pixels]

    @property
    def height(self) -> int:
        """Pixels from the top of this row to that of the next."""
        return len(self.frames[0]) + _GAP + (_TIMES if self.times else 0)


def panel(
    context: Shaped[Tensor, "... _n _c _h _w"],
    target: Shaped[Tensor, "... _m _c _h _w"] | None,
    prediction: Shaped[Tensor, "... _m _c _h _w"],
    title: str | None = None,
) -> UInt8[Tensor, "H W 3"]:
    """A picture with rows of frames: context, truth, prediction and error, with their times.

    The time of the last frame seen is 0, that of the first predicted +1. The error is |prediction − truth|, the mean
    over the channels, on a fixed scale from 0 to 1, so that two pictures can be compared.

    Args:
        context: the frames seen, one clip ``(n, c, h, w)`` or several, which are stacked, ``(b, n, c, h, w)``; gray
            or RGB: uint8, uint16, or floats in [0, 1].
        target: the frames that followed; None where nobody knows, then there is no error either.
        prediction: the frames predicted.
        title: a line above.

    Raises:
        ClipError: if the shapes do not fit or values are not finite.
    """
    _check(context, target, prediction)
    if prediction.ndim == 4:
        context, prediction = context[None], prediction[None]
        target = None if target is None else target[None]
    truths = [None] * len(prediction) if target is None else list(target)
    clips = [_rows(*parts) for parts in zip(context, truths, prediction, strict=True)]
    return torch.from_numpy(_drawn(clips, title, scale=target is not None))


def write_panel(
    path: str | Path,
    context: Shaped[Tensor, "... _n _c _h _w"],
    target: Shaped[Tensor, "... _m _c _h _w"] | None,
    prediction: Shaped[Tensor, "... _m _c _h _w"],
    title: str | None = None,
) -> None:
    """Write a ``panel`` to a png file.

    Raises:
        MediaError: if the file cannot be written.
        ClipError: if the shapes do not fit or values are not finite.
    """
    picture = panel(context, target, prediction, title)
    with atomic_write(Path(path).expanduser()) as draft:
        draft.write_bytes(encode_png(picture.permute(2, 0, 1)))


def write_restored_panel(
    path: str | Path,
    clips: Shaped[Tensor, "b t c h w"],
    missing: Bool[Tensor, " t"],
    restored: Mapping[str, Shaped[Tensor, "b t c h w"]],
    first: int = 0,
) -> None:
    """Write a png file with rows of frames: what was seen, how each method restored it, and the truth.

    Args:
        path: where to write.
        clips: the true clips, gray or RGB: uint8, uint16, or floats in [0, 1].
        missing: which frames were taken away; they are black where only what was seen is shown.
        restored: whole clips by the name of the method, the last one marked.
        first: the number of their first frame.

    Raises:
        MediaError: if the file cannot be written.
        ClipError: if values are not finite.
    """
    times = [str(first + number) for number in range(len(missing))]
    seen = torch.where(missing[:, None, None, None], torch.zeros_like(clips), clips)
    names = ["seen", *restored, "truth"]
    colours = [_ACCENT if name == list(restored)[-1] else _INK for name in names]
    versions = [seen, *restored.values(), clips]
    rows = [
        [
            Row(name, colour, times if name == "seen" else (), _pictures(version[number]))
            for name, colour, version in zip(names, colours, versions, strict=True)
        ]
        for number in range(len(clips))
    ]
    picture = torch.from_numpy(_drawn(rows, None, scale=False))
    with atomic_write(Path(path).expanduser()) as draft:
        draft.write_bytes(encode_png(picture.permute(2, 0, 1)))


def _check(context: Tensor, target: Tensor | None, prediction: Tensor) -> None:
    target = prediction if target is None else target
    shapes = [tuple(clip.shape) for clip in (context, target, prediction)]
    seen, truth, guess = shapes
    fit = truth == guess and seen[:-4] == guess[:-4] and seen[-3:] == guess[-3:]
    if len(guess) not in (4, 5) or any(0 in shape for shape in shapes) or guess[-3] not in (1, 3) or not fit:
        raise ClipError(
            "A panel needs frames of one shape (t, c, h, w) or (b, t, c, h, w), 1 or 3 channels, and as many in the "
            f"prediction as in the target, not {seen}, {truth} and {guess}."
        )


def _rows(context: Tensor, target: Tensor | None, prediction: Tensor) -> list[Row]:
    """The rows of one clip."""
    seen, ahead = _chosen(len(context)), _chosen(len(prediction))
    before = [f"−{len(context) - 1 - place}" if place < len(context) - 1 else "0" for place in seen]
    after = [f"+{place + 1}" for place in ahead]
    rows = [Row("context", _INK, before, _pictures(context[seen]))]
    if target is None:
        return [*rows, Row("prediction", _ACCENT, after, _pictures(prediction[ahead]))]
    truth, guess = target[ahead], prediction[ahead]
    return [
        *rows,
        Row("truth", _INK, after, _pictures(truth)),
        Row("prediction", _ACCENT, (), _pictures(guess)),
        Row("error", _INK, (), _error_pictures(guess, truth)),
    ]


def _chosen(count: int) -> list[int]:
    """At most ``COLUMNS`` evenly spaced places."""
    return [round(place) for place in np.linspace(0, count - 1, min(count, COLUMNS)).tolist()]


def _pictures(clip: Shaped[Tensor, "t c h w"]) -> list[Pixels]:
    return [_fitted(frame) for frame in to_8_bits(clip).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()]


def _error_pictures(guess: Shaped[Tensor, "t c h w"], truth: Shaped[Tensor, "t c h w"]) -> list[Pixels]:
    error: Float[Tensor, "t h w"] = (to_unit(guess.cpu()) - to_unit(truth.cpu())).abs().mean(dim=1).clamp(0, 1)
    colours = colormaps[ERROR_COLOURS](error.detach().numpy(), bytes=True)
    return [_fitted(np.ascontiguousarray(frame)) for frame in colours[..., :3]]


def _fitted(picture: Pixels) -> Pixels:
    """Enlarge by a whole factor without smoothing, or shrink by averaging, so that the longer side suits a page."""
    height, width, _ = picture.shape
    longer = max(height, width)
    if longer <= _SIDE:
        factor = _SIDE // longer
        return picture.repeat(factor, axis=0).repeat(factor, axis=1)
    size = max(1, width * _SIDE // longer), max(1, height * _SIDE // longer)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _drawn(clips: list[list[Row]], title: str | None, scale: bool) -> Pixels:
    """The page ``(h, w, 3)``; every frame lands on whole pixels."""
    rows = [row for clip in clips for row in clip]
    widest = max(len(row.frames) * (row.frames[0].shape[1] + _GAP) - _GAP for row in rows)
    width = _LABELS + max(widest, _SCALE_WIDTH if scale else 0) + _MARGIN
    height = 2 * _MARGIN + sum(row.height for row in rows) + (len(clips) - 1) * _BETWEEN
    height += (_TITLE if title else 0) + (_SCALE if scale else 0)
    page = _Paper(width, height)
    top = _MARGIN
    if title:
        page.write(_MARGIN, top + _TITLE // 4, title, size=13, weight="bold")
        top += _TITLE
    for clip in clips:
        for row in clip:
            page.draw_row(top, row)
            top += row.height
        top += _BETWEEN
    if scale:
        page.draw_scale(top - _BETWEEN + _MARGIN // 2)
    return page.pixels()


class _Paper:
    """A figure measured in pixels from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")

    def write(self, left: int, middle: int, text: str, size: int, **style: Any) -> None:
        style = {"color": _INK, "ha": "left", "va": "center"} | style
        self.figure.text(left / self.width, 1 - middle / self.height, text, fontsize=size, **style)

    def axes(self, left: int, top: int, width: int, height: int) -> Axes:
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def draw_row(self, top: int, row: Row) -> None:
        height, width, _ = row.frames[0].shape
        first = top + row.height - _GAP - height
        self.write(_LABELS - 14, first + height // 2, row.name, size=12, color=row.colour, ha="right")
        for place, frame in enumerate(row.frames):
            left = _LABELS + place * (width + _GAP)
            axes = self.axes(left, first, width, height)
            axes.imshow(frame, interpolation="nearest", aspect="auto")
            axes.set_axis_off()
            if row.times:
                self.write(left + width // 2, top + _TIMES // 2, row.times[place], size=10, color=_FAINT, ha="center")

    def draw_scale(self, top: int) -> None:
        """The error's colours with their range."""
        axes = self.axes(_LABELS, top, _SCALE_WIDTH, 10)
        colours = ScalarMappable(Normalize(0, 1), ERROR_COLOURS)
        bar = self.figure.colorbar(colours, cax=axes, orientation="horizontal", ticks=[0, 0.5, 1])
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=9, colors=_FAINT, length=3)
        self.write(_LABELS, top + 42, "|prediction − truth|, fixed range 0 to 1", size=9, color=_FAINT)

    def pixels(self) -> Pixels:
        drawn = BytesIO()
        self.figure.savefig(drawn, format="rgba", dpi="figure")
        rgba = np.frombuffer(drawn.getbuffer(), np.uint8).reshape(self.height, self.width, 4)
        return rgba[..., :3].copy()
