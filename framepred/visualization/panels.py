"""Panels: clips as one still picture with rows for context, truth, prediction and error."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Shaped, UInt8
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from framepred.errors import ClipError
from framepred.media.atomic import atomic_write
from framepred.media.frames import as_tensor, to_8_bits
from framepred.media.images import encode_png
from framepred.media.paths import expand_user
from framepred.visualization.colour_map import COLOURMAP
from framepred.visualization.error_map import absolute_error, colour_error

COLUMNS = 10  # frames in a row; longer clips show evenly spaced frames, with the first and the last

# Lengths in pixels of the picture, and colours.
_DPI = 100
_SIDE = 128  # longer side of a frame
_GAP = 6  # between frames
_LABEL_WIDTH = 128  # for the names of the rows
_MARGIN = 28
_TIMES_HEIGHT = 26  # for the times above a row
_CLIP_GAP = 36  # between clips
_TITLE_HEIGHT = 44
_SCALE_HEIGHT = 76  # for the colour scale of the error
_SCALE_BAR = 10  # pixels: height of the bar of colours
_SCALE_WIDTH = 262
_TEXT = "#1b1f27"
_FAINT = "#6b7280"
_ACCENT = "#c2540a"

Pixels = NDArray[np.uint8]


class Row(NamedTuple):
    """A row of frames ``(h, w, 3)`` of one size, with its name at the left and optional times above."""

    name: str
    colour: str
    times: Sequence[str]
    frames: list[Pixels]

    @property
    def height(self) -> int:
        """Pixels from the top of this row to the top of the next."""
        return len(self.frames[0]) + _GAP + (_TIMES_HEIGHT if self.times else 0)


def panel(
    context: Shaped[Tensor | np.ndarray, "... _n _c _h _w"],
    target: Shaped[Tensor | np.ndarray, "... _m _c _h _w"] | None,
    prediction: Shaped[Tensor | np.ndarray, "... _m _c _h _w"],
    title: str | None = None,
) -> UInt8[Tensor, "H W 3"]:
    """A picture with rows of frames: context, truth, prediction and error, with their times.

    The last context frame has time 0, the first predicted frame +1. The error is |prediction − truth|, averaged over
    channels, on a fixed scale from 0 to 1, so that two pictures can be compared.

    Args:
        context: the observed frames of one clip ``(n, c, h, w)`` or of several ``(b, n, c, h, w)``, gray or RGB:
            uint8, uint16, or floats in [0, 1].
        target: the frames that followed; None if they are unknown, which leaves out the rows of truth and error.
        prediction: the predicted frames.
        title: a line above the rows.

    Raises:
        ClipError: if the shapes do not fit or values are not finite.
    """
    context, prediction = as_tensor(context), as_tensor(prediction)
    target = None if target is None else as_tensor(target)
    _check(context, target, prediction)
    if prediction.ndim == 4:
        context, prediction = context[None], prediction[None]
        target = None if target is None else target[None]
    truths = [None] * len(prediction) if target is None else list(target)
    clips = [_rows(*parts) for parts in zip(context, truths, prediction, strict=True)]
    return torch.from_numpy(_draw(clips, title, scale=target is not None))


def write_panel(
    path: str | Path,
    context: Shaped[Tensor | np.ndarray, "... _n _c _h _w"],
    target: Shaped[Tensor | np.ndarray, "... _m _c _h _w"] | None,
    prediction: Shaped[Tensor | np.ndarray, "... _m _c _h _w"],
    title: str | None = None,
) -> None:
    """Write a ``panel`` to a png file.

    Raises:
        MediaError: if the file cannot be written.
        ClipError: if the shapes do not fit or values are not finite.
    """
    picture = panel(context, target, prediction, title)
    with atomic_write(expand_user(path)) as draft:
        draft.write_bytes(encode_png(picture.permute(2, 0, 1)))


def write_restored_panel(
    path: str | Path,
    clips: Shaped[Tensor, "b t c h w"],
    missing: Bool[Tensor, " t"],
    restored: Mapping[str, Shaped[Tensor, "b t c h w"]],
    first: int = 0,
) -> None:
    """Write a png file with rows of frames: the observed frames, the clip that each method restored, and the truth.

    Args:
        path: where to write.
        clips: the true clips, gray or RGB: uint8, uint16, or floats in [0, 1].
        missing: which frames were removed; they are black in the first row.
        restored: the restored clips by name of the method; the last one is highlighted.
        first: the number of the first frame of the clips.

    Raises:
        MediaError: if the file cannot be written.
        ClipError: if values are not finite.
    """
    times = [str(first + number) for number in range(len(missing))]
    observed = torch.where(missing[:, None, None, None], torch.zeros_like(clips), clips)
    names = ["observed", *restored, "truth"]
    colours = [_ACCENT if name == list(restored)[-1] else _TEXT for name in names]
    versions = [observed, *restored.values(), clips]
    rows = [
        [
            Row(name, colour, times if name == "observed" else (), _pictures(version[number]))
            for name, colour, version in zip(names, colours, versions, strict=True)
        ]
        for number in range(len(clips))
    ]
    picture = torch.from_numpy(_draw(rows, None, scale=False))
    with atomic_write(expand_user(path)) as draft:
        draft.write_bytes(encode_png(picture.permute(2, 0, 1)))


def _check(context: Tensor, target: Tensor | None, prediction: Tensor) -> None:
    target = prediction if target is None else target
    shapes = [tuple(clip.shape) for clip in (context, target, prediction)]
    observed, truth, guess = shapes
    fit = truth == guess and observed[:-4] == guess[:-4] and observed[-3:] == guess[-3:]
    if len(guess) not in (4, 5) or any(0 in shape for shape in shapes) or guess[-3] not in (1, 3) or not fit:
        raise ClipError(
            "A panel needs frames of one shape (t, c, h, w) or (b, t, c, h, w), 1 or 3 channels, and as many in the "
            f"prediction as in the target, not {observed}, {truth} and {guess}."
        )


def _rows(context: Tensor, target: Tensor | None, prediction: Tensor) -> list[Row]:
    """The rows of one clip."""
    observed, predicted = _shown_frames(len(context)), _shown_frames(len(prediction))
    before = [f"−{len(context) - 1 - index}" if index < len(context) - 1 else "0" for index in observed]
    after = [f"+{index + 1}" for index in predicted]
    rows = [Row("context", _TEXT, before, _pictures(context[observed]))]
    if target is None:
        return [*rows, Row("prediction", _ACCENT, after, _pictures(prediction[predicted]))]
    truth, guess = target[predicted], prediction[predicted]
    return [
        *rows,
        Row("truth", _TEXT, after, _pictures(truth)),
        Row("prediction", _ACCENT, (), _pictures(guess)),
        Row("error", _TEXT, (), _error_pictures(guess, truth)),
    ]


def _shown_frames(count: int) -> list[int]:
    """At most ``COLUMNS`` evenly spaced indices."""
    return [round(index) for index in np.linspace(0, count - 1, min(count, COLUMNS)).tolist()]


def _pictures(clip: Shaped[Tensor, "t c h w"]) -> list[Pixels]:
    return [_fitted(frame.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()) for frame in to_8_bits(clip)]


def _error_pictures(guess: Shaped[Tensor, "t c h w"], truth: Shaped[Tensor, "t c h w"]) -> list[Pixels]:
    errors = (absolute_error(*pair, max_side=_SIDE) for pair in zip(guess, truth, strict=True))
    return [_fitted(colour_error(error).permute(1, 2, 0).contiguous().numpy()) for error in errors]


def _fitted(picture: Pixels) -> Pixels:
    """Enlarge by a whole factor without smoothing, or reduce by averaging, to a longer side of ``_SIDE`` pixels."""
    height, width, _ = picture.shape
    longer = max(height, width)
    if longer <= _SIDE:
        factor = _SIDE // longer
        return picture.repeat(factor, axis=0).repeat(factor, axis=1)
    size = max(1, width * _SIDE // longer), max(1, height * _SIDE // longer)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _draw(clips: list[list[Row]], title: str | None, scale: bool) -> Pixels:
    """Draw the page ``(h, w, 3)``; every frame is aligned to whole pixels."""
    rows = [row for clip in clips for row in clip]
    widest = max(len(row.frames) * (row.frames[0].shape[1] + _GAP) - _GAP for row in rows)
    width = _LABEL_WIDTH + max(widest, _SCALE_WIDTH if scale else 0) + _MARGIN
    height = 2 * _MARGIN + sum(row.height for row in rows) + (len(clips) - 1) * _CLIP_GAP
    height += (_TITLE_HEIGHT if title else 0) + (_SCALE_HEIGHT if scale else 0)
    page = _Canvas(width, height)
    top = _MARGIN
    if title:
        page.write(_MARGIN, top + _TITLE_HEIGHT // 4, title, size=13, weight="bold")
        top += _TITLE_HEIGHT
    for clip in clips:
        for row in clip:
            page.draw_row(top, row)
            top += row.height
        top += _CLIP_GAP
    if scale:
        page.draw_scale(top - _CLIP_GAP + _MARGIN // 2)
    return page.pixels()


class _Canvas:
    """A figure whose coordinates are pixels from the top left.

    Matplotlib draws text and scale; frames are copied into the drawn page, which keeps their pixels and takes no axes.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
        self.frames: list[tuple[int, int, Pixels]] = []

    def write(self, left: int, middle: int, text: str, size: int, **style: Any) -> None:
        style = {"color": _TEXT, "ha": "left", "va": "center"} | style
        self.figure.text(left / self.width, 1 - middle / self.height, text, fontsize=size, **style)

    def draw_row(self, top: int, row: Row) -> None:
        height, width, _ = row.frames[0].shape
        first = top + row.height - _GAP - height
        self.write(_LABEL_WIDTH - 14, first + height // 2, row.name, size=12, color=row.colour, ha="right")
        for index, frame in enumerate(row.frames):
            left = _LABEL_WIDTH + index * (width + _GAP)
            self.frames.append((first, left, frame))
            if row.times:
                self.write(
                    left + width // 2, top + _TIMES_HEIGHT // 2, row.times[index], size=10, color=_FAINT, ha="center"
                )

    def draw_scale(self, top: int) -> None:
        """Draw the colour scale of the error with its range."""
        left, bottom = _LABEL_WIDTH / self.width, 1 - (top + _SCALE_BAR) / self.height
        axes = self.figure.add_axes((left, bottom, _SCALE_WIDTH / self.width, _SCALE_BAR / self.height))
        colours = ScalarMappable(Normalize(0, 1), COLOURMAP)
        bar = self.figure.colorbar(colours, cax=axes, orientation="horizontal", ticks=[0, 0.5, 1])
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=9, colors=_FAINT, length=3)
        self.write(_LABEL_WIDTH, top + 42, "|prediction − truth|, fixed range 0 to 1", size=9, color=_FAINT)

    def pixels(self) -> Pixels:
        buffer = BytesIO()
        self.figure.savefig(buffer, format="rgba", dpi="figure")
        rgba = np.frombuffer(buffer.getbuffer(), np.uint8).reshape(self.height, self.width, 4)
        page = rgba[..., :3].copy()
        for top, left, frame in self.frames:
            page[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
        return page
