"""How fast clips come out of videos by random access, beside reading the same files straight through with OpenCV."""

import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.process_memory import peak_mib
from framepred.data import EpochBatches, MovingMNIST, ShuffledClips, VideoFolder
from framepred.media.decoding import file_frames
from framepred.media.writing import write_video

LENGTH = 20


class Speed(NamedTuple):
    """Clips of 20 frames a second out of one file, on one core."""

    name: str
    size: tuple[int, int]
    frames: int
    straight: float
    """From the first frame to the last, by OpenCV."""
    shuffled: float
    """Windows in random order, by ``VideoFolder``."""
    small: float
    """The same, gray and scaled to 64×64, as the config of a folder has it."""


def print_speeds(files: list[Path], clips: int, runs: int) -> None:
    """Measure each file, or one that is made here, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        speeds = [_speed(path, clips, runs) for path in files or [_made(Path(folder))]]
    table = Table("file", "frames", "OpenCV, in order", "random access", "ratio", "gray, 64×64")
    for speed in speeds:
        height, width = speed.size
        table.add_row(
            f"{speed.name} {width}×{height}",
            f"{speed.frames:,}",
            f"{speed.straight:.1f}",
            f"{speed.shuffled:.1f}",
            f"{speed.shuffled / speed.straight:.2f}",
            f"{speed.small:.1f}",
        )
    Console().print(table)
    print(f"clips of {LENGTH} frames a second of one core, median of {runs} runs")


def print_memory(copies: int, clips: int) -> None:
    """Peak memory of reading shuffled clips out of one video and out of many copies of it, each in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        video = _made(Path(folder))
        one, many = (_in_a_fresh_process(_copied(video, count), clips) for count in (1, copies))
    print(
        f"peak memory of {clips} clips: 1 video {one:.0f} MiB, {copies} copies {many:.0f} MiB ({many / one - 1:+.1%})"
    )


def _made(folder: Path) -> Path:
    """A video of 300 frames of 320×240, H.264 with a key frame every 250."""
    path = folder / "made.mp4"
    clip = MovingMNIST(
        "train", clips=1, length=300, frame_size=(240, 320), digits_per_clip=8, speed=0.01, digits="mnist-5k"
    )
    write_video(path, clip[0], fps=25)
    return path


def _speed(path: Path, clips: int, runs: int) -> Speed:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / path.name).symlink_to(path.absolute())
        whole = VideoFolder(folder, LENGTH, stride=1)
        small = VideoFolder(folder, LENGTH, stride=1, fit="resize", size=(64, 64), channels=1)
        straight = _rate(lambda: sum(1 for _ in file_frames(path).frames), whole.frames / LENGTH, runs)
        shuffled, scaled = (_rate(lambda part=part: _draw(part, clips), clips, runs) for part in (whole, small))
    height, width = whole.format.size
    return Speed(path.name, (height, width), whole.frames, straight, shuffled, scaled)


def _draw(folder: VideoFolder, clips: int) -> None:
    stream = ShuffledClips(folder)
    for indices in EpochBatches(clips, 4):
        stream.__getitems__(indices)


def _rate(work: Callable[[], object], clips: float, runs: int) -> float:
    """Clips a second of processor time, which other programs do not lengthen: the median of runs after a first one."""
    seconds = []
    for _ in range(runs + 1):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return clips / statistics.median(seconds[1:])


def _copied(video: Path, count: int) -> Path:
    folder = video.parent / str(count)
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03}.mp4").write_bytes(video.read_bytes())
    return folder


def _in_a_fresh_process(folder: Path, clips: int) -> float:
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (folder, clips))


def _peak(folder: Path, clips: int) -> float:
    _draw(VideoFolder(folder, LENGTH, stride=1), clips)
    return peak_mib()
