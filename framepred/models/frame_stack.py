"""A forecaster without recurrence: a feed-forward network over the last few frames."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from framepred.clips import Frame, RawFrame, State
from framepred.errors import ConfigError
from framepred.models.patches import Head, apply_head, check_frame, check_head, from_patches, to_input, to_patches
from framepred.models.pretrained import PretrainedForecaster


class FrameStack(PretrainedForecaster):
    """Feed-forward convolutional network over the last ``frames`` frames.

    It has no memory beyond these frames, and its first layer grows with their number. Frames of any size from the
    stride upwards are padded inside.

    State: the last ``frames`` frames ``(b, c, h, w)``, newest first. At the start of a clip the first frame is
    repeated.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame is processed as a clip of its own.
        frames: number of input frames.
        hidden_channels: channels of each hidden layer, one number per layer.
        kernel_size: odd side of the hidden layers' convolutions, in patches.
        stride: side of a patch in pixels.
        norm: normalise each hidden layer over its channels and the map (Wu & He 2018, arXiv:1803.08494).
        head: what the output means, pixel values or class probabilities.

    Raises:
        ConfigError: if there is no hidden layer, or an argument is outside its domain.
    """

    def __init__(
        self,
        channels: int = 1,
        frames: int = 4,
        hidden_channels: Sequence[int] = (64, 64),
        kernel_size: int = 5,
        stride: int = 4,
        norm: bool = True,
        head: Head = "pixels",
    ) -> None:
        super().__init__()
        smallest = min(channels, frames, kernel_size, stride, *hidden_channels)
        if not hidden_channels or smallest < 1 or kernel_size % 2 == 0:
            raise ConfigError(
                "A frame stack needs at least one hidden layer, arguments of at least 1 and an odd kernel_size, not "
                f"hidden_channels {list(hidden_channels)}, channels {channels}, frames {frames}, "
                f"kernel_size {kernel_size}, stride {stride}."
            )
        check_head(head, channels)
        self.channels = channels
        self.frames = frames
        self.stride = stride
        self.head: Head = head
        patch = channels * stride**2
        layers = pairwise([frames * patch, *hidden_channels])
        self.hidden = nn.Sequential(*(_layer(inputs, outputs, kernel_size, norm) for inputs, outputs in layers))
        self.readout = nn.Conv2d(hidden_channels[-1], patch, 1)

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Add one frame ``(b, c, h, w)``, integers or floats in [0, 1], to the state and drop the oldest.

        Raises:
            ClipError: if the frame is smaller than the stride, has other channels than the weights, or differs in
                shape from the previous frame.
        """
        frame = to_input(frame, self.readout.weight)
        check_frame(frame, state, self.channels, smallest=self.stride)
        return (frame, *(state[:-1] if state is not None else (frame,) * (self.frames - 1)))

    def next_frame(self, state: State) -> Frame:
        """Predict the next frame ``(b, c, h, w)``, not clamped to [0, 1]."""
        inputs = torch.cat([to_patches(frame, self.channels, self.stride) for frame in state], dim=1)
        output = from_patches(self.readout(self.hidden(inputs)), self.stride, like=state[0])
        return apply_head(output, self.head)


def _layer(in_channels: int, out_channels: int, kernel_size: int, norm: bool) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=not norm)
    return nn.Sequential(convolution, nn.GroupNorm(1, out_channels) if norm else nn.Identity(), nn.ReLU())
