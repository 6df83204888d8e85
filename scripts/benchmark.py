"""Measures the speeds that the documentation quotes: ``python scripts/benchmark.py NAME``.

Each subcommand prints one line a measurement: the median of several runs on one core.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Measure the speeds that the documentation quotes."""


@app.command()
def data(
    batch_size: Annotated[int, typer.Option(help="Clips a batch.")] = 16,
    batches: Annotated[int, typer.Option(help="Batches a run.")] = 50,
    runs: Annotated[int, typer.Option(help="Runs, of which the median counts.")] = 9,
) -> None:
    """Moving MNIST: clips of 20×64×64 generated a second."""
    from framepred.data import EpochBatches, MovingMNIST

    _use_one_core()
    clips = MovingMNIST("train", digits="mnist-5k")
    sampler = EpochBatches(batches * batch_size, batch_size)

    def render() -> None:
        for indices in sampler:
            clips.render(indices)

    seconds = _median_seconds(render, runs)
    typer.echo(f"data: {batches * batch_size / seconds:,.0f} clips/s, 20×64×64, batches of {batch_size}, one core")


@app.command()
def cost(
    batch_size: Annotated[int, typer.Option(help="Clips a batch.")] = 4,
    runs: Annotated[int, typer.Option(help="Runs, of which the median counts.")] = 3,
    threads: Annotated[int, typer.Option(help="Threads of PyTorch.")] = 2,
) -> None:
    """What framepred's forecaster costs beside a ConvLSTM of the published size."""
    from benchmarks.cost import print_costs

    print_costs(batch_size, runs, threads)


@app.command()
def quality(
    minutes: Annotated[float, typer.Option(help="Minutes of training each network gets.")] = 30,
    clips: Annotated[int, typer.Option(help="Test clips.")] = 1000,
    root: Annotated[str | None, typer.Option(help="Folder of MNIST's IDX files.")] = None,
    output: Annotated[Path, typer.Option(help="JSON file of the errors at each lead time.")] = Path("quality.json"),
) -> None:
    """What framepred's forecaster learns in the same minutes as a ConvLSTM of the published size."""
    from benchmarks.quality import print_quality

    print_quality(minutes, clips, root, output)


def _use_one_core() -> None:
    import torch

    torch.set_num_threads(1)  # NumPy's own indexing and maximum never use more


def _median_seconds(work: Callable[[], None], runs: int) -> float:
    """The median of several timings, after one run that warms up."""
    work()
    return statistics.median(_seconds(work) for _ in range(runs))


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    app()
