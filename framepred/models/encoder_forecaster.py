"""The encoder-forecaster: stacked recurrent cells that read a clip, then run on to draw its future."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ConfigError
from framepred.models.cells import CellFactory, ConvLSTMCell, RecurrentCell, describe_cell, described_cell
from framepred.models.patches import Head, check_frame, check_head, from_patches, shown, to_patches
from framepred.models.pretrained import PretrainedForecaster


class EncoderForecaster(PretrainedForecaster):
    """Encoder-forecaster of recurrent cells (Shi et al. 2015, arXiv:1506.04214, fig. 3).

    Each patch of ``stride`` x ``stride`` pixels is one cell of the map (as in OpenSTL's ConvLSTM). The encoder's
    cells read the frames that were seen; the forecaster's cells start from the encoder's state and read the
    predictions. A 1x1 convolution over what the cells of all layers show draws the next frame. Frames of any
    size from the stride up are padded inside and cropped on the way out.

    State: last frame ``(b, c, h, w)``, then the parts ``(b, d, h/stride, w/stride)`` of each layer's state; see
    :meth:`memory`.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame runs as a clip of its own.
        widths: channels d of each layer's state.
        kernel: odd side of the cells' convolutions, in patches.
        stride: side of a patch in pixels.
        norm: normalise within the cells.
        motion: the first layer also reads the frame before, so that motion is seen without memory.
        share_weights: one set of cells is both encoder and forecaster.
        cell: which cells: a class of ``framepred.models``, a partial of one, or its description as ``config.json``
            holds it.
        head: what the network draws, pixels or the probabilities of classes.

    Raises:
        ConfigError: if there is no layer, or an argument is outside its domain.
    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (64, 64),
        kernel: int = 5,
        stride: int = 4,
        norm: bool = True,
        motion: bool = True,
        share_weights: bool = True,
        cell: CellFactory | dict[str, Any] = ConvLSTMCell,
        head: Head = "pixels",
    ) -> None:
        super().__init__()
        if not widths or min(channels, stride) < 1:
            raise ConfigError(
                f"An encoder-forecaster needs at least one layer, channel and pixel of stride, "
                f"not widths {list(widths)}, channels {channels}, stride {stride}."
            )
        check_head(head, channels)
        self.channels = channels
        self.stride = stride
        self.motion = motion
        self.head: Head = head
        patch = channels * stride**2
        inputs = [patch * (1 + motion), *widths[:-1]]
        make = described_cell(cell) if isinstance(cell, Mapping) else cell

        def cells() -> nn.ModuleList:
            return nn.ModuleList(make(c, d, kernel, norm) for c, d in zip(inputs, widths, strict=True))

        self.encoder = cells()
        self.forecaster = None if share_weights else cells()
        self.draw = nn.Conv2d(sum(widths), patch, 1)
        self._remember(cell=describe_cell(self.cells[0]))

    @property
    def cells(self) -> list[RecurrentCell]:
        """The encoder's cells, from the frames up."""
        return list(self.encoder)  # type: ignore[arg-type]

    def memory(self, state: State) -> list[State]:
        """The part of a state that each layer keeps; what it consists of is said by its cell's ``parts``."""
        layers, place = [], 1
        for cell in self.cells:
            layers.append(state[place : place + len(cell.parts)])
            place += len(cell.parts)
        return layers

    def named_memory(self, state: State) -> dict[str, torch.Tensor]:
        """The parts of every layer's state, from the frames up."""
        return {
            f"layer {number}: {part}": kept
            for number, (cell, layer) in enumerate(zip(self.cells, self.memory(state), strict=True), start=1)
            for part, kept in zip(cell.parts, layer, strict=True)
        }

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
        signals = torch.cat([layer[0] for layer in self.memory(state)], dim=1)
        return shown(from_patches(self.draw(signals), self.stride, like=state[0]), self.head)

    def _advance(self, cells: nn.ModuleList, frame: Frame, state: State | None) -> State:
        check_frame(frame, state, self.channels, smallest=self.stride)
        signal = self._patches(frame)
        if self.motion:
            before = signal if state is None else self._patches(state[0])
            signal = torch.cat([signal, before], dim=1)
        layers = [None] * len(cells) if state is None else self.memory(state)
        memory: list[torch.Tensor] = []
        for cell, layer in zip(cells, layers, strict=True):
            advanced = cell(signal, cell.start(signal) if layer is None else layer)  # type: ignore[operator]
            signal = advanced[0]
            memory += advanced
        return (frame, *memory)

    def _patches(self, frame: Frame) -> torch.Tensor:
        return to_patches(frame, self.channels, self.stride)
