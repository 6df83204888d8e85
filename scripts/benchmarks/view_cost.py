"""Time and memory of ``framepred predict`` and of its views, for large frames, from start to end of the command."""

import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from framepred.media.writing import write_video

SIZES = {"720p": (720, 1280), "4K": (2160, 3840)}
"""Height and width of the frames, pixels."""
FILM_FRAMES, PREDICTED = 30, 5
VIEWS = {"plain": (), "side by side": ("--view", "side-by-side"), "error": ("--view", "error")}
KIB_PER_GIB = 1024**2


class Usage(NamedTuple):
    """Cost of one command: wall-clock seconds, processor seconds, and peak resident memory in GiB."""

    seconds: float
    processor: float
    memory: float


def print_view_costs(sizes: list[str]) -> None:
    """Run the command for each size and view, and print a table with ratios to the plain prediction."""
    table = Table("frames", "view", "seconds", "processor seconds", "ratio to plain", "peak memory, GiB")
    with TemporaryDirectory() as folder:
        for name in sizes:
            film = Path(folder) / f"{name}.mp4"
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                process.submit(write_film, film, *SIZES[name]).result()
            plain = None
            for view, options in VIEWS.items():
                used = measured(film, Path(folder) / f"{name}-{view}.mp4", options)
                plain = plain or used
                ratio = f"{used.processor / plain.processor:.2f}"
                row = (f"{used.seconds:.1f}", f"{used.processor:.1f}", ratio, f"{used.memory:.2f}")
                table.add_row(f"{name}, {PREDICTED} predicted", view, *row)
    Console(width=100).print(table)


def write_film(path: Path, height: int, width: int) -> None:
    """Write the film; in a process of its own, because the memory of a started command begins with its parent's."""
    write_video(path, moving_texture(height, width), fps=25)


def moving_texture(height: int, width: int) -> Tensor:
    """A film ``(t, 3, h, w)`` of a texture that moves by 3 pixels per frame, uint8."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width + 3 * FILM_FRAMES, 3), dtype=np.uint8)
    texture = cv2.GaussianBlur(noise, (0, 0), height / 90)
    texture = cv2.normalize(texture, texture, 0, 255, cv2.NORM_MINMAX)
    frames = [torch.from_numpy(texture[:, 3 * time : 3 * time + width].copy()) for time in range(FILM_FRAMES)]
    return torch.stack(frames).permute(0, 3, 1, 2)


def measured(film: Path, output: Path, options: tuple[str, ...]) -> Usage:
    """Run ``framepred predict`` in a process of its own and measure it.

    Raises:
        RuntimeError: if the command fails.
    """
    command = (sys.executable, "-m", "framepred.cli", "predict", str(film), "--frames", str(PREDICTED))
    start = time.perf_counter()
    process = subprocess.Popen([*command, *options, "--output", str(output)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"framepred predict {film} ended with the exit code {process.returncode}.")
    return Usage(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / KIB_PER_GIB)
