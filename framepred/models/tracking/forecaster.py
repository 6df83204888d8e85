"""The tracking forecaster: the pieces of a scene are found, followed and moved as wholes, so that they stay sharp."""

import math
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ConfigError
from framepred.models.cells import ConvLSTMCell
from framepred.models.correlation import local_correlation, local_correlation_macs
from framepred.models.patches import check_frame, fold, unfold
from framepred.models.pretrained import PretrainedForecaster
from framepred.models.tracking.slot_cell import PACE, Flight, Room, SlotCell, room_of
from framepred.models.tracking.tracker import Tracks, nowhere, track
from framepred.warping import shift

FINE, COARSE = 4, 8
"""Pixels a cell of the two maps of memory: one draws, one sees the whole scene."""

CERTAIN = 8.0
"""How much agreement counts when a pixel is given to a layer, in logits, before anything is learned."""

FOUND = 0.15
"""Score of its track from which a layer counts as found, when it is judged by its place."""


_Memory: TypeAlias = tuple[Tensor, Tensor]
"""Hidden and cell state."""


class _Scene(NamedTuple):
    """The state of a clip: n counts clips as the network runs them, k layers, c its channels; sides are padded."""

    frame: Tensor
    """The last frame, as it came: ``(b, c, h, w)``."""
    layers: Tensor
    """The layers at the last *observed* frame, ``(n, k, c, h, w)``."""
    moved: Tensor
    """The same moved to the next frame."""
    travel: Tensor
    """How far each layer moves from the last observed frame to the next one, ``(n, k, 2)``, pixels, right and down."""
    place: Tensor
    """The same as if frames had no pixels."""
    velocity: Tensor
    """Its pace at the next frame, ``(n, k, 2)``, pixels a frame."""
    depth: Tensor
    """How far in front each layer of the next frame lies, ``(n, k, h/4, w/4)``."""
    residual: Tensor
    """What no layer shows of the next frame, ``(n, c·4², h/4, w/4)``."""
    coarse: Tensor
    """Hidden state of the cell that sees the whole scene, ``(n, coarse, h/8, w/8)``; its cell state comes next."""
    coarse_cell: Tensor
    fine: Tensor
    """Hidden state of the cell that draws, ``(n, fine, h/4, w/4)``; its cell state comes next."""
    fine_cell: Tensor
    slot: Tensor
    """Hidden state of the cell that follows each layer, ``(n, k, 2, slot)``; its cell state comes next."""
    slot_cell: Tensor
    distances: Tensor
    """Where the layers are in the last observed frame, ``(n, k, 2, 4)``, and their size, ``(n, k, 1)``: a Room."""
    size: Tensor

    @property
    def flight(self) -> Flight:
        return Flight(self.travel, self.place, self.velocity, self.slot, self.slot_cell)

    @property
    def room(self) -> Room:
        return Room(self.distances, self.size)


class TrackingForecaster(PretrainedForecaster):
    """Layers of appearance, each followed through the frames and moved as a whole by a memory of its own.

    A scene is a stack of pictures that move past one another (Wang & Adelson 1994, "Representing moving images with
    layers"). When a frame comes, each layer is found in it (:mod:`framepred.models.tracking.tracker`), and pixels go to
    the layer that agrees with them. A :class:`framepred.models.tracking.slot_cell.SlotCell`, shared by all layers,
    reads where its layer is and how far off its prediction was, and predicts its motion.

    So even an untrained network follows what moves steadily; training teaches it when motion changes, what belongs to
    which layer, and what no layer shows. For that, two ConvLSTM cells read each frame, the one before it and the
    layers. The next frame is the sum of the moved layers, weighted by a softmax over depth, and the residual.

    Beyond the context the layers are not redrawn: their travel adds up, and the last observed layers are sampled once,
    so that ten steps do not blur ten times. Frames of any size are padded inside.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame runs as a clip of its own.
        layers: how many pictures k a scene is made of.
        coarse: channels of the cell that sees the whole scene; a multiple of 4.
        fine: channels of the cell that draws.
        embedding: channels into which 4x4 patches of the input are brought.
        slot: width of the memory of each layer.
        reach: farthest that a layer may be off its predicted place, in pairs of pixels.

    Raises:
        ConfigError: if an argument is less than 1, or ``coarse`` not a multiple of 4.
    """

    def __init__(
        self,
        channels: int = 1,
        layers: int = 3,
        coarse: int = 64,
        fine: int = 16,
        embedding: int = 32,
        slot: int = 64,
        reach: int = 4,
    ) -> None:
        super().__init__()
        if min(channels, layers, coarse, fine, embedding, slot, reach) < 1 or coarse % 4:
            raise ConfigError(
                "A tracking forecaster needs arguments of at least 1 and coarse a multiple of 4, not "
                f"channels {channels}, layers {layers}, coarse {coarse}, fine {fine}, embedding {embedding}, "
                f"slot {slot}, reach {reach}."
            )
        self.channels = channels
        self.layers = layers
        self.reach = reach
        patch, shown = FINE**2, fine + coarse // 4
        self.embed = nn.Conv2d(patch * channels * (2 + 2 * layers), embedding, 1)
        self.descend = nn.Conv2d(embedding, coarse, 4, stride=2, padding=1)
        self.match = nn.Conv2d((2 * reach + 1) ** 2, coarse, 1)
        self.follow = ConvLSTMCell(coarse, coarse, 3, norm=True)
        self.draw = ConvLSTMCell(embedding + coarse // 4, fine, 3, norm=True)
        self.take = nn.Conv2d(shown, 2 * patch * layers, 1)
        self.slot = SlotCell(coarse, slot)
        self.depth = nn.Conv2d(shown, layers, 1)
        self.residual = nn.Conv2d(shown, patch * channels, 1)
        self.brightness = nn.Parameter(torch.tensor(8.0))  # how far a bright layer lies before a dark one
        self.doubt = nn.Parameter(torch.tensor([20.0, 10.0]))  # of what the frame does not show, and of light too much
        self._begin_plainly()

    @torch.no_grad()
    def _begin_plainly(self) -> None:
        """A new network hardly adds anything of its own to what it tracks."""
        for head in (self.take, self.depth, self.residual):
            assert head.bias is not None
            head.bias.zero_()
            head.weight.mul_(0.1)

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Take in one frame ``(b, c, h, w)``, integers or floats in [0, 1]: the layers take over what it shows.

        Raises:
            ClipError: if the frame has channels that the weights do not know, or differs in shape from the one before.
        """
        frame = to_unit(frame)
        check_frame(frame, state, self.channels)
        scene = self._start(frame) if state is None else _Scene(*state)
        here = fold(frame, self.channels, COARSE)
        found = nowhere(scene.layers) if state is None else track(here, scene.layers, scene.travel, 2 * self.reach)
        coarse, fine, drawn = self._memory(here, found.aligned, scene)
        layers = here[:, None].expand_as(scene.layers) if state is None else self._taken(drawn, here, found)
        light = layers.mean(dim=2).relu()
        room = room_of(light)
        flight = self.slot(_seen(coarse[0], light), room, scene.flight, found)
        return self._scene(frame, layers, flight, drawn, coarse, fine, room)

    def feedback(self, frame: Frame, state: State) -> State:
        """Take in a frame of the future: memory sees it, the layers stay as they were last observed."""
        frame, scene = frame.clamp(0, 1), _Scene(*state)
        coarse, fine, drawn = self._memory(fold(frame, self.channels, COARSE), scene.moved, scene)
        flight = self.slot(_seen(coarse[0], scene.moved.mean(dim=2).relu()), scene.room, scene.flight)
        return self._scene(frame, scene.layers, flight, drawn, coarse, fine, scene.room)

    def next_frame(self, state: State) -> Frame:
        """The frame that comes next, raw, ``(b, c, h, w)``."""
        scene = _Scene(*state)
        depth = functional.interpolate(scene.depth, scale_factor=FINE, mode="bilinear")
        shares = (self.brightness * scene.moved.mean(dim=2) + depth).softmax(dim=1)
        shown = (shares[:, :, None] * scene.moved).sum(dim=1)
        return unfold(shown + functional.pixel_shuffle(scene.residual, FINE), like=scene.frame)

    def auxiliary_loss(self, state: State, frame: Frame) -> Float[Tensor, ""]:
        """How far the layers of the next frame lie from where ``frame``, the true one, shows them.

        A layer that misses its object by more than a stroke learns nothing from the squared error of pixels but to
        hide. The distance in units of PACE tells it where to go: squared, beyond a pixel linear (Huber 1964), and
        weighted by the light of the layer.
        """
        scene = _Scene(*state)
        with torch.no_grad():
            found = track(fold(to_unit(frame), self.channels, COARSE), scene.layers, scene.travel, 2 * self.reach)
        light = scene.moved.detach().mean(dim=2).relu().sum((-2, -1)) / 50
        weight = light * (found.score[..., 0] > FOUND)
        distance = functional.huber_loss(scene.travel / PACE, found.travel / PACE, reduction="none", delta=1 / PACE)
        return (2 * weight[..., None] * distance).mean()

    def named_memory(self, state: State) -> dict[str, Tensor]:
        """The hidden and the cell state of the three cells."""
        scene = _Scene(*state)
        return {
            "coarse: hidden": scene.coarse,
            "coarse: cell": scene.coarse_cell,
            "fine: hidden": scene.fine,
            "fine: cell": scene.fine_cell,
            "slot: hidden": scene.slot,
            "slot: cell": scene.slot_cell,
        }

    def uncounted_macs(self, height: int, width: int) -> int:
        """Multiply-accumulates of one observed step's correlations; a future step has fewer.

        5/4·N·log₂N for a real Fourier transform of N values, three a layer.
        """
        padded = [side + -side % COARSE for side in (height, width)]
        cells = math.prod(padded) // COARSE**2
        wrapped = math.prod(side + 4 * self.reach for side in padded)
        transforms = 3 * self.layers * (5 * wrapped * math.ceil(math.log2(wrapped)) // 4)
        return local_correlation_macs(self.reach, COARSE) * cells + transforms

    def _start(self, frame: Frame) -> _Scene:
        """Empty layers and memory; all but ``depth``, ``residual`` and the room is read of it."""
        here = fold(frame, self.channels, COARSE)
        count = len(here)
        empty = here.new_zeros(count, self.layers, *here.shape[1:])
        coarse, fine = here[..., ::COARSE, ::COARSE], here[..., ::FINE, ::FINE]
        (hidden, cell), (drawing, paper) = self.follow.start(coarse), self.draw.start(fine)
        flight, room = self.slot.start(empty), room_of(empty[:, :, 0])
        return _Scene(frame, empty, empty, *flight[:3], fine, fine, hidden, cell, drawing, paper, *flight[3:], *room)

    def _memory(self, here: Tensor, aligned: Tensor, scene: _Scene) -> tuple[_Memory, _Memory, Tensor]:
        """Both maps of memory, one frame later, and what is drawn from; ``aligned`` are the layers where they are."""
        before = fold(scene.frame, self.channels, COARSE)
        pictures = torch.cat([here, before, scene.moved.flatten(1, 2), aligned.flatten(1, 2)], dim=1)
        signal = self.embed(functional.pixel_unshuffle(pictures, FINE)).relu()
        matches = local_correlation(here.mean(1, keepdim=True), before.mean(1, keepdim=True), self.reach, COARSE)
        hidden, cell = self.follow(self.descend(signal) + self.match(matches), (scene.coarse, scene.coarse_cell))
        risen = functional.pixel_shuffle(hidden, COARSE // FINE)
        drawing, paper = self.draw(torch.cat([signal, risen], dim=1), (scene.fine, scene.fine_cell))
        return (hidden, cell), (drawing, paper), torch.cat([drawing, risen], dim=1)

    def _taken(self, drawn: Tensor, here: Tensor, found: Tracks) -> Tensor:
        """The layers: each pixel of the frame goes to one of them, the others keep what the frame may be hiding."""
        take, keep = functional.pixel_shuffle(self.take(drawn), FINE).to(here.dtype).chunk(2, dim=1)
        share = (take + CERTAIN * found.agreement.to(here.dtype)).softmax(dim=1)[:, :, None]
        excess = found.aligned - here[:, None]
        wrong = (self.doubt[0] * excess.square() + self.doubt[1] * excess.relu()).mean(dim=2, keepdim=True)
        kept = (keep[:, :, None] + 3 - wrong).sigmoid() * found.aligned
        return torch.lerp(kept, here[:, None], share)

    def _scene(
        self, frame: Frame, layers: Tensor, flight: Flight, drawn: Tensor, coarse: _Memory, fine: _Memory, room: Room
    ) -> State:
        moved = shift(layers, flight.travel)
        depth, residual = self.depth(drawn), self.residual(drawn)
        return _Scene(frame, layers, moved, *flight[:3], depth, residual, *coarse, *fine, *flight[3:], *room)


def _seen(coarse: Tensor, light: Tensor) -> Tensor:
    """What the map of the whole scene holds where each layer's light is, ``(n, k, coarse)``."""
    cells = functional.avg_pool2d(light.detach(), COARSE).flatten(2) + 1e-3
    return (cells / cells.sum(dim=-1, keepdim=True)) @ coarse.to(cells.dtype).flatten(2).mT
