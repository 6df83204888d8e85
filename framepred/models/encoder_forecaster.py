"""The encoder-forecaster: stacked ConvLSTM cells that read a clip, then run on to draw its future."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn import functional

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ConfigError
from framepred.models.conv_lstm import ConvLSTMCell
from framepred.models.folding import check_frame, fold, unfold
from framepred.models.pretrained import PretrainedForecaster


class EncoderForecaster(PretrainedForecaster):
    """Encoder-forecaster of ConvLSTM cells (Shi et al. 2015, arXiv:1506.04214, fig. 3).

    Each patch of ``stride`` x ``stride`` pixels is one cell of the map (as in OpenSTL's ConvLSTM). The encoder's
    cells read the frames that were seen; the forecaster's cells start from the encoder's state and read the
    predictions. A 1x1 convolution over the hidden states of all layers draws the next frame. Frames of any
    size from the stride up are padded inside and cropped on the way out.

    State: last frame ``(b, c, h, w)``, then hidden and cell ``(b, d, h/stride, w/stride)`` of each layer.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame runs as a clip of its own.
        widths: channels d of each layer's state.
        kernel: odd side of the cells' convolutions, in patches.
        stride: side of a patch in pixels.
        peephole: gates see the cell state.
        norm: normalise the gates.
        motion: the first layer also reads the frame before, so that motion is seen without memory.
        share_weights: one set of cells is both encoder and forecaster.

    Raises:
        ConfigError: if there is no layer, or an argument is outside its domain.
    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (64, 64),
        kernel: int = 5,
        stride: int = 4,
        peephole: bool = False,
        norm: bool = True,
        motion: bool = True,
        share_weights: bool = True,
    ) -> None:
        super().__init__()
        if not widths or min(channels, stride) < 1:
            raise ConfigError(
                f"An encoder-forecaster needs at least one layer, channel and pixel of stride, "
                f"not widths {list(widths)}, channels {channels}, stride {stride}."
            )
        self.channels = channels
        self.stride = stride
        self.motion = motion
        patch = channels * stride**2
        inputs = [patch * (1 + motion), *widths[:-1]]

        def cells() -> nn.ModuleList:
            return nn.ModuleList(
                ConvLSTMCell(c, d, kernel, peephole=peephole, norm=norm) for c, d in zip(inputs, widths, strict=True)
            )

        self.encoder = cells()
        self.forecaster = None if share_weights else cells()
        self.draw = nn.Conv2d(sum(widths), patch, 1)

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Take in one frame ``(b, c, h, w)``, integers or floats in [0, 1].

        Raises:
            ClipError: if the frame is smaller than the stride, has channels that the weights do not know, or
                differs in shape from the frame before.
        """
        return self._advance(self.encoder, to_unit(frame), state)

    def feedback(self, frame: Frame, state: State) -> State:
        """Take in a frame of the future with the forecaster's cells."""
        cells = self.encoder if self.forecaster is None else self.forecaster
        return self._advance(cells, frame.clamp(0, 1), state)

    def next_frame(self, state: State) -> Frame:
        """The frame that comes next, raw, ``(b, c, h, w)``."""
        last, memory = state[0], state[1:]
        drawn = functional.pixel_shuffle(self.draw(torch.cat(memory[::2], dim=1)), self.stride)
        return unfold(drawn, like=last)

    def _advance(self, cells: nn.ModuleList, frame: Frame, state: State | None) -> State:
        check_frame(frame, state, self.channels, smallest=self.stride)
        signal = self._patches(frame)
        if self.motion:
            before = signal if state is None else self._patches(state[0])
            signal = torch.cat([signal, before], dim=1)
        memory: list[torch.Tensor] = []
        for cell, layer in zip(cells, self._layers(cells, signal, state), strict=True):
            signal, kept = cell(signal, layer)
            memory += [signal, kept]
        return (frame, *memory)

    def _layers(
        self, cells: nn.ModuleList, signal: torch.Tensor, state: State | None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        if state is None:
            return (cell.start(signal) for cell in cells)  # type: ignore[operator]
        return zip(state[1::2], state[2::2], strict=True)

    def _patches(self, frame: Frame) -> torch.Tensor:
        """Fold each patch into channels: ``(b, c, h, w)`` to ``(b, c·s², h/s, w/s)``."""
        return functional.pixel_unshuffle(fold(frame, self.channels, self.stride), self.stride)
