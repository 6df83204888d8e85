"""The words for clips: axes, types, value ranges.

Axes, everywhere and in this order: ``b`` batch, ``t`` time, ``c`` channels, ``h`` height, ``w`` width.
Files and batches hold unsigned integers over their whole range; networks see floats in [0, 1].
"""

from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from framepred.errors import ClipError

Frame: TypeAlias = Float[Tensor, "b c h w"]
Clip: TypeAlias = Float[Tensor, "b t c h w"]
Future: TypeAlias = Float[Tensor, "b k c h w"]  # beside a Clip of another length
RawFrame: TypeAlias = Shaped[Tensor, "b c h w"]  # uint8, uint16, or floats in [0, 1]: see to_unit
RawClip: TypeAlias = Shaped[Tensor, "b t c h w"]
PerFrame: TypeAlias = Float[Tensor, "b t"]
FrameMask: TypeAlias = Bool[Tensor, "b t"]
State: TypeAlias = tuple[Tensor, ...]

WHITE = {torch.uint8: 255, torch.uint16: 65535}


class ClipBatch(NamedTuple):
    """Clips cut in two: what is seen and what is to be predicted, each ``(b, t, c, h, w)``, one type."""

    context: Shaped[Tensor, "b n c h w"]
    target: Shaped[Tensor, "b m c h w"]

    @classmethod
    def cut(cls, clips: RawClip, context: int) -> "ClipBatch":
        """Cut whole clips after ``context`` frames."""
        return cls(clips[:, :context], clips[:, context:])

    @property
    def clips(self) -> RawClip:
        """The whole clips again."""
        return torch.cat([self.context, self.target], dim=1)


def to_unit(frames: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Bring uint8 or uint16 frames to float32 in [0, 1]; floats pass as they are.

    Raises:
        ClipError: if the type is neither of these.
    """
    if frames.is_floating_point():
        return frames
    if frames.dtype not in WHITE:
        raise ClipError(f"Frames of type {frames.dtype} have no known range; give uint8, uint16 or floats in [0, 1].")
    return frames.float() / WHITE[frames.dtype]


def from_unit(frames: Float[Tensor, "..."], dtype: torch.dtype) -> Shaped[Tensor, "..."]:
    """Bring floats back to a file's type; values outside [0, 1] are clamped, integers are rounded to nearest.

    Args:
        frames: floats, meant to lie in [0, 1].
        dtype: uint8, uint16 or a float type.
    """
    frames = frames.clamp(0, 1)
    if dtype.is_floating_point:
        return frames.to(dtype)
    return (frames * WHITE[dtype]).round().to(torch.int32).to(dtype)


def to_uint8(frames: Float[Tensor, "..."]) -> UInt8[Tensor, "..."]:
    """Round floats to the nearest of 256 levels; values outside [0, 1] are clamped first."""
    return from_unit(frames, torch.uint8)
