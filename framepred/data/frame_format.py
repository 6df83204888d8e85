"""Conversion of frames from different sources to common channels, size and type."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.clips import from_unit, to_unit
from framepred.data.video_index import Source
from framepred.errors import ConfigError, DataError
from framepred.media.resizing import resized, to_gray

Fit: TypeAlias = Literal["keep", "resize", "crop"]

_MAX_NAMED = 5  # files that an error message names


@dataclass(frozen=True)
class FrameFormat:
    """The format that every frame is converted to.

    Attributes:
        channels: 1 converts RGB to gray, 3 gray to RGB; other numbers are kept.
        size: height and width in pixels.
        dtype: uint8, uint16 or float32; values are rescaled to the type's range.
        fit: how frames of another size get ``size``: ``resize`` scales them, ignoring the aspect ratio; ``crop``
            cuts out the centre.
    """

    channels: int
    size: tuple[int, int]
    dtype: torch.dtype
    fit: Fit

    def convert(self, frame: Shaped[Tensor, "_c _h _w"]) -> Shaped[Tensor, "c h w"]:
        """Return one frame in this format."""
        # In this order: crop, gray, resize, type, expand to the channels.
        if self.fit == "crop":
            frame = _centre(frame, self.size)
        if self.channels == 1 and len(frame) == 3:
            frame = to_gray(frame)
        if frame.shape[1:] != self.size:
            frame = resized(frame, self.size)
        if frame.dtype != self.dtype:
            frame = from_unit(to_unit(frame), self.dtype)
        return frame.expand(self.channels, -1, -1)


def common_format(
    sources: Sequence[Source], root: Path, size: tuple[int, int] | None, fit: Fit, channels: int | None
) -> FrameFormat:
    """Return a format that the frames of all sources can be converted to, with the widest type among them.

    Args:
        sources: at least one source.
        root: their folder, for error messages.
        size: height and width of the result; None with ``keep``.
        fit: see :class:`FrameFormat`; with ``keep`` all frames must have one size.
        channels: channels of the result; None for those of the sources, RGB where some are gray.

    Raises:
        ConfigError: if ``size`` is missing, or given with ``keep``.
        DataError: if sources cannot be converted; the message names them.
    """
    return FrameFormat(_channels(sources, root, channels), _common_size(sources, root, size, fit), _dtype(sources), fit)


def _channels(sources: Sequence[Source], root: Path, wanted: int | None) -> int:
    found = {source.channels for source in sources}
    if wanted is None:
        wanted = max(found)
    convertible = {1, 3} if wanted in (1, 3) else {wanted}
    strange = [f"{source.name} ({source.channels})" for source in sources if source.channels not in convertible]
    if strange:
        raise DataError(
            f"{_listed(strange, len(sources), root)} cannot become frames of {wanted} channels; "
            "set channels to their number, or move them to another folder."
        )
    return wanted


def _common_size(sources: Sequence[Source], root: Path, size: tuple[int, int] | None, fit: Fit) -> tuple[int, int]:
    if (size is None) != (fit == "keep"):
        raise ConfigError(
            f"fit {fit} {'needs' if size is None else 'takes no'} size; "
            "use fit keep without size, or fit resize or crop with size [HEIGHT, WIDTH]."
        )
    if size is None:
        return _kept_size(sources, root)
    if min(size) < 1:
        raise ConfigError(f"size must be at least 1 pixel each way, not {list(size)}.")
    small = [source for source in sources if source.height < size[0] or source.width < size[1]]
    if fit == "crop" and small:
        raise DataError(
            f"{_listed(_with_sizes(small), len(sources), root)} are smaller than the crop of {size[0]}×{size[1]}; "
            "use a smaller size, or fit resize."
        )
    return size


def _kept_size(sources: Sequence[Source], root: Path) -> tuple[int, int]:
    (common, _), *others = Counter((source.height, source.width) for source in sources).most_common()
    if others:
        unlike = [source for source in sources if (source.height, source.width) != common]
        raise DataError(
            f"{_listed(_with_sizes(unlike), len(sources), root)} are not {common[0]}×{common[1]} like the others; "
            "set fit to resize or crop and size to [HEIGHT, WIDTH], or keep only files of one size."
        )
    return common


def _dtype(sources: Sequence[Source]) -> torch.dtype:
    found = {source.dtype for source in sources}
    return next(dtype for dtype in (torch.float32, torch.uint16, torch.uint8) if str(dtype)[6:] in found)


def _with_sizes(sources: Sequence[Source]) -> list[str]:
    return [f"{source.name} ({source.height}×{source.width})" for source in sources]


def _listed(names: list[str], total: int, root: Path) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"{len(names)} of the {total} files in {root}, {', '.join(names[:_MAX_NAMED])}{more},"


def _centre(frame: Shaped[Tensor, "c _h _w"], size: tuple[int, int]) -> Shaped[Tensor, "c h w"]:
    top, left = (frame.shape[1] - size[0]) // 2, (frame.shape[2] - size[1]) // 2
    return frame[:, top : top + size[0], left : left + size[1]]
