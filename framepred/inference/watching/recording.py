"""What a watch leaves behind: a table of frames, a video, and for each event a clip, a picture and a line."""

import json
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy.typing import NDArray
from PIL import Image

from framepred.errors import MediaError
from framepred.inference.watch import Watch, WatchStep
from framepred.inference.watching.event_tables import (
    EVENT_COLUMNS,
    LINES,
    TABLE,
    check_event_tables,
    event_files,
    event_name,
    has_content,
    last_number,
    locked_events,
)
from framepred.inference.watching.events import Event, heat_map
from framepred.inference.watching.profile import FrameScore
from framepred.media.atomic import atomic_write, explain_os_errors
from framepred.media.encoding import VideoWriter
from framepred.media.growing import GrowingFile, append_line
from framepred.media.pictures import bytes_of_picture, shrunk_picture
from framepred.media.pixels import DEFAULT_FPS
from framepred.visualization.heat_map import WatchPage, heat_picture

AROUND_SECONDS = 2.0
"""Seconds of a clip before the event begins and after it has ended."""

CLIP_SIDE = 640
"""Longer side of the frames in a clip, in pixels, so that the frames kept before an event take little memory."""

BEFORE_BYTES = 256_000_000
"""Bytes of the frames that are kept before an event, at most: two seconds of 640x480 at 140 frames a second."""

KEEP_MB = 1024
"""Megabytes that a folder of events takes, at most, unless another bound is given."""

MEGABYTE = 1_000_000
MOST_CLIP_SECONDS = 60.0
"""Seconds of an event that a clip holds, at most."""


@runtime_checkable
class Recorder(Protocol):
    """Takes the frames and events of a watch."""

    def write(self, step: WatchStep) -> None:
        """Take one frame."""

    def add(self, event: Event) -> None:
        """Take an event that is complete."""

    def close(self) -> None:
        """Write what is still open."""


def recorded(watching: Watch, recorders: Sequence[Recorder]) -> Generator[WatchStep | Event]:
    """Play a watch into all recorders; yields each frame, and each event after it was recorded.

    The numbers of events go on from those in a folder of events.

    The event that goes on is recorded whatever ends the watch: an error, Ctrl-C, or the end of the iteration.

    Raises:
        MediaError: if the source breaks or a recorder cannot write.
    """
    with ExitStack() as closing:
        for recorder in reversed(recorders):
            closing.callback(recorder.close)
            if isinstance(recorder, EventFolder):
                watching.number_after(recorder.last_number)
        item: WatchStep | Event | None = None
        try:
            for item in watching.play():
                _record(item, recorders)
                yield item
        except BaseException:
            complete = item.event if isinstance(item, WatchStep) else None  # play would yield it next
            event = complete or watching.interrupt()  # None where the source broke: it was recorded
            if event is not None:
                with suppress(MediaError):  # the first error counts
                    _record(event, recorders)
            raise


def _record(item: WatchStep | Event, recorders: Sequence[Recorder]) -> None:
    """Give a frame or an event to all recorders, also where one of them fails."""
    with ExitStack() as calls:
        for recorder in reversed(recorders):
            if isinstance(item, Event):
                calls.callback(recorder.add, item)
            else:
                calls.callback(recorder.write, item)


class FrameTable:
    """A CSV file with a line per frame: number, seconds, score, threshold, and whether an event goes on.

    Args:
        path: the file; it appears with the first frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: GrowingFile | None = None

    def write(self, step: WatchStep) -> None:
        """Append the line of one frame."""
        if self._file is None:
            self._file = GrowingFile(self.path)
            self._file.write("frame,time,score,threshold,event")
        self._file.write(
            f"{step.index},{step.time:.3f},{step.scored.score:.4f},{step.threshold:.4f},{int(step.active)}"
        )

    def add(self, event: Event) -> None:
        """Events are not in this table."""

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class WatchVideo:
    """A video of each frame with its heat map above the curve of the score; complete up to the last frame at any time.

    Args:
        path: an ``.mp4`` file.
        fps: frames per second.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._video = _GrowingVideo(path, fps)
        self._page: WatchPage | None = None

    def write(self, step: WatchStep) -> None:
        """Append the page of one frame."""
        if self._page is None:
            height, width = step.frame.shape[-2:]
            self._page = WatchPage(height, width, step.threshold)
        heat = _heat(step.scored)
        self._video.write(
            self._page.drawn(viewable(step.frame), heat, step.scored.score, step.time, step.active), step.time
        )

    def add(self, event: Event) -> None:
        """Events show in the frames."""

    def close(self) -> None:
        """Finish the file."""
        self._video.close()


class EventFolder:
    """A folder with a clip, a picture and a line for each event, of bounded size, which one watch at a time writes.

    Args:
        folder: it is made where it is missing, and may hold events of earlier watches, whose numbers go on.
        keep_mb: megabytes that it may take; the oldest events go first.

    Attributes:
        last_number: number of the newest event in it, also of the one that goes on; 0 for none.

    Raises:
        ConfigError: if another process writes it.
        MediaError: if its events.csv or events.jsonl hold something else, or it cannot be written.
    """

    def __init__(self, folder: Path, *, keep_mb: float = KEEP_MB) -> None:
        self.folder = folder
        self._keep = keep_mb * MEGABYTE
        self._before: deque[tuple[float, UInt8[np.ndarray, "c h w"]]] = deque()
        self._clip: _EventClip | None = None
        self._was_active = False
        check_event_tables(folder)
        self._lock = ExitStack()
        self._lock.enter_context(locked_events(folder))
        self._lines, self._table = folder / LINES, folder / TABLE
        self.last_number = last_number(folder)

    def write(self, step: WatchStep) -> None:
        """Take one frame: into the clip of the event that goes on, or into those kept before the next one."""
        frame = bytes_of_picture(shrunk_picture(viewable(step.frame), CLIP_SIDE))
        if step.active and not self._was_active:
            self._close_clip()
            self.last_number += 1
            path = self.folder / f"{event_name(self.last_number)}.mp4"
            self._clip = _EventClip(path, tuple(frame.shape))
            for time, former in self._before:
                if step.time - time <= AROUND_SECONDS:
                    self._clip.write(time, former)
        self._was_active = step.active
        if self._clip is not None:
            if not step.active and step.event is None and self._clip.is_over(step.time):  # add needs the picture
                self._close_clip()
            else:
                self._clip.write(step.time, frame)
                self._clip.look(step)
        self._before.append((step.time, frame))
        most = BEFORE_BYTES // frame.nbytes
        while step.time - self._before[0][0] > AROUND_SECONDS or len(self._before) > most:
            self._before.popleft()

    def add(self, event: Event) -> None:
        """Write the picture and the line of an event; the line also where the disk has no room for the picture."""
        name = event_name(event.number)
        try:
            if self._clip is not None and self._clip.picture is not None:
                with atomic_write(self.folder / f"{name}.png") as draft:
                    self._clip.picture.save(draft)
        finally:
            self._append(event, name)
        self._bound(name)

    def _append(self, event: Event, name: str) -> None:
        """Append the line of an event to both tables."""
        clip, picture = f"{name}.mp4", f"{name}.png"
        append_line(self._lines, json.dumps(event.to_dict() | {"clip": clip, "picture": picture}))
        if not has_content(self._table):
            append_line(self._table, ",".join(EVENT_COLUMNS))
        edges = ["", "", "", ""] if event.place is None else [f"{edge:.4f}" for edge in event.place]
        times = [f"{event.start:.3f}", f"{event.peak:.3f}", f"{event.end:.3f}"]
        scores = [f"{event.score:.4f}", f"{event.threshold:.4f}"]
        append_line(self._table, ",".join([str(event.number), *times, *scores, event.kind, *edges, clip, picture]))

    def close(self) -> None:
        """Finish the clip that is open, and release the folder."""
        with self._lock:
            self._close_clip()

    def _close_clip(self) -> None:
        if self._clip is not None:
            self._clip.close()
            self._clip = None

    def _bound(self, newest: str) -> None:
        """Delete the oldest events, but not the newest, until the folder is small enough; their lines go with them."""
        sizes: dict[str, int] = {}
        for path in event_files(self.folder):
            sizes[path.stem] = sizes.get(path.stem, 0) + path.stat().st_size
        total = sum(sizes.values()) + sum(path.stat().st_size for path in (self._lines, self._table))
        gone = []
        for stem, size in sizes.items():
            if total <= self._keep or stem == newest:
                break
            total -= size
            gone.append(stem)
        if gone:
            for path in (self._lines, self._table):
                self._drop_lines(path, gone)
            for path in event_files(self.folder):
                if path.stem in gone:
                    path.unlink(missing_ok=True)

    def _drop_lines(self, path: Path, gone: Sequence[str]) -> None:
        with explain_os_errors(path):
            lines = path.read_text(encoding="utf-8").splitlines()
        names = [f"{stem}.mp4" for stem in gone]
        kept = [line for line in lines if not any(name in line for name in names)]
        with atomic_write(path) as draft:
            draft.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


class _GrowingVideo:
    """A video that is opened by its first frame; where that fails, nothing stays open.

    Args:
        path: an ``.mp4`` file.
        fps: frames per second that the file states; the frames have times of their own.
    """

    def __init__(self, path: Path, fps: float = DEFAULT_FPS) -> None:
        self._writer = VideoWriter(path, fps, growing=True)
        self._open: ExitStack | None = None

    def write(self, frame: UInt8[np.ndarray, "c h w"], time: float) -> None:
        """Append one frame that is shown at a time in seconds."""
        with ExitStack() as opening:
            if self._open is None:
                opening.enter_context(self._writer)
            self._writer.write(frame, time)
            self._open = self._open or opening.pop_all()

    def close(self) -> None:
        """Finish the file, if there is one."""
        if self._open is not None:
            self._open.close()


class _EventClip:
    """The clip and the picture of an event that goes on."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path = path
        self.picture: Image.Image | None = None
        self._shape = shape
        self._video = _GrowingVideo(path)
        self._start: float | None = None
        self._last = 0.0
        self._highest = -1.0

    def write(self, time: float, frame: UInt8[np.ndarray, "c h w"]) -> None:
        """Append a frame; after a change of size, frames are left out."""
        self._start = time if self._start is None else self._start
        if tuple(frame.shape) == self._shape and time - self._start < MOST_CLIP_SECONDS:
            self._video.write(frame, time - self._start)

    def look(self, step: WatchStep) -> None:
        """Note when the event was last above the threshold, and draw its most unusual frame."""
        if not step.active:
            return
        if step.scored.current > step.threshold:
            self._last = step.time
        if step.scored.current > self._highest:
            self._highest = step.scored.current
            self.picture = heat_picture(viewable(step.frame), _heat(step.scored))

    def is_over(self, time: float) -> bool:
        """Whether enough frames after the event are in the clip."""
        return time - self._last > AROUND_SECONDS

    def close(self) -> None:
        """Finish the file."""
        self._video.close()


def viewable(frame: Shaped[np.ndarray, "_c h w"]) -> Shaped[np.ndarray, "_channels h w"]:
    """A frame that can be shown: its first three channels as RGB, or its first one as gray."""
    return frame[:3] if len(frame) >= 3 else frame[:1]


def _heat(scored: FrameScore) -> NDArray[np.float32]:
    return heat_map(scored) if scored.deviations.size else np.zeros((0, 0), dtype=np.float32)
