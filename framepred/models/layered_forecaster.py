"""The layered forecaster: what a scene shows is kept apart from how it moves, so that a long future stays sharp."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ConfigError
from framepred.models.cells import ConvLSTMCell
from framepred.models.correlation import local_correlation, local_correlation_macs
from framepred.models.patches import check_frame, fold, unfold
from framepred.models.pretrained import PretrainedForecaster
from framepred.warping import then, warp

FINE, COARSE = 4, 8
"""Pixels a cell of the two maps of memory: one draws, one follows motion."""

PACE = 4.0
"""Pixels a frame: the unit in which the network gives its flow."""


class _Scene(NamedTuple):
    """The state of a clip: n counts clips as the network runs them, k layers, c its channels; sides are padded."""

    frame: Tensor
    """The last frame, as it came: ``(b, c, h, w)``."""
    layers: Tensor
    """The layers at the last *observed* frame, ``(n, k, c, h, w)``."""
    moved: Tensor
    """The same moved to the next frame."""
    path: Tensor
    """Displacement from the next frame back to the last observed one, ``(n, k, 2, h/8, w/8)``, pixels."""
    depth: Tensor
    """How far in front each layer of the next frame lies, ``(n, k, h/4, w/4)``."""
    residual: Tensor
    """What no layer shows of the next frame, ``(n, c·4², h/4, w/4)``."""
    coarse: Tensor
    """Hidden state of the cell that follows motion, ``(n, coarse, h/8, w/8)``; its cell state comes next."""
    coarse_cell: Tensor
    fine: Tensor
    """Hidden state of the cell that draws, ``(n, fine, h/4, w/4)``; its cell state comes next."""
    fine_cell: Tensor


class LayeredForecaster(PretrainedForecaster):
    """Layers of appearance, each moved by its own flow, under ConvLSTM control.

    A scene is a stack of pictures that move past one another (Wang & Adelson 1994, "Representing moving images with
    layers"). Two ConvLSTM cells read each frame, the one before it and the layers: a wide one at 8 pixels a cell,
    which also sees their local correlation and gives each layer's flow; a thin one at 4, which decides what of a
    frame each layer takes over, which layer lies in front, and what no layer shows. The next frame is the sum of
    the moved layers, weighted by a softmax over depth, and that residual.

    Beyond the context the layers are not redrawn: flows are composed and the last observed layers are sampled
    once, so that ten steps do not blur ten times. Frames of any size are padded inside.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame runs as a clip of its own.
        layers: how many pictures k a scene is made of.
        coarse: channels of the cell that follows motion; a multiple of 4.
        fine: channels of the cell that draws.
        embedding: channels into which 4x4 patches of the input are brought.
        reach: farthest displacement between two frames that their correlation shows, in pairs of pixels.

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
        reach: int = 4,
    ) -> None:
        super().__init__()
        if min(channels, layers, coarse, fine, embedding, reach) < 1 or coarse % 4:
            raise ConfigError(
                "A layered forecaster needs arguments of at least 1 and coarse a multiple of 4, not "
                f"channels {channels}, layers {layers}, coarse {coarse}, fine {fine}, embedding {embedding}, "
                f"reach {reach}."
            )
        self.channels = channels
        self.layers = layers
        self.reach = reach
        patch, shown = FINE**2, fine + coarse // 4
        self.embed = nn.Conv2d(patch * channels * (2 + layers), embedding, 1)
        self.descend = nn.Conv2d(embedding, coarse, 4, stride=2, padding=1)
        self.match = nn.Conv2d((2 * reach + 1) ** 2, coarse, 1)
        self.follow = ConvLSTMCell(coarse, coarse, 3, norm=True)
        self.draw = ConvLSTMCell(embedding + coarse // 4, fine, 3, norm=True)
        self.flow = nn.Conv2d(coarse, 2 * layers, 1)
        self.take = nn.Conv2d(shown, patch * layers, 1)
        self.depth = nn.Conv2d(shown, layers, 1)
        self.residual = nn.Conv2d(shown, patch * channels, 1)
        self.brightness = nn.Parameter(torch.tensor(8.0))  # how far a bright layer lies before a dark one
        self._begin_plainly()

    @torch.no_grad()
    def _begin_plainly(self) -> None:
        """A new network moves nothing on average, and hardly corrects what its layers show."""
        for head in (self.flow, self.take, self.depth, self.residual):
            assert head.bias is not None
            head.bias.zero_()
        for head in (self.depth, self.residual):
            head.weight.mul_(0.1)

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Take in one frame ``(b, c, h, w)``, integers or floats in [0, 1]: the layers take over what it shows.

        Raises:
            ClipError: if the frame has channels that the weights do not know, or differs in shape from the one before.
        """
        frame = to_unit(frame)
        check_frame(frame, state, self.channels)
        return self._advance(frame, self._start(frame) if state is None else _Scene(*state), observed=True)

    def feedback(self, frame: Frame, state: State) -> State:
        """Take in a frame of the future: memory sees it, the layers stay as they were last observed."""
        return self._advance(frame.clamp(0, 1), _Scene(*state), observed=False)

    def next_frame(self, state: State) -> Frame:
        """The frame that comes next, raw, ``(b, c, h, w)``."""
        scene = _Scene(*state)
        depth = functional.interpolate(scene.depth, scale_factor=FINE, mode="bilinear")
        shares = (self.brightness * scene.moved.mean(dim=2) + depth).softmax(dim=1)
        shown = (shares[:, :, None] * scene.moved).sum(dim=1)
        return unfold(shown + functional.pixel_shuffle(scene.residual, FINE), like=scene.frame)

    def named_memory(self, state: State) -> dict[str, Tensor]:
        """The hidden and the cell state of both cells."""
        scene = _Scene(*state)
        return {
            "coarse: hidden": scene.coarse,
            "coarse: cell": scene.coarse_cell,
            "fine: hidden": scene.fine,
            "fine: cell": scene.fine_cell,
        }

    def uncounted_macs(self, height: int, width: int) -> int:
        """Multiply-accumulates of one step's correlation and warp; four for each value sampled bilinearly."""
        padded = [side + -side % COARSE for side in (height, width)]
        pixels, cells = math.prod(padded), math.prod(padded) // COARSE**2
        correlation = local_correlation_macs(self.reach, COARSE) * cells
        warps = (
            4 * self.layers * ((self.channels + 2) * pixels + 2 * cells)
        )  # of layers, of paths up to pixels, of paths
        return correlation + warps

    def _start(self, frame: Frame) -> _Scene:
        """Empty layers and memory; only ``frame``, ``moved`` and the memories are read of it."""
        here = fold(frame, self.channels, COARSE)
        empty = here.new_zeros(len(here), self.layers, *here.shape[1:])
        coarse, fine = here[..., ::COARSE, ::COARSE], here[..., ::FINE, ::FINE]
        path = coarse.new_zeros(len(here), self.layers, 2, *coarse.shape[-2:])
        return _Scene(frame, empty, empty, path, fine, fine, *self.follow.start(coarse), *self.draw.start(fine))

    def _advance(self, frame: Frame, scene: _Scene, observed: bool) -> State:
        here, before = (fold(picture, self.channels, COARSE) for picture in (frame, scene.frame))
        patches = functional.pixel_unshuffle(torch.cat([here, before, scene.moved.flatten(1, 2)], dim=1), FINE)
        signal = self.embed(patches).relu()
        matches = local_correlation(here.mean(1, keepdim=True), before.mean(1, keepdim=True), self.reach, COARSE)
        coarse = self.follow(self.descend(signal) + self.match(matches), (scene.coarse, scene.coarse_cell))
        risen = functional.pixel_shuffle(coarse[0], COARSE // FINE)
        fine = self.draw(torch.cat([signal, risen], dim=1), (scene.fine, scene.fine_cell))
        drawn = torch.cat([fine[0], risen], dim=1)
        flow = self.flow(coarse[0]).to(scene.path.dtype)  # paths add up: in half precision they would drift
        layers, path = scene.layers, PACE * flow.view_as(scene.path)
        if observed:
            layers = self._taken(drawn, here, scene.moved)
        else:
            path = _composed(path, scene.path)
        moved = _moved(layers, path)
        return _Scene(frame, layers, moved, path, self.depth(drawn), self.residual(drawn), *coarse, *fine)

    def _taken(self, drawn: Tensor, here: Tensor, moved: Tensor) -> Tensor:
        """The layers, each with as much of the frame as its gate lets in."""
        share = functional.pixel_shuffle(self.take(drawn), FINE).sigmoid()[:, :, None]
        return moved + share * (here[:, None] - moved)


def _composed(flow: Tensor, path: Tensor) -> Tensor:
    """The path of :class:`_Scene` from one frame later on."""
    return then(flow.flatten(0, 1), path.flatten(0, 1), COARSE).view_as(path)


def _moved(layers: Tensor, path: Tensor) -> Tensor:
    """Each layer along its own path."""
    displacement = functional.interpolate(path.flatten(0, 1), scale_factor=COARSE, mode="bilinear")
    return warp(layers.flatten(0, 1), displacement).view_as(layers)
