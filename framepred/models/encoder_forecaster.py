"""Encoder-forecaster: stacked recurrent cells that read a clip, then their own predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from framepred.clips import Frame, RawFrame, State
from framepred.errors import ConfigError
from framepred.models.cells import CellFactory, ConvLSTMCell, RecurrentCell, describe_cell, described_cell
from framepred.models.patches import Head, apply_head, check_frame, check_head, from_patches, to_input, to_patches
from framepred.models.pretrained import PretrainedForecaster


class EncoderForecaster(PretrainedForecaster):
    """Encoder-forecaster of recurrent cells (Shi et al. 2015, arXiv:1506.04214, fig. 3).

    Each patch of ``stride`` x ``stride`` pixels is one position of the feature map, as in OpenSTL's ConvLSTM. The
    encoder's cells read the observed frames. The forecaster's cells start from the encoder's state and read the
    predictions. A 1x1 convolution over the outputs of all layers gives the next frame. Frames may have any
    size of at least ``stride``; they are padded internally and predictions are cropped.

    The state is the last frame ``(b, c, h, w)``, followed by the maps ``(b, d, h/stride, w/stride)`` of each layer's
    state; see :meth:`memory`.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame is processed as a separate clip.
        hidden_channels: channels d of each layer's state, one number per layer.
        kernel_size: odd side of the cells' convolutions, in patches.
        stride: side of a patch in pixels.
        norm: apply group normalisation in the cells.
        motion: the first layer also reads the previous frame.
        share_weights: use one set of cells as both encoder and forecaster.
        cell: a cell class of ``framepred.models``, a ``functools.partial`` of one, or its description as in
            ``config.json``.
        head: meaning of the output: pixel values or class probabilities.

    Raises:
        ConfigError: if there is no layer, or an argument is outside its domain.

    Example:
        >>> import torch
        >>> from framepred.models import EncoderForecaster
        >>> net = EncoderForecaster(hidden_channels=[8], kernel_size=3).eval()
        >>> context = torch.rand(2, 10, 1, 32, 32)  # (b, t, c, h, w) in [0, 1]
        >>> net(context, horizon=5).shape
        torch.Size([2, 5, 1, 32, 32])
    """

    def __init__(
        self,
        channels: int = 1,
        hidden_channels: Sequence[int] = (64, 64),
        kernel_size: int = 5,
        stride: int = 4,
        norm: bool = True,
        motion: bool = True,
        share_weights: bool = True,
        cell: CellFactory | dict[str, Any] = ConvLSTMCell,
        head: Head = "pixels",
    ) -> None:
        super().__init__()
        if not hidden_channels or min(channels, stride) < 1:
            raise ConfigError(
                "An encoder-forecaster needs at least one layer, channel and pixel of stride, "
                f"not hidden_channels {list(hidden_channels)}, channels {channels}, stride {stride}."
            )
        check_head(head, channels)
        self.channels = channels
        self.stride = stride
        self.motion = motion
        self.head: Head = head
        patch = channels * stride**2
        in_channels = [patch * (1 + motion), *hidden_channels[:-1]]
        make = described_cell(cell) if isinstance(cell, Mapping) else cell

        def cells() -> nn.ModuleList:
            sizes = zip(in_channels, hidden_channels, strict=True)
            return nn.ModuleList(make(inputs, hidden, kernel_size, norm) for inputs, hidden in sizes)

        self.encoder = cells()
        self.forecaster = None if share_weights else cells()
        self.readout = nn.Conv2d(sum(hidden_channels), patch, 1)
        self.arguments["cell"] = describe_cell(self.cells[0])

    @property
    def cells(self) -> list[RecurrentCell]:
        """The encoder's cells, first layer first."""
        return list(self.encoder)  # type: ignore[arg-type]

    def memory(self, state: State) -> list[State]:
        """Split a state into one state per layer; ``parts`` of each cell gives the names of its maps."""
        layers, start = [], 1
        for cell in self.cells:
            layers.append(state[start : start + len(cell.parts)])
            start += len(cell.parts)
        return layers

    def named_memory(self, state: State) -> dict[str, Tensor]:
        """Return the maps of each layer's state by name, such as ``layer 1: hidden``."""
        return {
            f"layer {number}: {part}": memory
            for number, (cell, layer) in enumerate(zip(self.cells, self.memory(state), strict=True), start=1)
            for part, memory in zip(cell.parts, layer, strict=True)
        }

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state with one frame ``(b, c, h, w)``, integers or floats in [0, 1].

        Raises:
            ClipError: if the frame is smaller than the stride, its number of channels does not match the weights, or
                its shape differs from the previous frame.
        """
        return self._advance(self.encoder, to_input(frame, self.readout.weight), state)

    def feedback(self, frame: Frame, state: State) -> State:
        """Update the state with a predicted frame, using the forecaster's cells."""
        cells = self.encoder if self.forecaster is None else self.forecaster
        return self._advance(cells, to_input(frame.clamp(0, 1), self.readout.weight), state)

    def next_frame(self, state: State) -> Frame:
        """Predict the next frame ``(b, c, h, w)``, not clamped to [0, 1]."""
        outputs = torch.cat([layer[0] for layer in self.memory(state)], dim=1)
        return apply_head(from_patches(self.readout(outputs), self.stride, like=state[0]), self.head)

    def _advance(self, cells: nn.ModuleList, frame: Frame, state: State | None) -> State:
        check_frame(frame, state, self.channels, smallest=self.stride)
        signal = to_patches(frame, self.channels, self.stride)
        if self.motion:
            before = signal if state is None else to_patches(state[0], self.channels, self.stride)
            signal = torch.cat([signal, before], dim=1)
        layers = [None] * len(cells) if state is None else self.memory(state)
        memory: list[Tensor] = []
        for cell, layer in zip(cells, layers, strict=True):
            advanced = cell(signal, cell.start(signal) if layer is None else layer)  # type: ignore[operator]
            signal = advanced[0]
            memory += advanced
        return (frame, *memory)
