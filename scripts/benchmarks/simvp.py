"""A forecaster of convolutions alone, in the published size of SimVP: the observed frames in, all future frames out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from framepred.clips import ClipBatch, Frame, Future, RawFrame, State, to_unit
from framepred.evaluation.formulas import frame_mse
from framepred.forecaster import Forecaster
from framepred.training import ForecastTask

KERNELS = (3, 5, 7, 11)
"""Sides of the parallel convolutions of a translator block (Gao et al. 2022, section 3.3)."""
NORM_GROUPS = 2
"""Groups of the normalisation of the encoder and decoder."""


class SimVP(Forecaster):
    """Encoder of single frames, translator over the channels of all frames, decoder of single frames.

    Gao et al. 2022, "SimVP: Simpler yet Better Video Prediction", arXiv:2206.05099, written from the paper. The
    default arguments give 57.2 M parameters and 19.1 GMACs for 10 → 10 frames of 64×64; OpenSTL reports 58.0 M and 19.4
    GMACs. It predicts as many frames as it observes, at once; longer horizons read its own predictions.

    State: the last ``frames`` frames ``(b, 1, h, w)``, newest first. At the start of a clip the first is repeated.

    Args:
        frames: observed frames, and frames of one prediction.
        features: channels of the encoder and decoder, even.
        translator_features: channels of the translator; a multiple of ``groups``.
        blocks: blocks of the translator, an even number.
        groups: groups of the translator's convolutions.
    """

    def __init__(
        self, frames: int = 10, features: int = 64, translator_features: int = 512, blocks: int = 8, groups: int = 4
    ) -> None:
        super().__init__()
        self.frames = frames
        self.first = _block(1, features)
        self.encoder = nn.Sequential(
            _block(features, features, stride=2), _block(features, features), _block(features, features, stride=2)
        )
        self.translator = Translator(frames * features, translator_features, blocks, groups)
        self.decoder = nn.Sequential(_upsampling(features), _block(features, features), _upsampling(features))
        self.last = nn.Sequential(_block(features, features), nn.Conv2d(features, 1, 1))

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Add one frame ``(b, 1, h, w)``, height and width multiples of 4, and drop the oldest."""
        frame = to_unit(frame)
        return (frame, *(state[:-1] if state is not None else (frame,) * (self.frames - 1)))

    def next_frame(self, state: State) -> Frame:
        """Return the first of the frames that follow."""
        return self._predict(state)[:, 0]

    def forecast(self, state: State, horizon: int) -> Future:
        """Predict ``horizon`` frames, ``frames`` of them at a time."""
        parts: list[Tensor] = []
        for _ in range(0, horizon, self.frames):
            parts.append(self._predict(state))
            state = tuple(parts[-1].clamp(0, 1).flip(1).unbind(1))
        clip = torch.cat(parts, dim=1)[:, :horizon]
        return clip if self.training else clip.clamp(0, 1)

    def _predict(self, state: State) -> Tensor:
        clip = torch.stack(state[::-1], dim=1)
        batch, time = clip.shape[:2]
        skip = self.first(clip.flatten(0, 1))
        maps = self.encoder(skip)
        maps = self.translator(maps.unflatten(0, (batch, time)).flatten(1, 2)).unflatten(1, (time, -1)).flatten(0, 1)
        future: Tensor = self.last(self.decoder(maps) + skip)
        return future.unflatten(0, (batch, time))


class Translator(nn.Module):
    """Blocks of parallel grouped convolutions, joined as a U-Net without change of resolution.

    Args:
        channels: channels of the input and output, a multiple of ``groups``.
        features: channels between the blocks.
        blocks: even number of blocks.
        groups: groups of the convolutions.
    """

    def __init__(self, channels: int, features: int, blocks: int, groups: int) -> None:
        super().__init__()
        half = blocks // 2
        inputs, doubled = [channels] + [features] * (half - 1), [2 * features] * (half - 1)
        self.down = nn.ModuleList(Inception(count, features // 2, features, groups) for count in inputs)
        self.middle = Inception(features, features // 2, features, groups)
        self.up = nn.ModuleList(
            Inception(count, features // 2, outputs, groups)
            for count, outputs in zip(doubled, [features] * (half - 2) + [channels], strict=True)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape ``(b, c, h, w)``."""
        skips: list[Tensor] = []
        for block in self.down:
            maps = block(maps)
            skips.append(maps)
        maps = self.middle(maps)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            maps = block(torch.cat([maps, skip], dim=1))
        return maps


class Inception(nn.Module):
    """Sum of grouped convolutions with kernels of several sizes, after a convolution of single pixels."""

    def __init__(self, inputs: int, hidden: int, outputs: int, groups: int, kernels: Sequence[int] = KERNELS) -> None:
        super().__init__()
        self.inner = nn.Conv2d(inputs, hidden, 1)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(hidden, outputs, kernel, padding=kernel // 2, groups=groups),
                nn.GroupNorm(groups, outputs),
                nn.LeakyReLU(0.2),
            )
            for kernel in kernels
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps ``(b, outputs, h, w)``."""
        inner = self.inner(maps)
        return torch.stack([branch(inner) for branch in self.branches]).sum(dim=0)


class HorizonTask(ForecastTask):
    """Trains a forecaster that predicts the whole horizon at once: the loss covers the horizon alone."""

    def training_step(self, batch: ClipBatch) -> Tensor:
        """Return the loss over the horizon."""
        target = self.to_float(batch.target)
        predicted = self.net(self.to_float(batch.context), target.shape[1])
        loss: Tensor = self.loss(predicted, target)
        self.log_training(loss, frame_mse(predicted.detach(), target).mean())
        return loss


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
    return nn.Sequential(convolution, nn.GroupNorm(NORM_GROUPS, outputs), nn.SiLU())


def _upsampling(features: int) -> nn.Sequential:
    convolution = nn.Conv2d(features, 4 * features, 3, padding=1)
    return nn.Sequential(convolution, nn.PixelShuffle(2), nn.GroupNorm(NORM_GROUPS, features), nn.SiLU())
