"""The memory of a thing that moves: where it is, how fast it goes, and when that changes."""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from framepred.models.tracking.tracker import Tracks
from framepred.warping import at_least_float32, no_autocast

PACE = 4.0
"""Pixels a frame: the unit in which the network gives velocities."""

NEAR, FAR = 16.0, 64.0
"""Pixels: the unit in which a layer knows how far the edges of the frame are, and how far away they concern it."""

WAVES = 4
"""Sines and cosines of each of those distances, their periods from 2·FAR downwards, each half of the last."""

FAINT = 0.1
"""Light that does not count: what other layers left behind."""

LIT = 0.25
"""Share of a layer's brightest light from which a row or a column counts as lit."""

GAIN, STEADY, SMOOTH = 1.0, 5.0, 5.0
"""Logits that an untrained cell gives: what it takes from where a layer is found, that its velocity stays, and that it
is shown between pixels too."""

TERMS = 4
"""Of the Fourier series of what whole pixels take from a place."""


class Room(NamedTuple):
    """Where k layers are in the frame that they were last observed in, and how large they are."""

    distances: Float[Tensor, "n k 2 4"]
    """Along each axis (right, down), pixels: of the middle of the column or row that holds the centre of light to both
    edges, of the first lit one to the first edge and of the last one to the last edge."""
    size: Float[Tensor, "n k 1"]
    """A quarter of the logarithm of the light."""


class Flight(NamedTuple):
    """How k layers move, and the memory of it for each layer and axis (right, down)."""

    travel: Float[Tensor, "n k 2"]
    """How far each layer moves from where it was last observed to where the next frame shows it, pixels."""
    place: Float[Tensor, "n k 2"]
    """The same as if frames had no pixels."""
    velocity: Float[Tensor, "n k 2"]
    """Its pace at the next frame, pixels a frame."""
    hidden: Float[Tensor, "n k 2 slot"]
    cell: Float[Tensor, "n k 2 slot"]


class SlotCell(nn.Module):
    """An LSTM, the same for every layer and for both axes, that says where a layer goes.

    The slots of Kipf et al. 2022 (arXiv:2111.12594), with a motion of their own. Place and velocity are filtered as in
    an alpha-beta filter (Kalata 1984, "The tracking index"), by gains that the LSTM chooses: frames show whole pixels,
    so that a layer is seen up to a pixel beside where it is. From the place it goes on by its velocity, corrected by a
    nudge, as a step that ends at a wall is shorter. Velocity is then kept, lost or reversed by a gate, and changed, so
    that what flies freely goes on exactly. What is shown is the place in whole pixels, as far as the LSTM is sure of
    it: see :func:`in_pixels`.

    It is told what the network sees where the layer is, how far the centre and the ends of its light are from the edges
    of the frame, now and one step on, plainly and in sines (Vaswani et al. 2017, arXiv:1706.03762, §3.5), how fast it
    goes, how far off it was found, and how large it is.

    Args:
        seen: channels of what the network sees.
        slot: width of the memory.
    """

    axis: Tensor
    signs: Tensor
    """Which way each distance of a Room changes as a layer moves on."""
    waves: Tensor

    def __init__(self, seen: int, slot: int) -> None:
        super().__init__()
        self.width = slot
        self.lstm = nn.LSTMCell(seen + 8 * (1 + 2 * WAVES) + 6, slot)
        self.think = nn.Linear(slot, slot)
        self.act = nn.Linear(slot, 6)
        self.register_buffer("axis", torch.tensor([-1.0, 1.0]), persistent=False)
        self.register_buffer("signs", torch.tensor([1.0, -1.0, 1.0, -1.0]), persistent=False)
        self.register_buffer("waves", math.pi / FAR * 2.0 ** torch.arange(WAVES)[:, None], persistent=False)
        with torch.no_grad():
            self.act.weight.mul_(0.1)
            self.act.bias.copy_(torch.tensor([GAIN, 0.0, -STEADY, 0.0, 0.0, -SMOOTH]))

    def start(self, like: Float[Tensor, "n k *_"]) -> Flight:
        """At rest, with empty memories."""
        still = at_least_float32(like).new_zeros(*like.shape[:2], 2)
        empty = still.new_zeros(*still.shape, self.width)
        return Flight(still, still, still, empty, empty)

    def forward(
        self,
        seen: Float[Tensor, "n k seen"],
        room: Room,
        flight: Flight,
        found: Tracks | None = None,
    ) -> Flight:
        """One frame later.

        Args:
            seen: what the network sees where each layer is.
            room: of the layers as last observed, which is now if they were ``found``.
            flight: from the frame before.
            found: where they were found in this frame; None if it is only predicted.
        """
        with no_autocast(seen.device):  # in half precision places would be pixels off
            if found is None:
                ahead = flight.place
                off, score = torch.zeros_like(ahead), torch.zeros_like(ahead[..., :1])
            else:
                ahead = torch.zeros_like(flight.place)
                off, score = found.travel - flight.place, found.score
            now = room.distances + ahead[..., None] * self.signs
            distances = torch.cat([now, now + flight.velocity[..., None] * self.signs], dim=-1)
            alike = (each.expand_as(off) for each in (score, room.size, self.axis))
            observed = torch.full_like(off, float(found is not None))
            told = torch.stack([flight.velocity / PACE, off / PACE, *alike, observed], dim=-1)
            about = at_least_float32(seen)[:, :, None].expand(-1, -1, 2, -1)
            given = torch.cat([about, *self._in_waves(distances), told], dim=-1)
            memory = flight.hidden.flatten(0, 2), flight.cell.flatten(0, 2)
            hidden, cell = (part.view_as(flight.hidden) for part in self.lstm(given.flatten(0, 2), memory))
            place_gain, speed_gain, turn, change, nudge, sure = self.act(self.think(hidden).relu()).unbind(dim=-1)
            if found is not None:
                ahead = (place_gain.sigmoid() - 1) * off
            velocity = flight.velocity + speed_gain.sigmoid() * off
            place = ahead + velocity + PACE * nudge
            velocity = (1 - 2 * turn.sigmoid()) * velocity + PACE * change
            return Flight(in_pixels(place, sure.sigmoid()), place, velocity, hidden, cell)

    def _in_waves(self, distances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Distances in units of NEAR, less one, and their sines and cosines."""
        bounded = distances.clamp(-FAR, FAR)
        phases = (bounded[..., None, :] * self.waves).flatten(-2)
        return bounded / NEAR - 1, phases.sin(), phases.cos()


def in_pixels(place: Float[Tensor, "*n"], sure: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The whole pixel next to a place, in the mean: between two of them both are shown, each by its probability.

    With a place that is normal around the one given, its deviation σ pixels, ``sure`` is exp(-2π²σ²): 0 leaves the
    place as it is, 1 rounds it. The difference of a place and its round is a sawtooth, of whose Fourier series normal
    noise leaves as much of the wave of frequency f as ``sure`` to the power of f² (the characteristic function).

    Args:
        place: pixels.
        sure: in [0, 1].
    """
    squares, phases, heights = _sawtooth(place.dtype, place.device)
    waves = sure[..., None] ** squares * ((place[..., None] + 0.5) * phases).sin()
    return place + waves @ heights


@lru_cache(maxsize=8)
@torch.inference_mode(mode=False)  # what training needs too
def _sawtooth(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Of each wave: its frequency squared, its phase a pixel, its height."""
    frequency = torch.arange(1, TERMS + 1, dtype=dtype, device=device)
    return frequency.square(), 2 * math.pi * frequency, 1 / (math.pi * frequency)


@torch.no_grad()
def room_of(light: Float[Tensor, "n k h w"]) -> Room:
    """Measured of the light of each layer; what holds none is in the middle."""
    height, width = light.shape[-2:]
    square = functional.pad((light - FAINT).relu(), (0, max(height - width, 0), 0, max(width - height, 0)))
    profile = torch.stack([square.sum(dim=-2), square.sum(dim=-1)], dim=2)
    brightest = torch.stack([square.amax(dim=-2), square.amax(dim=-1)], dim=2)
    lit = brightest > LIT * brightest.amax(dim=-1, keepdim=True).clamp(min=0.2)
    sides = light.new_tensor([width, height])
    at = torch.arange(square.shape[-1], device=light.device, dtype=light.dtype)
    first, last = torch.where(lit, at, sides[:, None]).amin(dim=-1), torch.where(lit, at, -1).amax(dim=-1)
    total = square.sum((-2, -1))[..., None]
    centre = ((profile @ (at + 0.5) + 1e-3 * sides / 2) / (total + 1e-3)).floor() + 0.5
    return Room(torch.stack([centre, sides - centre, first, sides - 1 - last], dim=-1), (total + 1).log() / 4)
