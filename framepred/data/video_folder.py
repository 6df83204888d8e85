"""Clips of a folder of videos by index: windows of frames that are decoded on access."""

import copy
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.data.clip_dataset import ClipDataset, check_counts
from framepred.data.frame_format import Fit, common_format
from framepred.data.video_index import Source, VideoIndex, same_bytes
from framepred.errors import DataError, MediaError, reason_of
from framepred.media.paths import expand_user
from framepred.media.random_access import FrameReader
from framepred.media.ranges import StatedRange, as_choice

_MAX_OPEN = 4  # sources that a process keeps open: each holds a decoder with its frames
_open: OrderedDict[tuple[VideoIndex, Source], FrameReader] = OrderedDict()
_inherited: list[FrameReader] = []  # never closed: closing waits for decoder threads, which a fork does not copy


def _forget_inherited_readers() -> None:
    """In a forked process, neither share the parent's file positions nor close its readers."""
    _inherited.extend(_open.values())
    _open.clear()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forget_inherited_readers)


@dataclass(frozen=True)
class Section:
    """The part of a source that clips are cut from.

    Attributes:
        source: the file or folder.
        clips: indices of the source's clips; only arrays hold more than one.
        frames: indices of the frames, the same for each of these clips.
    """

    source: Source
    clips: range
    frames: range

    @classmethod
    def whole(cls, source: Source) -> "Section":
        """Return all frames of all clips of a source."""
        return cls(source, range(source.clips), range(source.frames))

    @property
    def frame_count(self) -> int:
        """Number of frames in all clips."""
        return len(self.clips) * len(self.frames)


class VideoFolder(ClipDataset):
    """Clips of the videos, picture sequences and arrays in a folder and its subfolders, each ``(t, c, h, w)``.

    Frames are decoded on access, from the nearest key frame, so memory does not grow with the folder. Video files give
    RGB. File properties are kept in the user's cache.

    Args:
        root: the folder.
        length: frames per clip.
        stride: frames of the file between the starts of consecutive clips; None puts clips end to end.
        frame_step: keep one frame in ``frame_step``.
        size: height and width in pixels, with ``fit`` resize or crop.
        fit: ``keep`` the frame size, which all files must share; ``resize`` to ``size``, ignoring the aspect ratio;
            or ``crop`` the centre.
        channels: 1 for gray, 3 for RGB, or the number of channels of the arrays; None for those of the files.
        layout: axis order of arrays, such as ``thwc``, where their shapes are ambiguous.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1: two numbers such as
            ``0,4095``, or ``auto`` for the range that the values of all files together suggest, for which they are
            read once; or the default of a network, see :class:`framepred.media.ranges.DefaultRange`.
        array_name: which array of files that hold several, such as NetCDF.
        keep_nan: whether missing values stay NaN in clips, where ``value_range`` says what NaN is read as; see
            :class:`framepred.clips.ClipBatch`. Otherwise they are read as that value.
        skip_broken: leave out unusable files instead of refusing the folder. Every frame is then decoded once, when a
            file is first found, to detect damage inside it.

    Attributes:
        left_out: one sentence for each unusable file.
        value_range: the range in use; None for the one that the types of the files state.

    Raises:
        ConfigError: if an argument is outside its domain.
        DataError: if the folder holds nothing usable, or files that are unusable or do not fit together.
    """

    def __init__(
        self,
        root: str | Path,
        length: int = 20,
        *,
        stride: int | None = None,
        frame_step: int = 1,
        size: tuple[int, int] | None = None,
        fit: Fit = "keep",
        channels: int | None = None,
        layout: str | None = None,
        value_range: StatedRange = "auto",
        array_name: str | None = None,
        keep_nan: bool = False,
        skip_broken: bool = False,
    ) -> None:
        check_counts(length=length, frame_step=frame_step, stride=stride, channels=channels)
        self.root = expand_user(root)
        self.length = length
        self.frame_step = frame_step
        self.span = (length - 1) * frame_step + 1
        self.index = VideoIndex(
            self.root,
            layout=layout,
            channels=channels,
            thorough=skip_broken,
            value_range=as_choice(value_range),
            array_name=array_name,
            keep_nan=keep_nan,
        )
        self.value_range = self.index.value_range
        usable = [source for source in self.index.sources if source.frames >= self.span]
        short = [source for source in self.index.sources if source.frames < self.span]
        self.left_out = (*self.index.problems, *map(self._too_short, short))
        if self.left_out and not skip_broken:
            raise DataError(self._refusal())
        if not usable:
            raise DataError(f"No file in {self.root} can be used; the first: {self.left_out[0]}")
        self.format = common_format(usable, self.root, size, fit, channels)
        self._set_sections([Section.whole(source) for source in usable], stride)

    def only(self, names: Collection[str], stride: int | None = None) -> "VideoFolder":
        """Return the clips of these files.

        Args:
            names: paths within the folder, with ``/`` as the separator.
            stride: as for the class.
        """
        return self.select([section for section in self.sections if section.source.name in set(names)], stride)

    def select(self, sections: Sequence[Section], stride: int | None = None) -> "VideoFolder":
        """Return the clips of these sections.

        Args:
            sections: parts of this data set's sources, each at least as long as a clip.
            stride: as for the class.
        """
        part = copy.copy(self)
        part._set_sections(sections, stride)
        return part

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        """Return the clips at these indices, each 0 or more.

        Raises:
            MediaError: if a file is damaged where these clips are.
        """
        return [self._clip(index) for index in indices]

    def has_copy(self, source: Source, folder: "VideoFolder", other: Source) -> bool:
        """Whether a file of this folder and one of another, or of the same, hold the same bytes."""
        return source.content == other.content and same_bytes(self.index.path(source), folder.index.path(other))

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files that clips are cut from."""
        return tuple(section.source for section in self.sections)

    @property
    def frames(self) -> int:
        """Number of frames of all sections, whether or not a clip holds them."""
        return sum(section.frame_count for section in self.sections)

    @property
    def unused_frames(self) -> int:
        """Number of frames that no clip spans, at the ends of sections and between clips."""
        reach = min(self.stride, self.span)
        spanned = (len(part.clips) * ((self._windows(part) - 1) * reach + self.span) for part in self.sections)
        return self.frames - sum(spanned)

    def _set_sections(self, sections: Sequence[Section], stride: int | None) -> None:
        self.sections = tuple(sections)
        self.stride = self.span if stride is None else stride
        self._ends = list(accumulate(len(section.clips) * self._windows(section) for section in self.sections))

    def _windows(self, section: Section) -> int:
        return (len(section.frames) - self.span) // self.stride + 1

    def _clip(self, index: int) -> Shaped[Tensor, "t c h w"]:
        number = bisect_right(self._ends, index)
        section = self.sections[number]
        clip, window = divmod(index - (self._ends[number - 1] if number else 0), self._windows(section))
        start = section.frames.start + window * self.stride
        return self._read(section.source, range(start, start + self.span, self.frame_step), section.clips[clip])

    def _read(self, source: Source, frames: range, clip: int) -> Shaped[Tensor, "t c h w"]:
        found = []
        try:
            for frame in _reader(self.index, source).read(frames, clip):
                if tuple(frame.shape[1:]) != (source.height, source.width):
                    break
                found.append(self.format.convert(frame))
        except OSError as error:
            raise MediaError(
                f"{self.index.path(source)} cannot be read any more ({reason_of(error)}); restore it, or leave it out."
            ) from error
        if len(found) < self.length:
            raise MediaError(
                f"{self.index.path(source)} is damaged or has changed: its frame {frames[len(found)]} of "
                f"{source.height}×{source.width} pixels is missing; copy it again, or leave it out."
            )
        return torch.stack(found)

    def _too_short(self, source: Source) -> str:
        count = f"{source.frames} frame{'s' if source.frames > 1 else ''}"
        return (
            f"{self.index.path(source)} has {count} but one clip spans {self.span}; "
            "use a shorter clip, or leave the file out."
        )

    def _refusal(self) -> str:
        first, *others = self.left_out
        more = f"; {len(others)} more of the files in {self.root} cannot be used" if others else ""
        return f"{first.rstrip('.')}, or set skip_broken to leave such files out{more}."


def evenly_spread(count: int, wanted: int) -> range | list[int]:
    """Return at most ``wanted`` of the indices 0 to ``count`` − 1, evenly spread."""
    return range(count) if wanted >= count else [number * count // wanted for number in range(wanted)]


def _reader(index: VideoIndex, source: Source) -> FrameReader:
    """Return the reader of a source; the ``_MAX_OPEN`` used last stay open."""
    key = (index, source)
    if key not in _open:
        _open[key] = index.open(source)
    _open.move_to_end(key)
    if len(_open) > _MAX_OPEN:
        _open.popitem(last=False)[1].close()
    return _open[key]
