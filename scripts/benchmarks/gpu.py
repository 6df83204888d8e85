"""Throughput of networks on a GPU, and agreement of its frames with those of the CPU, within a time limit."""

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.networks import NETWORKS
from framepred.clips import Clip
from framepred.forecaster import Forecaster
from framepred.inference.devices import pick_device
from framepred.media.atomic import atomic_write
from framepred.models import EncoderForecaster, LayeredForecaster
from framepred.training.rollout import predict_every_frame

CONTEXT = HORIZON = 10
AGREEMENT_CLIPS = 2
SHARES = 3
"""Measurements of a network, each of which gets the same share of the network's time."""

ALL_NETWORKS: dict[str, Callable[[], Forecaster]] = NETWORKS | {
    "convlstm 3×64, motion": lambda: EncoderForecaster(hidden_channels=[64] * 3, kernel_size=3, stride=4),
    "layered": LayeredForecaster,
}


def write_gpu_card(device: str, minutes: float, batch_size: int, side: int, output: Path) -> None:
    """Measure every network, print a table, and write the card as JSON.

    Args:
        device: ``cuda``, or ``cpu`` for a trial without a GPU.
        minutes: time limit of all measurements together.
        batch_size: clips per batch.
        side: height and width of the frames, pixels.
        output: JSON file.
    """
    target = pick_device(device)
    seconds = 60 * minutes / len(ALL_NETWORKS)
    networks = {name: measure(make, target, seconds, batch_size, side) for name, make in ALL_NETWORKS.items()}
    card = {
        "device": device_name(target),
        "torch": torch.__version__,
        "clips": {"batch": batch_size, "context": CONTEXT, "horizon": HORIZON, "size": [1, side, side]},
        "networks": networks,
    }
    with atomic_write(output) as draft:
        draft.write_text(json.dumps(card, indent=2) + "\n")
    Console(width=100).print(_table(card))


def device_name(device: torch.device) -> str:
    """Return the name of the GPU, or of the processor's architecture."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"


def measure(
    make: Callable[[], Forecaster], device: torch.device, seconds: float, batch_size: int, side: int
) -> dict[str, float]:
    """Measure one network: agreement with the CPU, then clips per second in training and in inference.

    Networks train and predict in bfloat16 autocast on a GPU, and in float32 on a CPU.
    """
    torch.manual_seed(0)
    net = make()
    clips = torch.rand(batch_size, CONTEXT + HORIZON, 1, side, side)
    largest = agreement(net, clips[:AGREEMENT_CLIPS, :CONTEXT], device)
    net.to(device)
    clips = clips.to(device)
    limit = seconds / SHARES
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        training = batch_size * rate(lambda: _train(net.train(), clips), device, limit)
        with torch.inference_mode():
            net.eval()
            inference = batch_size * rate(lambda: net(clips[:, :CONTEXT], HORIZON), device, limit)
    return {"training_clips_per_second": training, "inference_clips_per_second": inference, "cpu_difference": largest}


@torch.inference_mode()
def agreement(net: Forecaster, context: Clip, device: torch.device) -> float:
    """Return the largest difference of a pixel between the device and the CPU, both in float32."""
    expected = net.cpu().eval()(context, HORIZON)
    found = net.to(device)(context.to(device), HORIZON).cpu()
    return float((found - expected).abs().max())


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


def training_loss(net: Forecaster, clips: Clip, context: int) -> Tensor:
    """Return the loss of one training step; beyond the context the network reads its own predictions."""
    no_teacher = torch.zeros(clips.shape[:2], dtype=torch.bool, device=clips.device)
    predicted = predict_every_frame(net, clips, context, no_teacher)
    return (predicted.frames - clips[:, 1:]).square().mean() + predicted.auxiliary


def _train(net: Forecaster, clips: Clip) -> None:
    """Run one training step without optimizer."""
    net.zero_grad()
    training_loss(net, clips, CONTEXT).backward()


def _wait(device: torch.device) -> None:
    """Wait for the GPU: its calls return before the work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _table(card: dict[str, Any]) -> Table:
    table = Table("network", "training, clips/s", "inference, clips/s", "difference from CPU", title=card["device"])
    for name, found in card["networks"].items():
        table.add_row(
            name,
            f"{found['training_clips_per_second']:.1f}",
            f"{found['inference_clips_per_second']:.1f}",
            f"{found['cpu_difference']:.1e}",
        )
    return table
