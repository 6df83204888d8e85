"""Properties of the sources in a folder of videos, or the reason why a source cannot be used.

Reading a video's properties takes longer than listing it, so they are kept in the user's cache until the file changes.
"""

import contextlib
import filecmp
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from framepred.data.cache import cache_folder, write_array
from framepred.data.video_files import check_sequence, find_sources
from framepred.errors import ClipError, DataError, FramepredError, MediaError, reason_of
from framepred.media.arrays import CHANNELS
from framepred.media.atomic import atomic_write
from framepred.media.formats import IMAGES, INPUTS, VIDEOS, check_input, frame_files, is_array
from framepred.media.images import survey_pictures
from framepred.media.random_access import FrameReader, VideoMap, map_video, open_reader
from framepred.media.ranges import DefaultRange, RangeChoice, ValueRange, refuse_range, with_missing
from framepred.media.reading import refuse_form
from framepred.media.video_header import has_high_bit_depth

_VERSION = 6  # of the cache's format
_PROBE = 1 << 16  # bytes at a file's start and end that identify its content
_BYTES, _FLOATS = "uint8", "float32"
_TYPE_RANGES = {"uint16": (0.0, 65535.0), _FLOATS: (0.0, 1.0)}
_MIN_FOR_BAR = 50  # sources; fewer are read before a progress bar helps


@dataclass(frozen=True)
class Source:
    """Properties of a video, a folder of pictures or an array file.

    Attributes:
        name: its path within the folder, with ``/`` as the separator.
        clips: number of clips, 1 except for an array of clips.
        frames: frames per clip.
        channels: channels per frame.
        height: pixels.
        width: pixels.
        dtype: ``uint8``, ``uint16`` or ``float32``.
        stored: the type of the frames without scaling; floats where the values are outside its range.
        fits_unit: whether floats that are scaled also lie in [0, 1]; see :class:`framepred.media.ranges.ValueRange`.
        low: lowest value of the range that the values suggest; None for bytes, and where a range is given.
        high: highest value of that range, likewise.
        notes: one sentence for each property that a user should know, such as several series in one folder.
        stamp: a hash of the name, size, modification time and reading options: it changes when the file does.
        content: a hash of the size, the first and the last bytes: equal for copies, and for files that differ only in
            between, which :func:`same_bytes` tells apart.
    """

    name: str
    clips: int
    frames: int
    channels: int
    height: int
    width: int
    dtype: str
    stored: str
    fits_unit: bool
    low: float | None
    high: float | None
    notes: tuple[str, ...]
    stamp: str
    content: str


class VideoIndex:
    """The properties of every video, folder of pictures and array file in a folder and its subfolders.

    Args:
        root: the folder.
        layout: axis order of arrays, such as ``thwc``; None where their shapes are unambiguous.
        channels: number of channels of arrays that are neither gray nor RGB.
        thorough: decode every frame once, to detect damage inside files.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1; ``auto`` for the
            range that the values of all files together suggest, None for the one that their types state.
        array_name: which array of files that hold several.
        keep_nan: whether NaN stays NaN in frames that are read, where ``value_range`` says what it is read as.

    Attributes:
        value_range: the range in use; None for the one that the types state, also where no source is scaled.
        sources: the usable sources, in natural order of their names.
        problems: one sentence for each unusable source.

    Raises:
        DataError: if ``root`` is not a folder, or holds no file of a known kind.
        ConfigError: if ``layout``, ``array_name`` or ``value_range`` is stated and no file in the folder can have it.
    """

    def __init__(
        self,
        root: Path,
        *,
        layout: str | None = None,
        channels: int | None = None,
        thorough: bool = False,
        value_range: RangeChoice = None,
        array_name: str | None = None,
        keep_nan: bool = False,
    ) -> None:
        if not root.is_dir():
            raise DataError(f"{root} is not a folder; set root to the folder that holds the videos.")
        self.root = root
        self.layout = layout
        self.channels = CHANNELS if channels in (None, 1, 3) else (channels,)
        self.thorough = thorough
        self.choice = value_range
        self.array_name = array_name
        self.keep_nan = keep_nan
        self.cache = cache_folder() / "video-folders" / _hash(str(root.resolve()))
        paths, problems = find_sources(root)
        if not paths and not problems:
            raise DataError(f"{root} holds no videos; put {', '.join((*INPUTS, *IMAGES))} files in it.")
        self._refuse_unused(paths)
        found = self._read_properties(paths)
        sources = [source for source in found if isinstance(source, Source)]
        self.value_range = self._used_range(sources)
        self.sources = tuple(map(self._scaled, sources))
        self.problems = (*problems, *(sentence for sentence in found if isinstance(sentence, str)))

    def path(self, source: Source) -> Path:
        """Return the path of a source."""
        return self.root / source.name

    def open(self, source: Source) -> FrameReader:
        """Open a source for random access."""
        path = self.path(source)
        video_map = _cached_map(self._map_file(source.stamp)) if _is_video(path) else None
        by_type = self.choice == "auto" and source.dtype == _BYTES
        chosen = self.choice if isinstance(self.choice, DefaultRange) else None if by_type else self.value_range
        return self._open(path, video_map, with_missing(chosen) if self.keep_nan else chosen)

    def _refuse_unused(self, paths: Sequence[Path]) -> None:
        """Refuse a layout, a name or a range that no file in the folder can have."""
        if paths and not any(map(is_array, paths)):
            refuse_form(self.root, self.layout, self.array_name)
        stated = isinstance(self.choice, ValueRange)
        if stated and paths and all(_is_video(path) and not has_high_bit_depth(path) for path in paths):
            refuse_range(self.choice, self.root)

    def _used_range(self, sources: Sequence[Source]) -> ValueRange | None:
        if self.choice == "auto":
            return _common_range(sources)
        scaled = [source for source in sources if source.dtype == _FLOATS]
        chosen = self.choice.learned if isinstance(self.choice, DefaultRange) else self.choice
        if chosen is None or not scaled:
            return None
        return replace(
            chosen,
            scales_bytes=any(source.stored == _BYTES for source in scaled),
            fits_unit=all(source.fits_unit for source in scaled),
        )

    def _open(self, path: Path, video_map: VideoMap | None, value_range: RangeChoice) -> FrameReader:
        return open_reader(
            path,
            video_map=video_map,
            layout=self.layout,
            channels=self.channels,
            array_name=self.array_name if is_array(path) else None,
            value_range=value_range,
        )

    def _scaled(self, source: Source) -> Source:
        """Return a source with the type of its frames after scaling to the common range."""
        scaled = self.value_range is not None and source.low is not None
        return replace(source, dtype=_FLOATS) if scaled else source

    def _read_properties(self, paths: list[Path]) -> list[Source | str]:
        known = _cached_sources(self.cache)

        def read(path: Path) -> Source | str:
            try:
                stamp = self._stamp(check_input(path))
                return known.get(stamp) or self._source(path, stamp)
            except FramepredError as error:
                return str(error)
            except OSError as error:
                return f"{path} cannot be read ({reason_of(error)}); check it, or copy it again."

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            found = list(_with_progress_bar(pool.map(read, paths), len(paths)))
        with contextlib.suppress(MediaError):  # without a cache the next run only takes longer
            _write_cache(self.cache, [source for source in found if isinstance(source, Source)])
        return found

    def _source(self, path: Path, stamp: str) -> Source:
        video_map = self._map(path, stamp) if _is_video(path) else None
        if path.is_dir() and not is_array(path):
            check_sequence(path)
        has_type = video_map is None or has_high_bit_depth(path)  # other films are bytes
        stored = self._stored_type(path) if has_type else _BYTES
        choice = self.choice if self.choice != "auto" or stored != _BYTES else None
        with contextlib.closing(self._open(path, video_map, choice)) as reader:
            first = next(iter(reader.read(range(1))), None)
            if first is None:
                raise MediaError(f"{path} holds no frames; record it again, or leave it out.")
            may_hold_nan = reader.may_lack or _name(first.dtype) == stored == _FLOATS  # which must not end a training
            if video_map is None and (self.thorough or may_hold_nan):
                _read_all(reader)
        found = (reader.value_range or ValueRange(0, 1)) if choice == "auto" else None
        channels, height, width = first.shape
        if path.is_dir() and not is_array(path):
            channels = survey_pictures(path)
        return Source(
            name=path.relative_to(self.root).as_posix(),
            clips=reader.clips,
            frames=reader.frames,
            channels=channels,
            height=height,
            width=width,
            dtype=stored if choice == "auto" else _name(first.dtype),
            stored=stored,
            fits_unit=reader.value_range is not None and reader.value_range.fits_unit,
            low=found.low if found else None,
            high=found.high if found else None,
            notes=reader.notes,
            stamp=stamp,
            content=_content(path),
        )

    def _stored_type(self, path: Path) -> str:
        """Return the type of a source's frames without scaling; floats where its values are outside its type's range.

        All values are read to find the range of wider types, but not to find that of bytes, which is fixed.
        """
        try:
            with contextlib.closing(self._open(path, None, None)) as reader:
                first = next(iter(reader.read(range(1))), None)
        except ClipError:
            return _FLOATS
        return _BYTES if first is None else _name(first.dtype)

    def _map(self, path: Path, stamp: str) -> VideoMap:
        video_map = map_video(path, self.thorough)
        with contextlib.suppress(OSError):
            write_array(video_map, self._map_file(stamp))
        return video_map

    def _map_file(self, stamp: str) -> Path:
        return self.cache / f"{stamp}.npy"

    def _stamp(self, path: Path) -> str:
        """Return a hash that changes with the file and with the reading options."""
        files = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in _files(path)]
        name = path.relative_to(self.root).as_posix()
        choice = asdict(self.choice) if isinstance(self.choice, ValueRange | DefaultRange) else self.choice
        options = (self.layout, self.channels, self.thorough, choice, self.array_name)
        return _hash(repr((_VERSION, name, files, *options)))


def _common_range(sources: Sequence[Source]) -> ValueRange | None:
    """Return the range that holds those of all sources; None where each is the range of its type."""
    ranges = [(source.low, source.high) for source in sources if source.low is not None and source.high is not None]
    if all(source.low is None or (source.low, source.high) == _TYPE_RANGES[source.dtype] for source in sources):
        return None
    return ValueRange(min(low for low, _ in ranges), max(high for _, high in ranges))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS and not path.is_dir()


def _files(path: Path) -> list[Path]:
    """Return the files of a source."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file()) if is_array(path) else frame_files(path)


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two sources are copies of each other, or the same; sources of one size are read to their end."""
    if one.samefile(other):
        return True
    files, others = _files(one), _files(other)
    return len(files) == len(others) and all(map(partial(filecmp.cmp, shallow=False), files, others))


def _content(path: Path) -> str:
    files = _files(path)
    digest = hashlib.sha256(repr([file.stat().st_size for file in files]).encode())
    with files[0].open("rb") as first, files[-1].open("rb") as last:
        digest.update(first.read(_PROBE))
        last.seek(max(0, files[-1].stat().st_size - _PROBE))
        digest.update(last.read())
    return digest.hexdigest()[:16]


def _read_all(reader: FrameReader) -> None:
    for clip in range(reader.clips):
        for _ in reader.read(range(reader.frames), clip):
            pass


def _with_progress_bar(found: Iterable[Source | str], total: int) -> Iterable[Source | str]:
    hidden = total < _MIN_FOR_BAR
    return track(found, "reading file properties", total, console=Console(stderr=True), transient=True, disable=hidden)


def _cached_map(file: Path) -> VideoMap | None:
    try:
        found: np.ndarray = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found


def _cached_sources(cache: Path) -> dict[str, Source]:
    try:
        entries: list[dict[str, Any]] = json.loads((cache / "index.json").read_text())
        return {entry["stamp"]: Source(**entry | {"notes": tuple(entry["notes"])}) for entry in entries}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _write_cache(cache: Path, sources: list[Source]) -> None:
    with atomic_write(cache / "index.json") as draft:
        draft.write_text(json.dumps([asdict(source) for source in sources]))
    stamps = {source.stamp for source in sources}
    for file in cache.glob("*.npy"):
        if file.stem not in stamps:
            file.unlink(missing_ok=True)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:24]
