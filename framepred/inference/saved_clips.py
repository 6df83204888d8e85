"""Clips in arrays, in files, or in folders of files, by number: memory-mapped where the format allows it."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

from framepred.clips import WHITE, ClipBatch, RawClip
from framepred.data.video_files import find_sources
from framepred.errors import ClipError, DataError, MediaError
from framepred.inference.sources import values_in_memory
from framepred.media.arrays import open_array
from framepred.media.formats import check_input, is_array, is_folder_of_clips
from framepred.media.paths import expand_user
from framepred.media.ranges import ValueRange
from framepred.media.reading import open_frames

ClipSource: TypeAlias = str | Path | NDArray[Any] | Tensor
"""Clips: the path of a file or folder, or an array or tensor ``(n, t, c, h, w)``, ``(n, t, h, w)`` or of one clip."""


MAX_CHANNELS = 4
"""More channels than those of pictures are taken for another order of the axes, unless the layout is given."""


class _Part(NamedTuple):
    """The clips of one file."""

    name: str
    clips: int
    frames: int
    read: Callable[[int], Shaped[Tensor, "t c h w"]]


class SavedClips:
    """Clips of one shape from one array, one file, or the files of a folder in natural order, read one at a time.

    Without a range, floats pass as they are, also beyond [0, 1], because predictions may leave that range.

    Args:
        source: where the clips are. A folder may hold array files, which are read as one (shards), videos, or folders
            of frames.
        layout: order of the axes of arrays, such as ``nthwc``, where their shape is ambiguous.
        value_range: the values of arrays, and of pictures with more than 8 bits, that become 0 and 1; None for those
            that the types state.

    Raises:
        MediaError: if a file cannot be read.
        ClipError: if an array has no clip's shape.
        DataError: if a folder holds no clips, or clips of several lengths.
    """

    def __init__(self, source: ClipSource, layout: str | None = None, value_range: ValueRange | None = None) -> None:
        self.name = str(source) if isinstance(source, str | Path) else "the array"
        self._parts = _parts(source, layout, value_range)
        self._ends = list(accumulate(part.clips for part in self._parts))
        lengths = {part.frames: part.name for part in self._parts}
        if len(lengths) > 1:
            found = " and ".join(f"{frames} frames ({name})" for frames, name in list(lengths.items())[:2])
            raise DataError(f"{self.name} holds clips of {found}; save clips of one length.")
        self.frames = self._parts[0].frames

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Shaped[Tensor, "t c h w"]:
        if not 0 <= index < len(self):
            raise IndexError(f"Clip {index} of {len(self)}.")
        part = bisect_right(self._ends, index)
        return self._parts[part].read(index - (self._ends[part - 1] if part else 0))

    def __getitems__(self, indices: Sequence[int]) -> RawClip:
        """The clips of these numbers.

        Raises:
            ClipError: if they differ in size or type.
        """
        clips = [self[index] for index in indices]
        kinds = {(tuple(clip.shape), clip.dtype) for clip in clips}
        if len(kinds) > 1:
            raise ClipError(f"{self.name} holds clips of different sizes or types: {sorted(map(str, kinds))[:2]}.")
        return torch.stack(clips)


def _parts(source: ClipSource, layout: str | None, value_range: ValueRange | None) -> list[_Part]:
    if not isinstance(source, str | Path):
        return [_array_part("the array", _five_axes(source, layout), value_range)]
    path = expand_user(source)
    if not is_folder_of_clips(path):
        return [_file_part(check_input(path), layout, value_range)]
    sources, problems = find_sources(path)
    if problems or not sources:
        raise MediaError(problems[0] if problems else f"{path} holds no clips; give the folder of saved clips.")
    return [_file_part(check_input(file), layout, value_range) for file in sources]


def _file_part(path: Path, layout: str | None, value_range: ValueRange | None) -> _Part:
    if is_array(path):
        return _array_part(str(path), open_array(path, layout), value_range)

    def frames() -> Iterator[Tensor]:
        return open_frames(path, value_range=value_range).frames

    return _Part(str(path), 1, sum(1 for _ in frames()), lambda _: torch.stack(list(frames())))


def _array_part(name: str, array: Any, value_range: ValueRange | None) -> _Part:
    def read(index: int) -> Shaped[Tensor, "t c h w"]:
        clip = array[index : index + 1]
        if value_range is not None:
            return value_range.to_unit(torch.from_numpy(clip.astype(np.float64)))[0]
        if clip.dtype != array.dtype:
            raise ClipError(f"{name} holds {array.dtype} values, and some are missing; save floats in [0, 1] and NaN.")
        return _tensor(clip, name)[0]

    return _Part(name, len(array), array.shape[1], read)


def _five_axes(array: NDArray[Any] | Tensor, layout: str | None) -> NDArray[Any]:
    """A view ``(n, t, c, h, w)`` of an array in memory."""
    values = values_in_memory(array)
    order = layout or {3: "thw", 4: "tchw", 5: "ntchw"}.get(values.ndim, "")
    if len(order) != values.ndim or not set("thw") <= set(order) <= set("ntchw"):
        raise ClipError(
            f"An array of shape {values.shape} holds no clips in the layout {order or 'of 3 to 5 axes'}; give "
            "(n, t, c, h, w), or name the order of its axes."
        )
    channels = values.shape[order.index("c")] if "c" in order else 1
    if layout is None and channels > MAX_CHANNELS:
        raise ClipError(
            f"An array of shape {values.shape} would have {channels} channels in the layout {order}; name the order of "
            "its axes, such as nthw or nthwc."
        )
    view = values.transpose([order.index(axis) for axis in "ntchw" if axis in order])
    return np.expand_dims(view, [number for number, axis in enumerate("ntchw") if axis not in order])


def _tensor(view: NDArray[Any], name: str) -> RawClip:
    """A copy of some clips as uint8, uint16, or float32."""
    view = view.astype(view.dtype.newbyteorder("="), copy=False)
    if view.dtype.kind == "b":
        view = view.astype(np.uint8) * WHITE[torch.uint8]
    if view.dtype.kind == "f":
        view = view.astype(np.float32)
    elif view.dtype not in (np.uint8, np.uint16):
        raise ClipError(f"{name} holds {view.dtype} values; save them as uint8, uint16 or floats in [0, 1].")
    return torch.from_numpy(np.array(view, order="C"))


MISSING_TRUTH = 0.0
"""What baselines read for NaN in the context of saved clips; NaN in the truth is a missing pixel."""


class SavedBatches(Iterable[ClipBatch]):
    """Batches of true clips, with their context or with none."""

    def __init__(self, truth: SavedClips, context: SavedClips | None, count: int, batch_size: int) -> None:
        self.truth, self.context, self.count, self.batch_size = truth, context, count, batch_size

    def __iter__(self) -> Iterator[ClipBatch]:
        for first in range(0, self.count, self.batch_size):
            numbers = range(first, min(first + self.batch_size, self.count))
            target = self.truth.__getitems__(numbers)
            context = target[:, :0] if self.context is None else self.context.__getitems__(numbers)
            yield ClipBatch(context, target, MISSING_TRUTH if target.is_floating_point() else None)
