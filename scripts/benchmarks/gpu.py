"""Throughput of networks on a GPU, and agreement of its frames with those of the CPU, within a time limit.

Each network is measured in a process of its own, which is ended when its time is over. What was not reached then is
"not measured".
"""

import copy
import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context, set_start_method
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.networks import NETWORKS
from benchmarks.timing import stream_frame
from framepred.clips import Clip, to_unit
from framepred.data import ClipLoader, EpochBatches, MovingMNIST
from framepred.data.moving_mnist import UnrenderedClips
from framepred.forecaster import Forecaster
from framepred.inference.devices import full_float32, pick_device
from framepred.media.atomic import atomic_write
from framepred.models.accelerated import FLOAT32, AcceleratedForecaster, Precision
from framepred.models.devices import use_channels_last
from framepred.models.pretrained import load, load_restorer
from framepred.restorer import MiddleGap, cut_middle
from framepred.training.rollout import predict_every_frame

Network: TypeAlias = Forecaster | MiddleGap

ALL_NETWORKS: dict[str, Callable[[], Network]] = {
    **{name: partial(load, name) for name in ("moving-mnist", "moving-fashion-mnist")},
    **{name: partial(load, name) for name in ("moving-mnist-convlstm", "natural-small")},
    "moving-mnist-restore": lambda: MiddleGap(load_restorer("moving-mnist-restore")),
    **{name: NETWORKS[name] for name in ("convlstm-s", "convlstm 2×64")},
}
"""The bundled networks, and ConvLSTMs of published sizes. A restorer rebuilds ``horizon`` frames in the middle of a
context; it does not stream, and is measured in float32."""

MEASURED = {
    "difference": "difference from CPU",
    "difference_bfloat16": "… in bfloat16, mean",
    "inference_contiguous": "inference, float32 contiguous, clips/s",
    "inference": "… float32 channels_last",
    "inference_bfloat16": "… bfloat16 channels_last",
    "inference_compiled": "… bfloat16, compiled",
    "frames": "streamed, frames/s",
    "frames_compiled": "… compiled",
    "training": "training, float32, clips/s",
    "training_bfloat16": "… bfloat16",
}
"""Names in the card, with the headings of the table."""

NOT_MEASURED = "not measured"
AGREEMENT_CLIPS = 2
LEARNING_RATE = 1e-4
ENDLESS = 1_000_000  # clips of an epoch, more than any measurement trains


@dataclass(frozen=True)
class Settings:
    """What is measured, and on which clips of Moving MNIST.

    Attributes:
        device: ``cuda``, or ``cpu`` for a trial without a GPU.
        batch_size: clips per batch.
        side: height and width of the frames, pixels.
        context: observed frames.
        horizon: predicted frames.
        compiled: whether to measure compiled networks too.
    """

    device: str = "cuda"
    batch_size: int = 16
    side: int = 64
    context: int = 10
    horizon: int = 10
    compiled: bool = True


def write_gpu_card(settings: Settings, minutes: float, output: Path, names: list[str] | None = None) -> None:
    """Measure networks, print a table, and write the card as JSON.

    Args:
        settings: what is measured.
        minutes: time limit of all measurements together.
        output: JSON file.
        names: networks of ``ALL_NETWORKS``; None for all.
    """
    device, end = pick_device(settings.device), time.monotonic() + 60 * minutes
    found: dict[str, dict[str, float]] = {}
    for done, name in enumerate(names or ALL_NETWORKS):
        share = (end - time.monotonic()) / (len(names or ALL_NETWORKS) - done)
        found[name] = measure_within(name, settings, share)
    card = {
        "device": device_name(device),
        "torch": torch.__version__,
        "settings": asdict(settings),
        "networks": {name: {key: each.get(key, NOT_MEASURED) for key in MEASURED} for name, each in found.items()},
    }
    with atomic_write(output) as draft:
        draft.write_text(json.dumps(card, indent=2) + "\n")
    Console(width=100).print(_table(card))


def device_name(device: torch.device) -> str:
    """Return the name of the GPU, or of the processor's architecture."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"


def measure_within(name: str, settings: Settings, seconds: float) -> dict[str, float]:
    """Return what a process of its own measures of a network in at most ``seconds``."""
    end, found = time.monotonic() + seconds, {}
    processes = get_context("spawn")
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=_send_measurements, args=(name, settings, seconds, sender))
    process.start()
    sender.close()
    try:
        while receiver.poll(max(0.0, end - time.monotonic())):
            key, value = receiver.recv()
            found[key] = value
    except EOFError:  # the process ended
        pass
    process.kill()
    process.join()
    return found


def _send_measurements(name: str, settings: Settings, seconds: float, sender: Connection) -> None:
    set_start_method("fork", force=True)  # loaders of a spawned process would spawn theirs, which import PyTorch again
    for measured in measurements(ALL_NETWORKS[name], settings, seconds / (2 * len(MEASURED))):
        sender.send(measured)


def measurements(make: Callable[[], Network], settings: Settings, seconds: float) -> Iterator[tuple[str, float]]:
    """Yield the measurements of a network by name; each takes about ``seconds``, and at least two calls.

    bfloat16, which is slow on a CPU, and compiling come last.
    """
    device = pick_device(settings.device)
    torch.manual_seed(0)
    net = make().eval()
    context = to_unit(next(iter(_loader(settings, _clips(settings)))).context)
    yield "difference", float(difference(net, net, context, settings).max())
    net, context = net.to(device), context.to(device)
    yield "inference_contiguous", inference_rate(net, context, settings.horizon, seconds)
    use_channels_last(net)
    yield "inference", inference_rate(net, context, settings.horizon, seconds)
    yield "training", training_rate(net, settings, FLOAT32, seconds)
    if isinstance(net, MiddleGap):
        return
    yield "frames", streaming_rate(net, context, seconds)
    low = AcceleratedForecaster(net, compiled=False, precision="bf16-mixed")
    yield "inference_bfloat16", inference_rate(low, context, settings.horizon, seconds)
    yield "training_bfloat16", training_rate(net, settings, low.precision, seconds)
    yield "difference_bfloat16", float(difference(net, low, context, settings).mean())
    if settings.compiled:
        yield "frames_compiled", streaming_rate(AcceleratedForecaster(net), context, seconds)
        fast = AcceleratedForecaster(net, precision="bf16-mixed")
        yield "inference_compiled", inference_rate(fast, context, settings.horizon, seconds)


@torch.inference_mode()
def difference(net: Network, other: Network, context: Clip, settings: Settings) -> Tensor:
    """Return the absolute differences of ``other`` on the device from ``net`` on the CPU, without TF32."""
    device, context = pick_device(settings.device), context[:AGREEMENT_CLIPS]
    expected = net.cpu()(context.cpu(), settings.horizon)
    with full_float32():
        found = other.to(device)(context.to(device), settings.horizon).cpu()
    return (found - expected).abs()


@torch.inference_mode()
def inference_rate(net: Network, context: Clip, horizon: int, seconds: float) -> float:
    """Return predicted clips per second."""
    return len(context) * rate(lambda: net(context, horizon), context.device, seconds)


@torch.inference_mode()
def streaming_rate(net: Forecaster, context: Clip, seconds: float) -> float:
    """Return streamed frames per second of one clip, each with a prediction of the next frame."""
    state = net.observe_clip(context[:1])
    return rate(lambda: stream_frame(net, context[:1, 0], state), context.device, seconds)


def training_rate(net: Network, settings: Settings, precision: Precision, seconds: float) -> float:
    """Return trained clips per second; their digits are copied from pinned memory, and the device renders the clips."""
    device, net = pick_device(settings.device), copy.deepcopy(net).train()
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE)
    batches = iter(_loader(settings, UnrenderedClips(_clips(settings))))
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext
    if precision != FLOAT32:
        autocast = partial(torch.autocast, device.type, torch.bfloat16)

    def train() -> None:
        clips = to_unit(next(batches).on(device).render())
        with autocast():
            loss = training_loss(net, clips, settings.context)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return settings.batch_size * rate(train, device, seconds)


def rate(work: Callable[[], object], device: torch.device, seconds: float = 0.0, calls: int = 1) -> float:
    """Return calls per second, measured for ``seconds`` and at least ``calls`` calls, after one call that warms up."""
    work()
    _wait(device)
    start, done = time.perf_counter(), 0
    while done < calls or time.perf_counter() - start < seconds:
        work()
        _wait(device)
        done += 1
    return done / (time.perf_counter() - start)


def training_loss(net: Network, clips: Clip, context: int) -> Tensor:
    """Return the loss of one training step; beyond the context a forecaster reads its own predictions."""
    if isinstance(net, MiddleGap):
        batch = cut_middle(clips, clips.shape[1] - context)
        return (net(batch.context, batch.target.shape[1]) - batch.target).square().mean()
    no_teacher = torch.zeros(clips.shape[:2], dtype=torch.bool, device=clips.device)
    predicted = predict_every_frame(net, clips, context, no_teacher)
    return (predicted.frames - clips[:, 1:]).square().mean() + predicted.auxiliary


def _clips(settings: Settings) -> MovingMNIST:
    length, size = settings.context + settings.horizon, (settings.side, settings.side)
    return MovingMNIST("train", length=length, frame_size=size, digits="mnist-5k")


def _loader(settings: Settings, clips: Dataset[Tensor]) -> ClipLoader:
    """Batches of clips without end, in pinned memory for a GPU."""
    batches = EpochBatches(ENDLESS, settings.batch_size)
    return ClipLoader(clips, batches, settings.context, device=pick_device(settings.device))


def _wait(device: torch.device) -> None:
    """Wait for the GPU: its calls return before the work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _table(card: dict[str, Any]) -> Table:
    """One row per measurement and one column per network."""
    table = Table("", *card["networks"], title=card["device"])
    for key, heading in MEASURED.items():
        form = ".1e" if key.startswith("difference") else ".1f"
        values = [each[key] for each in card["networks"].values()]
        table.add_row(heading, *(value if value == NOT_MEASURED else f"{value:{form}}" for value in values))
    return table
