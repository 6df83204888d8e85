"""The forecaster without recurrence: it sees the last few frames at once, and nothing before them."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ConfigError
from framepred.models.patches import Head, check_frame, check_head, from_patches, shown, to_patches
from framepred.models.pretrained import PretrainedForecaster


class FrameStack(PretrainedForecaster):
    """A feed-forward network: (input + previous inputs) → hidden layers → output.

    What lies further back than ``frames`` is unknown to it, and each frame more costs weights: memory by copying,
    where a recurrent cell has memory by learning. Frames of any size from the stride up are padded inside.

    State: the last ``frames`` frames ``(b, c, h, w)``, the last first; before the clip its first frame stands still.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame runs as a clip of its own.
        frames: how many frames are seen at once.
        widths: channels of each hidden layer.
        kernel: odd side of the hidden layers' convolutions, in patches.
        stride: side of a patch in pixels.
        norm: normalise each hidden layer over its channels and the map (Wu & He 2018, arXiv:1803.08494).
        head: what the network draws, pixels or the probabilities of classes.

    Raises:
        ConfigError: if there is no hidden layer, or an argument is outside its domain.
    """

    def __init__(
        self,
        channels: int = 1,
        frames: int = 4,
        widths: Sequence[int] = (64, 64),
        kernel: int = 5,
        stride: int = 4,
        norm: bool = True,
        head: Head = "pixels",
    ) -> None:
        super().__init__()
        if not widths or min(channels, frames, kernel, stride, *widths) < 1 or kernel % 2 == 0:
            raise ConfigError(
                "A frame stack needs at least one hidden layer, arguments of at least 1 and an odd kernel, not "
                f"widths {list(widths)}, channels {channels}, frames {frames}, kernel {kernel}, stride {stride}."
            )
        check_head(head, channels)
        self.channels = channels
        self.frames = frames
        self.stride = stride
        self.head: Head = head
        patch = channels * stride**2
        self.hidden = nn.Sequential(
            *(_layer(c, d, kernel, norm) for c, d in pairwise([frames * patch, *widths])),
        )
        self.draw = nn.Conv2d(widths[-1], patch, 1)

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Take in one frame ``(b, c, h, w)``, integers or floats in [0, 1]; the oldest is forgotten.

        Raises:
            ClipError: if the frame is smaller than the stride, has channels that the weights do not know, or
                differs in shape from the frame before.
        """
        frame = to_unit(frame)
        check_frame(frame, state, self.channels, smallest=self.stride)
        return (frame, *(state[:-1] if state is not None else (frame,) * (self.frames - 1)))

    def next_frame(self, state: State) -> Frame:
        """The frame that comes next, raw, ``(b, c, h, w)``."""
        seen = torch.cat([to_patches(frame, self.channels, self.stride) for frame in state], dim=1)
        return shown(from_patches(self.draw(self.hidden(seen)), self.stride, like=state[0]), self.head)


def _layer(channels: int, width: int, kernel: int, norm: bool) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=not norm)
    return nn.Sequential(convolution, nn.GroupNorm(1, width) if norm else nn.Identity(), nn.ReLU())
