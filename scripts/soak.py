"""Measure memory, open files and speed over a long training and a long stream, and plot them.

    python scripts/soak.py train --steps 20000
    python scripts/soak.py stream --frames 200000
    python scripts/soak.py draw --image docs/images/soak.png

Each part writes its measurements to ``runs/soak``; ``draw`` plots those that exist. The speed is that per second of
processor time, so that other work on the machine does not show. Linux only.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from lightning.pytorch import Callback, Trainer
from matplotlib.figure import Figure
from torch import Tensor
from typing_extensions import override

import framepred
from framepred.data import MovingMNISTData
from framepred.inference.sinks import CsvSink, VideoSink, record
from framepred.models import EncoderForecaster
from framepred.training import ForecastTask, fit, make_trainer

FOLDER = Path("runs/soak")
KIB_PER_MIB = 1024
MEASUREMENTS = 50
WARM_UP = 0.1  # share of a run after which memory must no longer grow

app = typer.Typer(add_completion=False)
FolderOption = Annotated[Path, typer.Option(help="Folder of the measurements.")]


class Row(NamedTuple):
    """One measurement: the number of steps or frames so far, what the process uses, and its speed since the last."""

    count: int
    memory_mib: float
    handles: int
    per_cpu_second: float


class Usage:
    """Measures this process.

    Args:
        every: steps or frames between two measurements.
    """

    def __init__(self, every: int) -> None:
        self.every = max(1, every)
        self.rows: list[Row] = []
        self._since = time.process_time()

    def measure(self, count: int) -> None:
        """Measure if ``count`` is a multiple of the interval."""
        if count == 0 or count % self.every:
            return
        now = time.process_time()
        handles = sum(1 for _ in Path("/proc/self/fd").iterdir())
        self.rows.append(Row(count, resident_mib(), handles, self.every / (now - self._since)))
        self._since = now

    def save(self, path: Path) -> None:
        """Write the measurements, and print ten of them and the growth after the warm-up."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.rows))
        for row in self.rows[:: max(1, len(self.rows) // 10)]:
            used = f"{row.memory_mib:7.1f} MiB  {row.handles:>3} handles"
            typer.echo(f"{row.count:>9,}  {used}  {row.per_cpu_second:7.1f} per CPU second")
        warm, last = self.rows[int(WARM_UP * len(self.rows))], self.rows[-1]
        typer.echo(
            f"from {warm.count:,} to {last.count:,}: {last.memory_mib - warm.memory_mib:+.1f} MiB, "
            f"{last.handles - warm.handles:+} handles"
        )


class MeasureSteps(Callback):
    """Measures this process between training steps."""

    def __init__(self, usage: Usage) -> None:
        self.usage = usage

    @override
    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        self.usage.measure(trainer.global_step)


def resident_mib() -> float:
    """Return the resident memory of this process in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / KIB_PER_MIB


@app.command()
def train(
    steps: Annotated[int, typer.Option(min=20, help="Optimizer steps.")] = 20_000, folder: FolderOption = FOLDER
) -> None:
    """Train a tiny network, with validation, checkpoints, panels and logs at twenty points of the run."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    task = ForecastTask(EncoderForecaster(hidden_channels=[4]), steps, torch.nn.MSELoss())
    data = MovingMNISTData(2, 2, 2, 1000, 4, frame_size=(28, 28), digits_per_clip=1, digits="mnist-5k")
    usage = Usage(steps // MEASUREMENTS)
    trainer = make_trainer(folder / "run", steps, max(1, steps // 20), accelerator="cpu", enable_progress_bar=False)
    trainer.callbacks.append(MeasureSteps(usage))  # type: ignore[attr-defined]
    fit(trainer, task, data)
    usage.save(folder / "train.json")


@app.command()
def stream(
    frames: Annotated[int, typer.Option(min=20, help="Frames.")] = 200_000,
    weights: Annotated[str, typer.Option(help="What forecasts; networks are also blended with optical flow.")] = (
        "baseline:last-frame"
    ),
    video: Annotated[bool, typer.Option(help="Also write the video of frames and forecasts.")] = False,
    folder: FolderOption = FOLDER,
) -> None:
    """Forecast generated frames one by one, and write the table."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    playing = framepred.stream(moving_square(frames), frames=1, weights=weights, device="cpu")
    sinks: list[Any] = [CsvSink(folder / "stream.csv")]
    if video:
        sinks.append(VideoSink(folder / "forecast.mp4", playing.fps, 1))
    usage = Usage(frames // MEASUREMENTS)
    for step in record(playing, sinks):
        usage.measure(step.index + 1)
    usage.save(folder / "stream.json")


def moving_square(frames: int, side: int = 16, square: int = 4) -> Tensor:
    """Return gray frames ``(t, 1, side, side)``, uint8, of a square that moves to the right and begins anew."""
    clip = torch.zeros(frames, 1, side, side, dtype=torch.uint8)
    for left in range(side - square):
        clip[left :: side - square, :, square : 2 * square, left : left + square] = 200
    return clip


@app.command()
def draw(
    image: Annotated[Path, typer.Option(help="Plot to write.")] = FOLDER / "soak.png", folder: FolderOption = FOLDER
) -> None:
    """Plot memory, handles and speed of the parts that were measured."""
    labels = {"train": "step", "stream": "frame"}
    parts = {name: json.loads(path.read_text()) for name in labels if (path := folder / f"{name}.json").exists()}
    figure = Figure(figsize=(9, 6), dpi=80, layout="constrained")
    grid = figure.subplots(3, len(parts), sharex="col", squeeze=False)
    for column, (name, rows) in enumerate(parts.items()):
        counts, *series = zip(*rows, strict=True)
        titles = ("resident memory, MiB", "open files", f"{labels[name]}s per CPU second")
        for axes, title, values in zip(grid[:, column], titles, series, strict=True):
            axes.plot(counts, values)
            axes.set(ylabel=title, ylim=(0, 1.1 * max(values)))
        grid[0, column].set_title(name)
        grid[-1, column].set_xlabel(labels[name])
    figure.savefig(image)


if __name__ == "__main__":
    app()
