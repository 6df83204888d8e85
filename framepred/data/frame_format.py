"""Frames of one shape from sources of many: channels, size and type."""

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

_NAMED = 5  # files in a sentence


@dataclass(frozen=True)
class FrameForm:
    """The form that every frame is brought to.

    Attributes:
        channels: 1 makes gray of RGB, 3 makes RGB of gray; others only pass.
        size: height and width in pixels.
        dtype: uint8, uint16 or float32; values keep their meaning.
        fit: how frames of another size become ``size``: ``resize`` scales them, whatever the aspect; ``crop`` cuts
            their middle out.
    """

    channels: int
    size: tuple[int, int]
    dtype: torch.dtype
    fit: Fit

    def fitted(self, frame: Shaped[Tensor, "_c _h _w"]) -> Shaped[Tensor, "c h w"]:
        """One frame in this form."""
        if self.fit == "crop":
            frame = _middle(frame, self.size)
        if self.channels == 1 and len(frame) == 3:
            frame = to_gray(frame)
        if frame.shape[1:] != self.size:
            frame = resized(frame, self.size)
        if frame.dtype != self.dtype:
            frame = from_unit(to_unit(frame), self.dtype)
        return frame.expand(self.channels, -1, -1)


def common_form(
    sources: Sequence[Source], root: Path, size: tuple[int, int] | None, fit: Fit, channels: int | None
) -> FrameForm:
    """The form that the frames of all sources can be brought to; the widest type that one of them has.

    Args:
        sources: where frames come from, at least one.
        root: their folder, for what is said.
        size: height and width wanted; None with ``keep``.
        fit: see :class:`FrameForm`; ``keep`` asks that all frames have one size.
        channels: channels wanted; None for what the sources have, RGB where some are gray.

    Raises:
        ConfigError: if ``size`` is missing or not wanted.
        DataError: if sources cannot be brought to that form: the sentence names them.
    """
    return FrameForm(_channels(sources, root, channels), _common_size(sources, root, size, fit), _dtype(sources), fit)


def _channels(sources: Sequence[Source], root: Path, wanted: int | None) -> int:
    found = {source.channels for source in sources}
    if wanted is None:
        wanted = max(found)
    convertible = {1, 3} if wanted in (1, 3) else {wanted}
    strange = [f"{source.name} ({source.channels})" for source in sources if source.channels not in convertible]
    if strange:
        raise DataError(
            f"{_listed(strange, len(sources), root)} cannot become frames of {wanted} channels; "
            "set --data.init_args.channels to what they have, or move them to a folder of their own."
        )
    return wanted


def _common_size(sources: Sequence[Source], root: Path, size: tuple[int, int] | None, fit: Fit) -> tuple[int, int]:
    if (size is None) != (fit == "keep"):
        raise ConfigError(
            f"fit {fit} {'needs' if size is None else 'takes no'} size; "
            "keep the frames' own size with fit keep, or give fit resize or crop and size [HEIGHT, WIDTH]."
        )
    if size is None:
        return _kept_size(sources, root)
    if min(size) < 1:
        raise ConfigError(f"size must be at least 1 pixel each way, not {list(size)}.")
    small = [source for source in sources if source.height < size[0] or source.width < size[1]]
    if fit == "crop" and small:
        raise DataError(
            f"{_listed(_with_sizes(small), len(sources), root)} are smaller than the {size[0]}×{size[1]} to cut out; "
            "lower --data.init_args.size, or set --data.init_args.fit resize."
        )
    return size


def _kept_size(sources: Sequence[Source], root: Path) -> tuple[int, int]:
    (common, _), *others = Counter((source.height, source.width) for source in sources).most_common()
    if others:
        unlike = [source for source in sources if (source.height, source.width) != common]
        raise DataError(
            f"{_listed(_with_sizes(unlike), len(sources), root)} are not {common[0]}×{common[1]} like the others; "
            "for training set --data.init_args.fit resize or crop with --data.init_args.size [HEIGHT, WIDTH], "
            "or keep to files of one size."
        )
    return common


def _dtype(sources: Sequence[Source]) -> torch.dtype:
    found = {source.dtype for source in sources}
    return next(dtype for dtype in (torch.float32, torch.uint16, torch.uint8) if str(dtype)[6:] in found)


def _with_sizes(sources: Sequence[Source]) -> list[str]:
    return [f"{source.name} ({source.height}×{source.width})" for source in sources]


def _listed(names: list[str], total: int, root: Path) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} of the {total} files in {root}, {', '.join(names[:_NAMED])}{more},"


def _middle(frame: Shaped[Tensor, "c _h _w"], size: tuple[int, int]) -> Shaped[Tensor, "c h w"]:
    top, left = (frame.shape[1] - size[0]) // 2, (frame.shape[2] - size[1]) // 2
    return frame[:, top : top + size[0], left : left + size[1]]
