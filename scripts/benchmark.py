"""Measures the speeds that the documentation quotes: ``python scripts/benchmark.py NAME``.

Each subcommand prints one line a measurement: the median of several runs on one core.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from one_sentence import one_sentence_errors

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
    network: Annotated[
        list[str] | None, typer.Option(help="Train this one only; the others stay as OUTPUT has them.")
    ] = None,
    bf16: Annotated[bool, typer.Option(help="Train all in bf16-mixed, where the machine has units for it.")] = False,
    output: Annotated[Path, typer.Option(help="JSON file of the errors at each lead time.")] = Path("quality.json"),
) -> None:
    """What framepred's forecaster learns in the same minutes as a ConvLSTM of the published size."""
    from benchmarks.quality import print_quality

    print_quality(network or [], minutes, clips, root, "bf16-mixed" if bf16 else "32-true", output)


@app.command()
def decoding(
    videos: Annotated[list[Path] | None, typer.Argument(help="Video files; without them one is made.")] = None,
    clips: Annotated[int, typer.Option(help="Clips a run.")] = 40,
    runs: Annotated[int, typer.Option(help="Runs, of which the median counts.")] = 5,
    copies: Annotated[int, typer.Option(help="Copies of one video, to see whether memory grows.")] = 200,
) -> None:
    """A folder of videos: clips a second by random access and in order, and peak memory."""
    from benchmarks.decoding import print_memory, print_speeds

    _use_one_core()
    print_speeds(videos or [], clips, runs)
    print_memory(copies, 2 * copies)


@app.command()
def tbptt(
    length: Annotated[list[int], typer.Option(help="Frames a clip; give it several times.")] = [20, 80, 320],  # noqa: B006
    steps: Annotated[int, typer.Option(help="Frames after which gradients are cut.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Clips a batch.")] = 4,
) -> None:
    """Memory of training on longer and longer clips, with and without truncation."""
    from benchmarks.tbptt import print_memory

    print_memory(length, steps, batch_size)


@app.command()
def stream(
    weights: Annotated[str, typer.Option(help="Bundled name or path.")] = "moving-mnist",
    frames: Annotated[int, typer.Option(help="Frames to forecast at each step.")] = 10,
    steps: Annotated[int, typer.Option(help="Frames a run.")] = 10,
    runs: Annotated[int, typer.Option(help="Runs, of which the median counts.")] = 5,
) -> None:
    """Frames a second of a stream that is forecast at each frame, without reading and writing."""
    import torch

    from framepred.inference.stream import StreamForecaster
    from framepred.models.pretrained import load

    _use_one_core()
    forecaster = StreamForecaster(load(weights), frames)
    for shape in [(1, 64, 64), (3, 72, 128)]:
        seen = torch.randint(60, 90, (steps, *shape), dtype=torch.uint8)

        def watch(seen: torch.Tensor = seen) -> None:
            forecaster.reset()
            for frame in seen:
                forecaster.step(frame)

        rate = steps / _median_seconds(watch, runs)
        size = "×".join(map(str, shape))
        typer.echo(f"stream: {rate:,.1f} frames/s, {size}, {frames} forecast at each, {weights}, one core")


@app.command()
def show(
    weights: Annotated[str, typer.Option(help="Bundled name, folder or checkpoint.")] = "moving-mnist",
    digits: Annotated[str, typer.Option(help="mnist, fashion-mnist or mnist-5k.")] = "mnist",
    objects: Annotated[int, typer.Option(help="Objects a clip.")] = 2,
    side: Annotated[int, typer.Option(help="Side of the frames, pixels.")] = 64,
    root: Annotated[str | None, typer.Option(help="Folder of the digits' IDX files.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("shown"),
) -> None:
    """Pictures of test clips predicted: 10 frames ahead, and 40."""
    from benchmarks.shown import write_pictures

    for path in write_pictures(weights, digits, objects, side, root, output):
        typer.echo(path)


@app.command()
def error_budget(
    weights: Annotated[str, typer.Option(help="Bundled name, folder or checkpoint.")] = "moving-mnist",
    digits: Annotated[str, typer.Option(help="mnist, fashion-mnist or mnist-5k.")] = "mnist",
    root: Annotated[str | None, typer.Option(help="Folder of the digits' IDX files.")] = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    seed: Annotated[int, typer.Option(help="Of the clips.")] = 7,
    clips: Annotated[int, typer.Option(help="Clips.")] = 200,
) -> None:
    """What the error of a tracking forecaster is made of: appearance, tracks, places, composition."""
    from benchmarks.error_budget import print_budget

    print_budget(weights, digits, root, split, seed, clips)  # type: ignore[arg-type]


@app.command()
def restore(
    weights: Annotated[str, typer.Option(help="Bundled name, folder or checkpoint.")] = "moving-mnist",
    clips: Annotated[int, typer.Option(help="Test clips.")] = 1000,
    root: Annotated[str | None, typer.Option(help="Folder of MNIST's IDX files.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for card.json and restored.png.")] = Path("restored"),
) -> None:
    """Three missing frames in the middle of twenty: the network beside interpolation, scored and drawn."""
    from benchmarks.restoring import write_picture, write_score

    typer.echo(write_score(weights, clips, root, output))
    typer.echo(write_picture(weights, root, output))


@app.command()
def videos(
    folder: Annotated[Path, typer.Argument(help="Folder of video files.")],
    weights: Annotated[str, typer.Option(help="Bundled name, folder or checkpoint.")] = "natural-small",
    side: Annotated[int, typer.Option(help="Longer side of the frames, pixels.")] = 176,
    max_side: Annotated[int, typer.Option(help="Longer side of the frames that the network gets, pixels.")] = 256,
    windows: Annotated[int, typer.Option(help="Scored windows of a film, at most.")] = 200,
    adapt: Annotated[float, typer.Option(help="Processor seconds of training before each window; 0 does not.")] = 0,
    leave_one_out: Annotated[
        int, typer.Option(help="Steps of training a new network on the other films alone; 0 does not.")
    ] = 0,
    lead_times: Annotated[bool, typer.Option("--lead-times", help="Also print errors by lead time.")] = False,
    lpips: Annotated[Path | None, typer.Option(help="File of AlexNet's weights; adds LPIPS.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for a picture of each prediction.")] = Path("videos"),
) -> None:
    """Films: baselines, the network, the blend and the adapted blend, on the last third of each film."""
    from benchmarks.real_videos import FilmOptions, print_films

    _use_one_core()
    options = FilmOptions(weights, side, max_side, windows, adapt, leave_one_out, lead_times, lpips)
    print_films(folder, options, output)


@app.command()
def film_crops(
    video: Annotated[Path, typer.Argument(help="Video file.")],
    start: Annotated[int, typer.Option(help="Index of the first predicted frame.")],
    crop: Annotated[tuple[int, int, int, int], typer.Option(help="Left, top, width and height in pixels.")],
    weights: Annotated[str, typer.Option(help="Bundled name, folder or checkpoint.")] = "natural-small",
    output: Annotated[Path, typer.Option(help="Path of the picture, or of a clip: .mp4 or .gif.")] = Path(
        "films-full-size.png"
    ),
) -> None:
    """Crops at full size of a predicted window: truth, optical flow, the network alone, and the blend."""
    from benchmarks.film_crops import write_crops

    _use_one_core()
    typer.echo(write_crops(video, weights, start, crop, output))


@app.command()
def restore_videos(
    folder: Annotated[Path, typer.Argument(help="Folder of video files.")],
    side: Annotated[int, typer.Option(help="Longer side of the frames, pixels.")] = 352,
    gaps: Annotated[int, typer.Option(help="Gaps of each length in a film, at most.")] = 12,
    first_part: Annotated[
        bool, typer.Option("--first-part", help="Use the first two thirds instead, to choose settings.")
    ] = False,
) -> None:
    """Films: gaps of 1, 3 and 7 frames, 3 and 7 last ones, every second: rebuilt by each method, last third."""
    from benchmarks.restoring_films import print_restored_films

    _use_one_core()
    print_restored_films(folder, side, gaps, first_part)


@app.command()
def error_prior(
    folder: Annotated[Path, typer.Argument(help="Folder of video files; their first two thirds are used.")],
    weights: Annotated[str, typer.Option(help="Bundled name, folder or checkpoint.")] = "natural-small",
    windows: Annotated[int, typer.Option(help="Windows of each film.")] = 6,
) -> None:
    """Measure what the members of the default blend get wrong in films: the prior of its weights."""
    from benchmarks.error_prior import write_error_prior

    _use_one_core()
    write_error_prior(folder, weights, windows)


@app.command()
def cuts(
    clips: Annotated[int, typer.Option(help="Clips of each kind.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of the clips.")] = 0,
) -> None:
    """Scene cuts: precision and recall on generated cuts, fades, pans, flicker, flashes and flat scenes."""
    from benchmarks.cuts import print_cuts

    print_cuts(clips, seed)


@app.command()
def latency(
    weights: Annotated[str, typer.Option(help="Bundled name, folder or checkpoint.")] = "moving-mnist",
    turns: Annotated[int, typer.Option(help="Measurements of each runtime, of which the median counts.")] = 9,
    threads: Annotated[int, typer.Option(help="Threads of each runtime.")] = 2,
    compiled: Annotated[
        bool, typer.Option("--compiled/--no-compiled", help="Measure torch.compile too; it compiles for minutes.")
    ] = True,
) -> None:
    """One network in PyTorch eager, torch.compile, ONNX Runtime and OpenVINO: latency, start-up and memory."""
    from benchmarks.latency import print_latencies

    print_latencies(weights, turns, threads, compiled)


@app.command()
def parity(
    weights: Annotated[
        list[str] | None, typer.Option(help="Give it several times; all bundled networks without.")
    ] = None,
    suffix: Annotated[str, typer.Option(help=".onnx or .pt2.")] = ".onnx",
) -> None:
    """Exports beside PyTorch: largest difference of a pixel over 30 steps, at three frame sizes."""
    from benchmarks.parity import print_parity

    print_parity(weights or [], suffix)


@app.command()
def shards(clips: Annotated[int, typer.Option(help="Clips to write and read.")] = 2000) -> None:
    """Shards in the formats of LitData and WebDataset: time to write, to read an epoch and to resume within it."""
    from benchmarks.shards import print_shards

    print_shards(clips)


@app.command()
def views(
    sizes: Annotated[list[str], typer.Option("--size", help="720p or 4K; give it several times.")] = ["720p", "4K"],  # noqa: B006
) -> None:
    """Time and memory of predict and its views on large frames."""
    from benchmarks.view_cost import print_view_costs

    print_view_costs(sizes)


@app.command()
def gpu(
    device: Annotated[str, typer.Option(help="cuda, or cpu for a trial.")] = "cuda",
    network: Annotated[list[str] | None, typer.Option(help="Give it several times; all networks without.")] = None,
    minutes: Annotated[float, typer.Option(help="Time limit of all measurements together.")] = 7.5,
    batch_size: Annotated[int, typer.Option(help="Clips per batch.")] = 16,
    side: Annotated[int, typer.Option(help="Height and width of the frames, pixels; at least 28.")] = 64,
    compiled: Annotated[bool, typer.Option("--compiled/--no-compiled", help="Measure CUDA graphs too.")] = True,
    output: Annotated[Path, typer.Option(help="JSON file of the results.")] = Path("gpu.json"),
) -> None:
    """Training and inference throughput of all networks on a GPU, and agreement with the CPU."""
    from benchmarks.gpu import Settings, write_gpu_card

    settings = Settings(device, batch_size, side, compiled=compiled)
    write_gpu_card(settings, minutes, output, network)


@app.command()
def throughput(
    network: Annotated[list[str] | None, typer.Option(help="Give it several times; all networks without.")] = None,
    processes: Annotated[list[int], typer.Option(help="Number of processes; give it several times.")] = [1, 2],  # noqa: B006
    batch_size: Annotated[int, typer.Option(help="Clips per batch of each process.")] = 4,
    side: Annotated[int, typer.Option(help="Height and width of the frames, pixels.")] = 64,
    seconds: Annotated[float, typer.Option(help="Seconds of each measurement.")] = 30,
) -> None:
    """Training and inference throughput of several CPU processes of one thread each."""
    from benchmarks.throughput import print_throughput

    print_throughput(network or [], processes, batch_size, side, seconds)


@app.command()
def scoring(
    weights: Annotated[str, typer.Option(help="Bundled name, folder or checkpoint.")] = "moving-mnist",
    clips: Annotated[int, typer.Option(help="Clips of Moving MNIST.")] = 1000,
    turns: Annotated[int, typer.Option(help="Measurements, of which the median counts.")] = 3,
    root: Annotated[Path | None, typer.Option(help="Folder of MNIST's IDX files.")] = None,
    memory: Annotated[
        list[int] | None, typer.Option(help="Print the peak memory for this number of clips instead; repeat it.")
    ] = None,
) -> None:
    """Evaluation: its time beside that of the network alone, or its peak memory by the number of clips."""
    from benchmarks.scoring import print_memory, print_times

    if memory:
        print_memory(weights, memory)
    else:
        print_times(weights, clips, turns, root)


@app.command()
def watch(
    video: Annotated[Path, typer.Argument(help="One uneventful film; a third of it is normal footage.")],
    seed: Annotated[list[int], typer.Option(help="Seed of the injected events; give it several times.")] = [0, 1, 2],  # noqa: B006
    false_alarms: Annotated[float, typer.Option(help="False alarms an hour that the thresholds allow.")] = 60,
    max_side: Annotated[int, typer.Option(min=32, help="Longer side of the frames that are watched, in pixels.")] = 128,
    output: Annotated[Path, typer.Option(help="Picture of the scores over time.")] = Path("watch.png"),
) -> None:
    """Protocol injected-1: how well nine kinds of injected events are found, beside the baselines."""
    from benchmarks.watch import print_watch

    _use_one_core()
    print_watch(video, seed, false_alarms, max_side, output)


@app.command()
def watch_speed(
    frames: Annotated[int, typer.Option(min=200, help="Frames to watch.")] = 1500,
    height: Annotated[int, typer.Option(help="Pixels.")] = 480,
    width: Annotated[int, typer.Option(help="Pixels.")] = 640,
    output: Annotated[Path, typer.Option(help="Picture of memory, open files and speed.")] = Path("watch-speed.png"),
    video: Annotated[bool, typer.Option(help="Also write the video of the watch, which takes most time.")] = True,
) -> None:
    """Speed and memory of a watch with table, video, events, webhook and a page with one viewer."""
    from benchmarks.watch_speed import print_watch_speed

    _use_one_core()
    print_watch_speed(frames, height, width, output, video)


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
    with one_sentence_errors():
        app()
