"""What the cell that follows layers learns from paths alone: digits that fly, one at a time, found exactly."""

from pathlib import Path

import torch
import typer
from torch import Tensor
from torch.nn import functional

from framepred.clips import to_unit
from framepred.data import MovingMNIST
from framepred.models import TrackingForecaster
from framepred.models.slot_cell import PACE, room_of
from framepred.tracking import Tracks

CONTEXT, LENGTH, BATCH, VALIDATION = 10, 20, 32, 500
SCORE = 0.5
"""Of a digit found beside another one, about."""


def train_on_paths(steps: int, rate: float, root: str | None, output: Path | None) -> None:
    """Train the cell of a new network on paths and print its errors; with ``output``, write the network there."""
    torch.manual_seed(0)
    net = TrackingForecaster()
    source = {"digits_per_clip": 1, "length": LENGTH, "digits": "mnist" if root else "mnist-5k", "root": root}
    training, validation = MovingMNIST("train", **source), MovingMNIST("val", **source)
    optimizer = torch.optim.AdamW(net.slot.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = rate * min(1, step / 50) * (1 - step / steps)
        off = misses(net, training.render(range(BATCH * step, BATCH * (step + 1))))
        loss = functional.huber_loss(off / PACE, torch.zeros_like(off), delta=1 / PACE)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.slot.parameters(), 1.0)
        optimizer.step()
        if step % 500 == 0 or step == steps:
            with torch.no_grad():
                off = misses(net, validation.render(range(VALIDATION)))[:, CONTEXT - 1 :]
            leads = " ".join(f"{error:.2f}" for error in off.square().sum(dim=-1).mean(dim=0).sqrt())
            typer.echo(f"step {step:,}: missed by {leads} pixels at lead times 1 to {LENGTH - CONTEXT} (rms)")
    if output:
        net.save_pretrained(output)


def misses(net: TrackingForecaster, clips: Tensor) -> Tensor:
    """How far, in pixels, the next place is missed after each frame of clips of one digit, ``(b, t - 1, 2)``."""
    frames = to_unit(clips)
    places = _centres(frames[:, :, 0])
    flight = net.slot.start(frames[:, 0])
    missed = []
    for time in range(LENGTH - 1):
        observed = min(time, CONTEXT - 1)
        found = None
        if time < CONTEXT:
            travel = places[:, time, None] - places[:, max(time - 1, 0), None]
            found = Tracks(travel, torch.full_like(travel[..., :1], SCORE if time else 0), frames[:, time])
        seen = 2 * torch.rand(len(frames), 1, net.follow.width) - 1  # what a map without training might hold
        flight = net.slot(seen, room_of(frames[:, observed]), flight, found)
        missed.append(places[:, observed] + flight.travel[:, 0] - places[:, time + 1])
    return torch.stack(missed, dim=1)


def _centres(frames: Tensor) -> Tensor:
    """The centre of light, ``(b, t, 2)``, right and down."""
    height, width = frames.shape[-2:]
    total = frames.sum((-2, -1))
    x = frames.sum(dim=-2) @ (torch.arange(width) + 0.5)
    y = frames.sum(dim=-1) @ (torch.arange(height) + 0.5)
    return torch.stack([x, y], dim=-1) / total[..., None]
