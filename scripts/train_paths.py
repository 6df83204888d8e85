"""Trains the cell of a TrackingForecaster that says where layers go, alone: ``train_paths.py WEIGHTS OUTPUT``.

A step on clips teaches everything at once and costs a second; what a bounce is takes ten thousand steps to learn. So
the network watches clips of the training split once, and what its cell is told is written down. The cell then learns
from that, mirrored and turned, and from as many single digits that fly over black, whose paths cost next to nothing.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from torch import Tensor
from torch.nn import functional

from framepred.clips import to_unit
from framepred.data import MovingMNIST
from framepred.errors import FramepredError
from framepred.models import TrackingForecaster
from framepred.models.pretrained import load
from framepred.models.tracking.forecaster import FOUND
from framepred.models.tracking.slot_cell import PACE, Room, SlotCell, room_of
from framepred.models.tracking.tracker import Tracks

CONTEXT, LENGTH = 10, 20


class Paths(NamedTuple):
    """What the cell is told of n layers at each of t frames: see ``SlotCell``."""

    seen: Tensor
    """``(n, t, c)``."""
    distances: Tensor
    """``(n, t, 2, 4)``, pixels."""
    size: Tensor
    """``(n, t, 1)``."""
    travel: Tensor
    """``(n, t, 2)``, pixels from the frame before."""
    score: Tensor
    """``(n, t, 1)``."""


def main(
    weights: Annotated[str, typer.Argument(help="What to begin from.")],
    output: Annotated[Path, typer.Argument(help="Folder for the new weights.")],
    digits: Annotated[str, typer.Option(help="mnist, fashion-mnist or mnist-5k.")] = "mnist",
    root: Annotated[str | None, typer.Option(help="Folder of the digits' IDX files.")] = None,
    clips: Annotated[int, typer.Option(min=1, help="Clips that the network watches.")] = 3000,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps.")] = 6000,
    batch: Annotated[int, typer.Option(min=2, help="Paths a step; half of them of single digits.")] = 256,
    rate: Annotated[float, typer.Option(help="Learning rate, which falls to zero.")] = 0.002,
    seed: Annotated[int, typer.Option(help="Of the clips and of chance.")] = 0,
) -> None:
    """Watch, then train, and print how far the cell is off on clips of the validation split."""
    try:
        net = load(weights)
        validation = MovingMNIST("val", length=LENGTH, digits=digits, root=root)
        single = MovingMNIST("train", seed=seed, length=LENGTH, digits_per_clip=1, digits=digits, root=root)
        still = MovingMNIST("train", seed=seed, length=1, digits_per_clip=1, digits=digits, root=root)
        pairs = MovingMNIST("train", seed=seed + 1, length=LENGTH, digits=digits, root=root)
    except FramepredError as error:
        raise typer.BadParameter(str(error)) from None
    if not isinstance(net, TrackingForecaster):
        raise typer.BadParameter(f"{weights} is no TrackingForecaster, so it has no cell that follows layers.")
    torch.manual_seed(seed)
    watched = watch(net, pairs, clips)
    held_out = watch(net, validation, max(1, min(200, clips // 10)))
    typer.echo(f"{len(watched.size):,} layers followed in {clips:,} clips; at first {told(net.slot, held_out)}")
    optimizer = torch.optim.AdamW(net.slot.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min(1, (step + 1) / 100) * (1 - step / steps)
        chosen = torch.randint(len(watched.size), (batch // 2,))
        found = Paths(*(part[chosen] for part in watched))
        flown = fly(still, single, range(step * (batch // 2), (step + 1) * (batch // 2)), like=found)
        paths = turned(Paths(*(torch.cat(parts) for parts in zip(found, flown, strict=True))))
        missed, weight = misses(net.slot, paths)
        distance = functional.huber_loss(missed / PACE, torch.zeros_like(missed), reduction="none", delta=1 / PACE)
        optimizer.zero_grad()
        (weight[..., None] * distance).mean().backward()
        torch.nn.utils.clip_grad_norm_(net.slot.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 500 == 0 or step + 1 == steps:
            typer.echo(f"step {step + 1:,}: {told(net.slot, held_out)}")
            net.save_pretrained(output)


@torch.no_grad()
def watch(net: TrackingForecaster, data: MovingMNIST, clips: int) -> Paths:
    """What the cell is told while the network observes whole clips; layers that hold nothing are left out."""
    net.eval()
    heard: list[tuple[Tensor, Room, object, Tracks]] = []
    hook = net.slot.register_forward_pre_hook(lambda _, given: heard.append(given))
    parts: list[list[Tensor]] = []
    for start in range(0, clips, 20):
        heard.clear()
        state = None
        for frame in data.render(range(start, min(start + 20, clips))).unbind(dim=1):
            state = net.observe(frame, state)
        times = [(seen, room.distances, room.size, found.travel, found.score) for seen, room, _, found in heard]
        parts.append([torch.stack(part, dim=2).flatten(0, 1) for part in zip(*times, strict=True)])
    hook.remove()
    paths = Paths(*(torch.cat(part) for part in zip(*parts, strict=True)))
    held = (paths.score[:, CONTEXT - 2 : CONTEXT + 2, 0] > FOUND).any(dim=1)
    return Paths(*(part[held] for part in paths))


@torch.no_grad()
def fly(still: MovingMNIST, flying: MovingMNIST, clips: range, like: Paths) -> Paths:
    """Clips of one digit over black, found exactly; ``still`` renders their first frames.

    What a path does not tell of is as in ``like``, paths of as many layers: the cell is not to know these from those.
    """
    room = room_of(to_unit(still.render(clips))[:, :, 0])
    places = flying.corners(clips)[:, :, 0].flip(-1).float()
    moved = places - places[:, :1]
    distances = room.distances + moved[..., None] * torch.tensor([1.0, -1.0, 1.0, -1.0])
    travel = torch.diff(places, dim=1, prepend=places[:, :1])
    return Paths(like.seen, distances, room.size.expand_as(like.size), travel, like.score)


def turned(paths: Paths) -> Paths:
    """Half of them mirrored along each axis, half of them with their axes exchanged; the sides of frames are equal."""
    distances, travel = paths.distances, paths.travel
    mirrored = torch.rand(len(travel), 1, 2) < 0.5
    travel = torch.where(mirrored, -travel, travel)
    distances = torch.where(mirrored[..., None], distances[..., [1, 0, 3, 2]], distances)
    exchanged = torch.rand(len(travel), 1, 1) < 0.5
    travel = torch.where(exchanged, travel.flip(-1), travel)
    distances = torch.where(exchanged[..., None], distances.flip(-2), distances)
    return paths._replace(distances=distances, travel=travel)


def misses(cell: SlotCell, paths: Paths) -> tuple[Tensor, Tensor]:
    """How far each next place is missed, ``(n, t - 1, 2)`` pixels, and what that counts, ``(n, t - 1)``."""
    seen, distances, size, travel, score = (part[:, :, None] for part in paths)  # one layer a row
    flight = cell.start(seen[:, 0])
    unseen = torch.empty(0)  # the cell is shown no pictures
    missed = []
    for time in range(LENGTH - 1):
        last = min(time, CONTEXT - 1)
        found = Tracks(travel[:, time], score[:, time], unseen, unseen) if time < CONTEXT else None
        flight = cell(seen[:, time], Room(distances[:, last], size[:, last]), flight, found)
        missed.append((flight.travel - travel[:, last + 1 : time + 2].sum(dim=1))[:, 0])
    light = (4 * paths.size[:, CONTEXT - 1]).exp() / 100
    return torch.stack(missed, dim=1), light * (paths.score[:, 1:, 0] > FOUND)


@torch.no_grad()
def told(cell: SlotCell, paths: Paths) -> str:
    """How far off the places of the horizon are, in words."""
    missed, weight = (part[:, CONTEXT - 1 :] for part in misses(cell, paths))
    distance = (weight * missed.norm(dim=-1)).sum(dim=0) / weight.sum(dim=0)
    return f"off by {distance.mean():.3f} pixels, {distance[0]:.2f} at lead time 1, {distance[-1]:.2f} at the last"


if __name__ == "__main__":
    typer.run(main)
