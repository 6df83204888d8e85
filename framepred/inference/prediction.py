"""The result of a prediction: frames, score, notes, and the files that can be written of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from framepred.errors import ConfigError
from framepred.evaluation import Card
from framepred.inference.sources import to_source_values
from framepred.media.formats import ARRAYS
from framepred.media.ranges import ValueRange
from framepred.media.writing import write_video
from framepred.media.written_size import describe_frames

View: TypeAlias = Literal["predicted", "side-by-side", "error"]


@dataclass(frozen=True)
class Prediction:
    """Frames predicted for one clip or several.

    Attributes:
        frames: the predicted frames ``(k, c, h, w)``, or ``(n, k, c, h, w)`` of a source of several clips, of the type
            of the source: uint8, uint16, or floats in [0, 1].
        context: the observed frames ``(t, c, h, w)``, or ``(n, t, c, h, w)``.
        target: the true frames, of the shape of ``frames``; None where they were not held out.
        fps: frames per second.
        score: the results card; None where no frames were held out.
        notes: sentences about what was found and done, such as scene cuts and adapting.
        value_range: the values of the source that became 0 and 1 in these frames, and are restored where they are saved
            as an array; None where the type states them.
        missing: pixels ``(c, h, w)`` or ``(n, c, h, w)`` that are NaN in the source, and where an array is saved; None
            where there are none.
    """

    frames: Shaped[Tensor, "..."]
    context: Shaped[Tensor, "..."]
    target: Shaped[Tensor, "..."] | None
    fps: float
    score: Card | None
    notes: tuple[str, ...]
    value_range: ValueRange | None = None
    missing: Bool[Tensor, "..."] | None = None
    _views: dict[View, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)  # drawn once

    @property
    def values(self) -> Shaped[Tensor, "..."]:
        """The predicted frames in the values of the source, with NaN where it has them."""
        if self.value_range is None:
            return self.frames
        values = self.value_range.values(self.frames)
        if self.missing is not None:
            values = values.masked_fill(self.missing.unsqueeze(-4), torch.nan)
        return self.value_range.stored(values)

    def save(self, path: str | Path, view: View = "predicted") -> None:
        """Write a video, array or folder of pictures, by the suffix of the path.

        Args:
            path: where to write; see :func:`framepred.write_video`.
            view: the predicted frames alone, truth and prediction side by side, or the error as a map.

        Raises:
            ConfigError: if the view needs true frames and none were held out.
            ClipError: if a picture of frames that are neither gray nor RGB is wanted.
            MediaError: if the file cannot be written.
        """
        if view == "predicted" and Path(path).suffix.lower() in ARRAYS:
            write_video(path, self.values, to_file=lambda values: values)
            return
        to_file = to_source_values(path, self.value_range) if view == "predicted" else None
        write_video(path, self.rendered(view), self.fps, to_file=to_file)

    def side_by_side(self, path: str | Path) -> None:
        """Write a video with the truth on the left and the prediction on the right; see :meth:`save`."""
        self.save(path, "side-by-side")

    def error(self, path: str | Path) -> None:
        """Write a video of the absolute error in colours; see :meth:`save`."""
        self.save(path, "error")

    def panel(self, path: str | Path) -> None:
        """Write a png file with rows of context, truth where it is known, prediction and error.

        Raises:
            ClipError: if the frames are neither gray nor RGB.
            MediaError: if the file cannot be written.
        """
        from framepred.visualization.panels import write_panel

        write_panel(path, self.context, self.target, self.frames)

    def describe(self, view: View = "predicted", path: str | Path = "") -> str:
        """Number, size and rate of the frames of a view in words, and the size in the file of that path, if another."""
        return describe_frames(path, tuple(self.rendered(view).shape), self.fps)

    def rendered(self, view: View) -> Shaped[Tensor, "..."]:
        """The frames of a view, ``(t, c, h, w)`` or ``(n, t, c, h, w)``.

        Raises:
            ConfigError: if the view is unknown, or needs true frames and none were held out.
        """
        if view not in get_args(View):
            raise ConfigError(f"There is no view {view!r}; choose one of {', '.join(get_args(View))}.")
        if view == "predicted":
            return self.frames
        if self.target is None:
            raise ConfigError(f"The view {view} compares with true frames; predict with holdout=True to have them.")
        if view not in self._views:
            self._views[view] = self._compared(_side_by_side if view == "side-by-side" else _error_map)
        return self._views[view]

    def _compared(self, draw: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        assert self.target is not None
        if self.frames.ndim == 4:
            return draw(self.context, self.target, self.frames)
        return torch.stack([draw(*clip) for clip in zip(self.context, self.target, self.frames, strict=True)])


def _side_by_side(context: Tensor, target: Tensor, frames: Tensor) -> Tensor:
    from framepred.visualization.side_by_side import side_by_side

    return side_by_side(context, target, frames)


def _error_map(_: Tensor, target: Tensor, frames: Tensor) -> Tensor:
    from framepred.visualization.error_map import error_view

    return error_view(target, frames)


def single_or_all(clips: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "..."]:
    """The clip itself where there is one, such as ``(t, c, h, w)``; else all clips, ``(n, t, c, h, w)``."""
    return clips[0] if len(clips) == 1 else clips
