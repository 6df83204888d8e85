"""What a folder of videos holds: every source with its frames and size, or the sentence that says why it is of no use.

Looking into a video takes longer than listing it, so what was found is kept in the user's cache until the file changes.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from framepred.data.cache import cache_folder, keep
from framepred.data.video_files import check_sequence, find_sources
from framepred.errors import DataError, FramepredError, MediaError
from framepred.media.arrays import CHANNELS
from framepred.media.atomic import atomic_write
from framepred.media.formats import IMAGES, INPUTS, VIDEOS, check_input, frame_files, is_array
from framepred.media.images import survey_pictures
from framepred.media.random_access import FrameReader, VideoMap, map_video, open_reader

_VERSION = 1  # of what is kept in the cache
_PROBE = 1 << 16  # bytes at a file's beginning and end that tell it from other files
_WORTH_A_BAR = 50  # sources


@dataclass(frozen=True)
class Source:
    """A video, a folder of pictures or an array file, as it was found.

    Attributes:
        name: its path within the folder, with ``/`` between the parts.
        clips: clips that it holds; 1 but for an array of clips.
        frames: frames of each clip.
        channels: channels of each frame.
        height: pixels.
        width: pixels.
        dtype: ``uint8``, ``uint16`` or ``float32``.
        stamp: another one when the file changes, or is looked at in another way.
        content: a hash of the size, the beginning and the end: equal for copies.
    """

    name: str
    clips: int
    frames: int
    channels: int
    height: int
    width: int
    dtype: str
    stamp: str
    content: str


class VideoIndex:
    """Looks into every video, folder of pictures and array file in a folder and the folders below it.

    Args:
        root: the folder.
        layout: order of the axes of arrays, such as ``thwc``; None where their shapes tell.
        channels: channels of arrays that are neither gray nor RGB.
        thorough: decode everything once, to find damage in the midst.

    Attributes:
        sources: what clips can be cut from, in natural order of their names.
        problems: one sentence for each source that is of no use.

    Raises:
        DataError: if ``root`` is no folder, or holds nothing of a known kind.
    """

    def __init__(
        self, root: Path, *, layout: str | None = None, channels: int | None = None, thorough: bool = False
    ) -> None:
        if not root.is_dir():
            raise DataError(f"{root} is not a folder; name the folder that holds the videos.")
        self.root = root
        self.layout = layout
        self.channels = CHANNELS if channels in (None, 1, 3) else (channels,)
        self.thorough = thorough
        self.cache = cache_folder() / "video-folders" / _hash(str(root.resolve()))
        paths, problems = find_sources(root)
        if not paths and not problems:
            raise DataError(f"{root} holds nothing to learn from; put {', '.join((*INPUTS, *IMAGES))} files in it.")
        found = self._look_into(paths)
        self.sources = tuple(source for source in found if isinstance(source, Source))
        self.problems = (*problems, *(sentence for sentence in found if isinstance(sentence, str)))

    def path(self, source: Source) -> Path:
        """Where a source lies."""
        return self.root / source.name

    def open(self, source: Source) -> FrameReader:
        """Open a source for random access."""
        path = self.path(source)
        video_map = _kept_map(self._map_file(source.stamp)) if _is_video(path) else None
        return self._open(path, video_map)

    def _open(self, path: Path, video_map: VideoMap | None) -> FrameReader:
        return open_reader(path, video_map=video_map, layout=self.layout, channels=self.channels)

    def _look_into(self, paths: list[Path]) -> list[Source | str]:
        known = _read_known(self.cache)

        def look(path: Path) -> Source | str:
            try:
                stamp = self._stamp(check_input(path))
                return known.get(stamp) or self._look(path, stamp)
            except FramepredError as error:
                return str(error)
            except OSError as error:
                return f"{path} cannot be read ({error.strerror}); check it, or copy it again."

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            found = list(_with_a_bar(pool.map(look, paths), len(paths)))
        with contextlib.suppress(MediaError):  # a cache that cannot be written costs time, not the run
            _keep_known(self.cache, [source for source in found if isinstance(source, Source)])
        return found

    def _look(self, path: Path, stamp: str) -> Source:
        video_map = self._map(path, stamp) if _is_video(path) else None
        if path.is_dir() and not is_array(path):
            check_sequence(path)
        with contextlib.closing(self._open(path, video_map)) as reader:
            first = next(iter(reader.read(range(1))))
            if self.thorough and video_map is None:
                _read_all(reader)
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
            dtype=str(first.dtype).removeprefix("torch."),
            stamp=stamp,
            content=_content(path),
        )

    def _map(self, path: Path, stamp: str) -> VideoMap:
        video_map = map_video(path, self.thorough)
        with contextlib.suppress(OSError):
            keep(video_map, self._map_file(stamp))
        return video_map

    def _map_file(self, stamp: str) -> Path:
        return self.cache / f"{stamp}.npy"

    def _stamp(self, path: Path) -> str:
        """What changes with the file and with the way it is looked at."""
        files = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in _files(path)]
        name = path.relative_to(self.root).as_posix()
        return _hash(repr((_VERSION, name, files, self.layout, self.channels, self.thorough)))


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS and not path.is_dir()


def _files(path: Path) -> list[Path]:
    """The files that make a source."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file()) if is_array(path) else frame_files(path)


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


def _with_a_bar(found: Iterable[Source | str], total: int) -> Iterable[Source | str]:
    hidden = total < _WORTH_A_BAR
    return track(found, "looking into files", total, console=Console(stderr=True), transient=True, disable=hidden)


def _kept_map(file: Path) -> VideoMap | None:
    try:
        found: np.ndarray = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found


def _read_known(cache: Path) -> dict[str, Source]:
    try:
        entries: list[dict[str, Any]] = json.loads((cache / "index.json").read_text())
        return {entry["stamp"]: Source(**entry) for entry in entries}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _keep_known(cache: Path, sources: list[Source]) -> None:
    with atomic_write(cache / "index.json") as draft:
        draft.write_text(json.dumps([asdict(source) for source in sources]))
    stamps = {source.stamp for source in sources}
    for file in cache.glob("*.npy"):
        if file.stem not in stamps:
            file.unlink(missing_ok=True)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:24]
