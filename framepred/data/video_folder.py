"""Clips of a folder of videos, by number: windows that are decoded when they are asked for."""

import copy
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.utils.data import Dataset

from framepred.clips import RawClip
from framepred.data.frame_format import Fit, common_form
from framepred.data.video_index import Source, VideoIndex
from framepred.errors import ConfigError, DataError, MediaError
from framepred.media.random_access import FrameReader

_OPEN = 4  # sources that a process keeps open: each holds a decoder with its frames
_open: OrderedDict[tuple[VideoIndex, Source], FrameReader] = OrderedDict()
_inherited: list[FrameReader] = []  # never closed: a decoder waits for its threads, which no fork brings along


def _leave_to_the_parent() -> None:
    """A forked process must neither share its parent's place in a file nor close it."""
    _inherited.extend(_open.values())
    _open.clear()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_leave_to_the_parent)


class VideoFolder(Dataset[Tensor]):
    """Windows of the videos, folders of pictures and arrays in a folder and the folders below it.

    Memory does not grow with the folder: frames are decoded as they are asked for, from the nearest key frame. Video
    files give RGB. What was found about the files is kept in the user's cache.

    Args:
        root: the folder.
        length: frames of a clip.
        stride: frames of the file from the beginning of a clip to that of the next; None puts clips end to end.
        every: take every so manieth frame.
        size: height and width in pixels, with ``fit`` resize or crop.
        fit: ``keep`` the size, which all files must have in common; ``resize`` to ``size``, whatever the aspect; or
            ``crop`` the middle out.
        channels: 1 for gray, 3 for RGB, or as many as the arrays have; None for what the files have.
        layout: order of the axes of arrays, such as ``thwc``, where their shapes do not tell.
        skip_broken: leave out files that cannot be used instead of refusing the folder; then every frame is decoded
            once, when a file is first met, to find damage in its midst.

    Attributes:
        left_out: one sentence for each file that cannot be used.

    Raises:
        ConfigError: if an argument is outside its domain.
        DataError: if the folder holds nothing usable, or files that cannot be used or do not fit together.
    """

    def __init__(
        self,
        root: str | Path,
        length: int = 20,
        *,
        stride: int | None = None,
        every: int = 1,
        size: tuple[int, int] | None = None,
        fit: Fit = "keep",
        channels: int | None = None,
        layout: str | None = None,
        skip_broken: bool = False,
    ) -> None:
        check_counts(length=length, every=every, stride=stride, channels=channels)
        self.root = Path(root).expanduser()
        self.length = length
        self.every = every
        self.span = (length - 1) * every + 1
        self.index = VideoIndex(self.root, layout=layout, channels=channels, thorough=skip_broken)
        usable = [source for source in self.index.sources if source.frames >= self.span]
        self.left_out = (*self.index.problems, *(self._too_short(source) for source in self.index.sources
                                                 if source.frames < self.span))  # fmt: skip
        if self.left_out and not skip_broken:
            raise DataError(self._refusal())
        if not usable:
            raise DataError(f"No file in {self.root} can be used; the first: {self.left_out[0]}")
        self.form = common_form(usable, self.root, size, fit, channels)
        self._take(usable, stride)

    def only(self, names: Collection[str], stride: int | None = None) -> "VideoFolder":
        """The clips of these files alone, cut with another stride.

        Args:
            names: paths within the folder, with ``/`` between the parts.
            stride: as for the whole.
        """
        kept, part = set(names), copy.copy(self)
        part._take([source for source in self.sources if source.name in kept], stride)
        return part

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Shaped[Tensor, "t c h w"]:
        if not 0 <= index < len(self):
            raise IndexError(f"Clip {index} of {len(self)}.")
        place = bisect_right(self._ends, index)
        source = self.sources[place]
        clip, window = divmod(index - (self._ends[place - 1] if place else 0), self._windows(source))
        start = window * self.stride
        return self._read(source, range(start, start + self.span, self.every), clip)

    def __getitems__(self, indices: Sequence[int]) -> RawClip:
        """A batch at once.

        Raises:
            IndexError: if an index is negative or beyond the last clip.
            MediaError: if a file is damaged where these clips lie.
        """
        return torch.stack([self[index] for index in indices])

    @property
    def frames(self) -> int:
        """Frames of the files, in clips or not."""
        return sum(source.clips * source.frames for source in self.sources)

    @property
    def unused_frames(self) -> int:
        """Frames at the ends of files and between clips that no clip spans."""
        reach = min(self.stride, self.span)
        spanned = (source.clips * ((self._windows(source) - 1) * reach + self.span) for source in self.sources)
        return self.frames - sum(spanned)

    def _take(self, sources: Sequence[Source], stride: int | None) -> None:
        self.sources = tuple(sources)
        self.stride = self.span if stride is None else stride
        self._ends = list(accumulate(source.clips * self._windows(source) for source in self.sources))

    def _windows(self, source: Source) -> int:
        return (source.frames - self.span) // self.stride + 1

    def _read(self, source: Source, frames: range, clip: int) -> Shaped[Tensor, "t c h w"]:
        reader = _reader(self.index, source)
        found = []
        for frame in reader.read(frames, clip):
            if tuple(frame.shape[1:]) != (source.height, source.width):
                break
            found.append(self.form.fitted(frame))
        if len(found) < self.length:
            raise MediaError(
                f"{self.index.path(source)} is damaged or has changed: its frame {frames[len(found)]} of "
                f"{source.height}×{source.width} pixels is not there; copy it again, or leave it out."
            )
        return torch.stack(found)

    def _too_short(self, source: Source) -> str:
        count = f"{source.frames} frame{'s' if source.frames > 1 else ''}"
        return (
            f"{self.index.path(source)} has {count} but one clip spans {self.span}; "
            "ask for fewer frames, or leave the file out."
        )

    def _refusal(self) -> str:
        first, *others = self.left_out
        more = f"; {len(others)} more of the files in {self.root} cannot be used" if others else ""
        return f"{first.rstrip('.')}, or leave such files out with --skip-broken{more}."


class Shuffled(Dataset[Tensor]):
    """An endless stream of the clips of a data set: each epoch all of them once, in an order of its own.

    Clip i of the stream is a function of (seed, i) alone, so that a killed run goes on exactly.

    Args:
        clips: the data set, with at least one clip.
        seed: which order.
    """

    def __init__(self, clips: VideoFolder, seed: int = 0) -> None:
        self.clips = clips
        self.seed = seed

    def __getitems__(self, indices: Sequence[int]) -> RawClip:
        """A batch at once; there is no last clip."""
        places = (divmod(index, len(self.clips)) for index in indices)
        return self.clips.__getitems__([int(_order(len(self.clips), self.seed, epoch)[at]) for epoch, at in places])


def evenly_spread(count: int, wanted: int) -> range | list[int]:
    """At most ``wanted`` of the numbers 0 to ``count`` − 1, evenly spread."""
    return range(count) if wanted >= count else [number * count // wanted for number in range(wanted)]


def _reader(index: VideoIndex, source: Source) -> FrameReader:
    """The reader of a source, one of the few that are open."""
    key = (index, source)
    if key not in _open:
        _open[key] = index.open(source)
    _open.move_to_end(key)
    if len(_open) > _OPEN:
        _open.popitem(last=False)[1].close()
    return _open[key]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def check_counts(**counts: int | None) -> None:
    """Refuse arguments below 1; None passes.

    Raises:
        ConfigError: if there is one.
    """
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ConfigError(f"{name} must be at least 1, not {count}.")
