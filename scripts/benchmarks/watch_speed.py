"""Speed and memory of a watch with all its outputs: table, video, events, webhook and a page with one viewer."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

import cv2
import numpy as np
from matplotlib.figure import Figure

from framepred.inference.live_page import VIEWS, serve_page
from framepred.inference.watch import Watch
from framepred.inference.watching.learning import learn_profile
from framepred.inference.watching.playing import PlayingSource, play_source
from framepred.inference.watching.recording import EventFolder, FrameTable, WatchVideo, recorded
from framepred.inference.watching.webhook import Webhook
from framepred.media.encoding import VideoWriter
from framepred.media.live import Moment

FPS = 25.0
SOURCE_SECONDS = 16
FREEZE_FRAMES = 38
"""Frames that the source stands still in each turn, so that there are events to record."""

FALSE_ALARMS = 600.0
"""Rate an hour that the threshold allows: after 16 seconds of normal footage, a lower one makes a freeze no event."""

POLL_SECONDS = 0.5
"""Seconds between two requests of the viewer, as the page makes them."""

KEEP_MB = 20
MIB = 1024 * 1024


def print_watch_speed(frames: int, height: int, width: int, output: Path, video: bool = True) -> None:
    """Watch a generated film, played again and again, with everything but adaptation; print speed and memory.

    Args:
        frames: to watch.
        height: of the film, in pixels.
        width: of the film.
        output: picture of memory, open files and speed over the frames.
        video: whether the video of the watch is written, which takes most of the time.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write_film(folder / "normal.mp4", height, width, seed=1, freezes=False)
        _write_film(folder / "source.mp4", height, width, seed=0, freezes=True)
        profile = learn_profile(folder / "normal.mp4")
        watching = Watch(PlayingSource(_looped(folder / "source.mp4", frames), FPS, True), 0, profile, FALSE_ALARMS)
        with _receiver() as (address, posts), serve_page("127.0.0.1:0", folder / "events", FALSE_ALARMS) as page:
            recorders = [
                FrameTable(folder / "frames.csv"), EventFolder(folder / "events", KEEP_MB), Webhook(address), page,
                *([WatchVideo(folder / "watch.mp4", FPS)] if video else []),
            ]  # fmt: skip
            with _viewer(page.address):
                rows = _run(lambda: (True for _ in recorded(watching, recorders)), frames)
        kept = sum(path.stat().st_size for path in (folder / "events").iterdir())
        print(f"events posted: {len(posts)}; folder of events: {kept / 1e6:.1f} MB of {KEEP_MB} MB allowed")
    first, last = rows[len(rows) // 5], rows[-1]
    print(f"{width}x{height}, {frames:,} frames with {len(recorders)} outputs and one viewer:")
    print(f"{frames / last[1]:.1f} frames/s, {1000 * last[2] / frames:.1f} ms of CPU a frame in all threads")
    print(f"memory {first[3]:.0f} MiB after {first[0]:,} frames, {last[3]:.0f} MiB at the end; {last[4]} open files")
    _draw(rows, output)


def _write_film(path: Path, height: int, width: int, seed: int, freezes: bool) -> None:
    """Write a noisy scene in which things pass; it may stand still at its end."""
    random = np.random.default_rng(seed)
    scene = np.random.default_rng(0).integers(60, 180, (height // 16, width // 16, 3)).astype(np.uint8)
    scene = cv2.resize(scene, (width, height))
    count = round(SOURCE_SECONDS * FPS)
    with VideoWriter(path, FPS) as writer:
        for number in range(count):
            if not freezes or number <= count - FREEZE_FRAMES:
                left = number * width // 100 % width
                frame = cv2.add(scene, random.integers(0, 8, scene.shape, dtype=np.uint8))
                cv2.rectangle(frame, (left, height // 3), (left + width // 10, 2 * height // 3), (220, 210, 200), -1)
            writer.write(frame.transpose(2, 0, 1))


def _looped(path: Path, frames: int) -> Iterator[Moment]:
    """The frames of a file, opened again at its end."""
    number = 0
    while number < frames:
        for moment in play_source(path).moments:
            if number == frames:
                return
            yield Moment(moment.frame, number / FPS, fresh=number == 0)
            number += 1
        gc.collect()  # decoders of files that were read stay until then, which a watch of one source does not meet


Row = tuple[int, float, float, float, int]  # frames, wall seconds, CPU seconds, MiB, open files


def _run(play: Callable[[], Iterator[bool]], frames: int) -> list[Row]:
    every = max(1, frames // 100)
    start, used, rows = time.perf_counter(), time.process_time(), []
    for number, _ in enumerate(play(), start=1):
        if number % every == 0:
            rows.append((number, time.perf_counter() - start, time.process_time() - used, *_usage()))
            print(f"{number:,} frames, {rows[-1][1]:.0f} s, {rows[-1][3]:.0f} MiB", file=sys.stderr, flush=True)
    return rows


def _usage() -> tuple[float, int]:
    """Resident memory in MiB and open files of this process; Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MIB, sum(1 for _ in Path("/proc/self/fd").iterdir())


@contextmanager
def _receiver() -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes posts."""
    posts: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", posts
        server.shutdown()


@contextmanager
def _viewer(address: str) -> Iterator[None]:
    """Requests what an open page requests, until the block ends."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(POLL_SECONDS):
            for path in ("state", *(f"frame/{view}" for view in VIEWS)):
                with suppress(URLError), urlopen(f"{address}{path}", timeout=10) as answer:
                    answer.read()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _draw(rows: list[Row], path: Path) -> None:
    """Plot memory, open files and speed over the frames."""
    numbers, seconds, _, memory, files = (np.array(column) for column in zip(*rows, strict=True))
    speed = np.diff(numbers, prepend=0) / np.diff(seconds, prepend=0)
    figure = Figure(figsize=(8, 6), layout="constrained")
    titles = ("resident memory, MiB", "open files", "frames per second")
    for axes, title, values in zip(figure.subplots(3, sharex=True), titles, (memory, files, speed), strict=True):
        axes.plot(numbers, values)
        axes.set(ylabel=title, ylim=(0, 1.1 * max(values)))
    figure.axes[-1].set_xlabel("frame")
    figure.savefig(path)
