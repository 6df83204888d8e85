"""Trains many tiny steps and plots memory, open files and speed: ``python scripts/soak.py --steps 20000``.

Memory and handles must stay flat; a leak of one tensor a step would show.
"""

import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure
from typing_extensions import override

from framepred.data import MovingMNISTData
from framepred.models import EncoderForecaster
from framepred.training import ForecastTask, fit, make_trainer

KIB_PER_MIB = 1024


class Usage(Callback):
    """Measures this process every ``interval`` steps."""

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.rows: list[tuple[int, float, int, float]] = []
        self._since = time.perf_counter()

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        if trainer.global_step % self.interval:
            return
        now = time.perf_counter()
        handles = sum(1 for _ in Path("/proc/self/fd").iterdir())
        self.rows.append((trainer.global_step, resident_mib(), handles, self.interval / (now - self._since)))
        self._since = now


def resident_mib() -> float:
    """Return the resident memory of this process in MiB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / KIB_PER_MIB


def main(
    steps: Annotated[int, typer.Option(min=20, help="Optimizer steps.")] = 20_000,
    output: Annotated[Path, typer.Option(help="Folder for the run and the plot.")] = Path("runs/soak"),
) -> None:
    """Train, then print and plot the usage."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    task = ForecastTask(EncoderForecaster(hidden_channels=[4]), steps, torch.nn.MSELoss())
    data = MovingMNISTData(2, 2, 2, 1000, 4, frame_size=(28, 28), digits_per_clip=1, digits="mnist-5k")
    usage = Usage(max(1, steps // 50))
    trainer = make_trainer(output, steps, max(1, steps // 20), accelerator="cpu", enable_progress_bar=False)
    trainer.callbacks.append(usage)  # type: ignore[attr-defined]
    fit(trainer, task, data)
    draw(usage.rows, output / "soak.png")
    for step, memory, handles, speed in usage.rows[:: max(1, len(usage.rows) // 10)]:
        typer.echo(f"step {step:>7,}  {memory:7.1f} MiB  {handles:>3} handles  {speed:6.1f} steps/s")


def draw(rows: list[tuple[int, float, int, float]], path: Path) -> None:
    """Plot memory, handles and speed over the steps."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    steps, *columns = zip(*rows, strict=True)
    titles = ("resident memory, MiB", "open files", "steps per second")
    for axes, title, values in zip(figure.subplots(3, sharex=True), titles, columns, strict=True):
        axes.plot(steps, values)
        axes.set(ylabel=title, ylim=(0, 1.1 * max(values)))
    figure.axes[-1].set_xlabel("optimizer step")
    figure.savefig(path)


if __name__ == "__main__":
    typer.run(main)
