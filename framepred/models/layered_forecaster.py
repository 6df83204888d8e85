"""The layered forecaster: image layers with one motion field each, so that distant predictions stay sharp."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from framepred.clips import Frame, RawFrame, State, at_least_float32
from framepred.errors import ConfigError
from framepred.models.cells import ConvLSTMCell
from framepred.models.correlation import local_correlation, local_correlation_macs
from framepred.models.cost import BILINEAR_MACS
from framepred.models.patches import check_frame, fold, to_input, unfold
from framepred.models.pretrained import PretrainedForecaster
from framepred.warping import compose, warp

FINE, COARSE = 4, 8
"""Pixels per position of the two feature maps: the fine one for appearance, the coarse one for motion."""

PACE = 4.0
"""Pixels per frame: the network's outputs of displacement are in this unit, so that they are of order 1."""

INITIAL_BRIGHTNESS = 8.0
"""Logits per unit of brightness by which a bright layer initially covers a dark one."""

HEAD_SCALE = 0.1
"""Initial scale of the weights that only correct the moved layers."""


class _Scene(NamedTuple):
    """State of a clip: n clips inside the network, k layers, c channels of the network; sides are padded."""

    frame: Tensor
    """Last frame, ``(b, c, h, w)``."""
    layers: Tensor
    """Layers at the last *observed* frame, ``(n, k, c, h, w)``."""
    moved_layers: Tensor
    """Layers moved to the next frame."""
    path: Tensor
    """Displacement from the next frame back to the last observed one, ``(n, k, 2, h/8, w/8)``, pixels."""
    depth: Tensor
    """Depth logits of each layer of the next frame; higher is nearer, ``(n, k, h/4, w/4)``."""
    residual: Tensor
    """What is added to the layers in the next frame, ``(n, c·4², h/4, w/4)``."""
    coarse_hidden: Tensor
    """Hidden state of the coarse cell, ``(n, coarse_channels, h/8, w/8)``."""
    coarse_cell_state: Tensor
    fine_hidden: Tensor
    """Hidden state of the fine cell, ``(n, fine_channels, h/4, w/4)``."""
    fine_cell_state: Tensor


class LayeredForecaster(PretrainedForecaster):
    """Image layers, each moved by its own displacement field, controlled by two ConvLSTM cells.

    A scene is a stack of images that move independently (Wang & Adelson 1994, "Representing moving images with
    layers"). Both cells read the frame, the previous frame and the layers. The coarse cell, at 8 pixels per position,
    also reads the local correlation of the two frames and gives each layer's displacement. The fine cell, at 4 pixels
    per position, gives the write gate of each layer, the depth order and a residual. The next frame is the sum of the
    moved layers, weighted by a softmax over depth, plus the residual.

    Beyond the context the layers are kept: displacements are composed and the last observed layers are sampled once,
    so repeated interpolation does not blur them. Frames of any size are padded inside.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame is processed as a clip of its own.
        layers: number k of layers.
        coarse_channels: channels of the coarse cell; a multiple of 4.
        fine_channels: channels of the fine cell.
        embedding_channels: channels of the embedding of 4x4 patches.
        reach: maximum displacement of the correlation, in pixels of the frames at half resolution.
        phase_input: give both cells an input that is 0 for observed frames and 1 for predictions, so that the network
            need not infer, or count, where the context ends.

    Raises:
        ConfigError: if an argument is less than 1, or ``coarse_channels`` not a multiple of 4.
    """

    def __init__(
        self,
        channels: int = 1,
        layers: int = 3,
        coarse_channels: int = 64,
        fine_channels: int = 16,
        embedding_channels: int = 32,
        reach: int = 4,
        phase_input: bool = False,
    ) -> None:
        super().__init__()
        smallest = min(channels, layers, coarse_channels, fine_channels, embedding_channels, reach)
        if smallest < 1 or coarse_channels % 4:
            raise ConfigError(
                "A layered forecaster needs arguments of at least 1 and coarse_channels a multiple of 4, not "
                f"channels {channels}, layers {layers}, coarse_channels {coarse_channels}, "
                f"fine_channels {fine_channels}, embedding_channels {embedding_channels}, reach {reach}."
            )
        self.channels = channels
        self.layers = layers
        self.reach = reach
        self.phase_input = phase_input
        patch, features = FINE**2, fine_channels + coarse_channels // 4
        self.embed = nn.Conv2d(patch * channels * (2 + layers) + phase_input, embedding_channels, 1)
        self.downsample = nn.Conv2d(embedding_channels, coarse_channels, 4, stride=2, padding=1)
        self.embed_correlation = nn.Conv2d((2 * reach + 1) ** 2, coarse_channels, 1)
        self.coarse_cell = ConvLSTMCell(coarse_channels, coarse_channels, 3, norm=True)
        self.fine_cell = ConvLSTMCell(embedding_channels + coarse_channels // 4, fine_channels, 3, norm=True)
        self.flow = nn.Conv2d(coarse_channels, 2 * layers, 1)
        self.write_gate = nn.Conv2d(features, patch * layers, 1)
        self.depth = nn.Conv2d(features, layers, 1)
        self.residual = nn.Conv2d(features, patch * channels, 1)
        self.brightness = nn.Parameter(torch.tensor(INITIAL_BRIGHTNESS))
        self._initialise_heads()

    @torch.no_grad()
    def _initialise_heads(self) -> None:
        """Start with zero mean displacement and with small corrections of the moved layers."""
        for head in (self.flow, self.write_gate, self.depth, self.residual):
            assert head.bias is not None
            head.bias.zero_()
        for head in (self.depth, self.residual):
            head.weight.mul_(HEAD_SCALE)

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update memory and layers with one frame ``(b, c, h, w)``, integers or floats in [0, 1].

        Raises:
            ClipError: if the frame has other channels than the weights, or differs in shape from the previous frame.
        """
        frame = to_input(frame, self.flow.weight)
        check_frame(frame, state, self.channels)
        return self._advance(frame, self._start(frame) if state is None else _Scene(*state), observed=True)

    def feedback(self, frame: Frame, state: State) -> State:
        """Update the memory with a frame beyond the context; the layers stay as last observed."""
        frame = to_input(frame.clamp(0, 1), self.flow.weight)
        return self._advance(frame, _Scene(*state), observed=False)

    def next_frame(self, state: State) -> Frame:
        """Predict the next frame ``(b, c, h, w)``, not clamped to [0, 1]."""
        scene = _Scene(*state)
        depth = functional.interpolate(scene.depth, scale_factor=FINE, mode="bilinear")
        weights = (self.brightness * scene.moved_layers.mean(dim=2) + depth).softmax(dim=1)
        blended = (weights[:, :, None] * scene.moved_layers).sum(dim=1)
        return unfold(blended + functional.pixel_shuffle(scene.residual, FINE), like=scene.frame)

    def named_memory(self, state: State) -> dict[str, Tensor]:
        """Name the hidden and the cell state of both cells."""
        scene = _Scene(*state)
        return {
            "coarse: hidden": scene.coarse_hidden,
            "coarse: cell": scene.coarse_cell_state,
            "fine: hidden": scene.fine_hidden,
            "fine: cell": scene.fine_cell_state,
        }

    def uncounted_macs(self, context: int, horizon: int, size: tuple[int, int, int]) -> int:
        """Multiply-accumulates of the correlations and bilinear sampling of all steps on a clip."""
        padded = [side + -side % COARSE for side in size[1:]]
        pixels, positions = math.prod(padded), math.prod(padded) // COARSE**2
        correlation = local_correlation_macs(self.reach, COARSE) * positions
        # Sampled values: layers (c) and upsampled paths (2) per pixel, composed paths (2) per position.
        samples = self.layers * ((self.channels + 2) * pixels + 2 * positions)
        return size[0] // self.channels * (context + horizon - 1) * (correlation + BILINEAR_MACS * samples)

    def _start(self, frame: Frame) -> _Scene:
        """Return the state before the first frame: that frame as the previous one, everything else zeros."""
        folded = fold(frame, self.channels, COARSE)
        coarse, fine = folded[..., ::COARSE, ::COARSE], folded[..., ::FINE, ::FINE]
        count, (rows, columns) = folded.shape[0], fine.shape[-2:]
        layers = folded.new_zeros(count, self.layers, *folded.shape[1:])
        path = at_least_float32(coarse).new_zeros(count, self.layers, 2, *coarse.shape[-2:])
        return _Scene(
            frame,
            layers,
            moved_layers=layers,
            path=path,
            depth=folded.new_zeros(count, self.layers, rows, columns),
            residual=folded.new_zeros(count, self.channels * FINE**2, rows, columns),
            **dict(zip(("coarse_hidden", "coarse_cell_state"), self.coarse_cell.start(coarse), strict=True)),
            **dict(zip(("fine_hidden", "fine_cell_state"), self.fine_cell.start(fine), strict=True)),
        )

    def _advance(self, frame: Frame, scene: _Scene, observed: bool) -> State:
        folded, before = (fold(picture, self.channels, COARSE) for picture in (frame, scene.frame))
        inputs = torch.cat([folded, before, scene.moved_layers.flatten(1, 2)], dim=1)
        patches = functional.pixel_unshuffle(inputs, FINE)
        if self.phase_input:
            patches = torch.cat([patches, torch.full_like(patches[:, :1], float(not observed))], dim=1)
        embedded = self.embed(patches).relu()
        coarse = self.coarse_cell(
            self.downsample(embedded) + self._embedded_correlation(folded, before),
            (scene.coarse_hidden, scene.coarse_cell_state),
        )
        upsampled = functional.pixel_shuffle(coarse[0], COARSE // FINE)
        fine = self.fine_cell(torch.cat([embedded, upsampled], dim=1), (scene.fine_hidden, scene.fine_cell_state))
        features = torch.cat([fine[0], upsampled], dim=1)
        flow = self.flow(coarse[0]).to(scene.path.dtype)  # sums of displacements need at least float32
        layers, path = scene.layers, PACE * flow.view_as(scene.path)
        if observed:
            layers = self._write(features, folded, scene.moved_layers)
        else:
            path = _compose(path, scene.path)
        moved = _move(layers, path)
        return _Scene(frame, layers, moved, path, self.depth(features), self.residual(features), *coarse, *fine)

    def _embedded_correlation(self, folded: Tensor, before: Tensor) -> Tensor:
        gray, gray_before = (picture.mean(1, keepdim=True) for picture in (folded, before))
        scores = local_correlation(gray, gray_before, self.reach, COARSE)
        embedded: Tensor = self.embed_correlation(scores.to(folded.dtype))
        return embedded

    def _write(self, features: Tensor, folded: Tensor, moved: Tensor) -> Tensor:
        """Mix the frame into each layer by its write gate."""
        gate = functional.pixel_shuffle(self.write_gate(features), FINE).sigmoid()[:, :, None]
        return moved + gate * (folded[:, None] - moved)


def _compose(flow: Tensor, path: Tensor) -> Tensor:
    """Extend the path of :class:`_Scene` by one frame."""
    return compose(flow.flatten(0, 1), path.flatten(0, 1), COARSE).view_as(path)


def _move(layers: Tensor, path: Tensor) -> Tensor:
    """Warp each layer along its own path."""
    displacement = functional.interpolate(path.flatten(0, 1), scale_factor=COARSE, mode="bilinear")
    return warp(layers.flatten(0, 1), displacement).view_as(layers)
