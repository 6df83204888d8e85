"""Clips of frames: axes, types and value ranges.

The axes are always ``b`` batch, ``t`` time, ``c`` channels, ``h`` height, ``w`` width, in this order. Files and
batches hold unsigned integers over their full range. Networks take floats in [0, 1].
"""

from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from framepred.errors import ClipError

Frame: TypeAlias = Float[Tensor, "b c h w"]
Clip: TypeAlias = Float[Tensor, "b t c h w"]
Future: TypeAlias = Float[Tensor, "b k c h w"]  # a clip whose length differs from that of a Clip
RawFrame: TypeAlias = Shaped[Tensor, "b c h w"]  # uint8, uint16, or floats in [0, 1]: see to_unit
RawClip: TypeAlias = Shaped[Tensor, "b t c h w"]
PerFrame: TypeAlias = Float[Tensor, "b t"]
FrameMask: TypeAlias = Bool[Tensor, "b t"]
State: TypeAlias = tuple[Tensor, ...]

WHITE = {torch.uint8: 255, torch.uint16: 65535}
"""The integer that stands for 1.0."""

RANGE_TOLERANCE = 1e-3
"""How far floats may exceed [0, 1]: rounding in half precision and resizing stay below it."""


class ClipBatch(NamedTuple):
    """Clips divided into context and target, each ``(b, t, c, h, w)``, of one type.

    Attributes:
        context: the observed frames.
        target: the frames to predict.
        filler: the value in [0, 1] that stands for missing pixels, which are NaN, where a network reads them; None for
            clips without missing pixels.
    """

    context: Shaped[Tensor, "b n c h w"]
    target: Shaped[Tensor, "b m c h w"]
    filler: float | None = None

    @classmethod
    def cut(cls, clips: RawClip, context: int, filler: float | None = None) -> "ClipBatch":
        """Divide clips after ``context`` frames."""
        return cls(clips[:, :context], clips[:, context:], filler)

    @property
    def clips(self) -> RawClip:
        """Context and target joined, ``(b, t, c, h, w)``; missing pixels are NaN."""
        return torch.cat([self.context, self.target], dim=1)

    def filled(self) -> "ClipBatch":
        """The clips with ``filler`` in place of missing pixels, as networks read them."""
        return ClipBatch(fill_missing(self.context, self.filler), fill_missing(self.target, self.filler))


def fill_missing(frames: Shaped[Tensor, "..."], filler: float | None) -> Shaped[Tensor, "..."]:
    """Replace NaN by ``filler``; None leaves the frames as they are.

    Example:
        >>> import torch
        >>> fill_missing(torch.tensor([0.5, torch.nan]), 0.0)
        tensor([0.5000, 0.0000])
    """
    if filler is None or not frames.is_floating_point():
        return frames
    return torch.where(frames.isnan(), filler, frames)


def missing_pixels(frames: Shaped[Tensor, "*frames"]) -> Bool[Tensor, "*frames"] | None:
    """Which pixels are missing, which are NaN; None where there are none.

    Example:
        >>> import torch
        >>> missing_pixels(torch.tensor([0.5, torch.nan])), missing_pixels(torch.tensor([0, 255]))
        (tensor([False,  True]), None)
    """
    missing = frames.isnan() if frames.is_floating_point() else None
    return missing if missing is not None and bool(missing.any()) else None


def to_unit(frames: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Convert uint8 or uint16 frames to float32 in [0, 1]; floats are returned as they are.

    Raises:
        ClipError: if the type is none of these.

    Example:
        >>> import torch
        >>> to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8))
        tensor([0.0000, 0.2000, 1.0000])
    """
    if frames.is_floating_point():
        return frames
    return frames.float().div_(white_of(frames.dtype))


def at_least_float32(frames: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Convert half precision to float32; float64 stays."""
    return frames if frames.dtype == torch.float64 else frames.float()


def white_of(dtype: torch.dtype) -> int:
    """Return the integer that stands for 1.0 in frames of this type.

    Raises:
        ClipError: if the type has no known range.
    """
    if dtype not in WHITE:
        raise ClipError(f"Frames of type {dtype} have no known range; give uint8, uint16 or floats in [0, 1].")
    return WHITE[dtype]


def from_unit(frames: Float[Tensor, "..."], dtype: torch.dtype) -> Shaped[Tensor, "..."]:
    """Convert floats to a file's type; values are clamped to [0, 1] and integers rounded to nearest.

    Args:
        frames: floats in [0, 1].
        dtype: uint8, uint16 or a float type.

    Raises:
        ClipError: if the type is another one.
    """
    frames = frames.clamp(0, 1)
    if dtype.is_floating_point:
        return frames.to(dtype)
    levels = at_least_float32(frames) * white_of(dtype)  # half precision rounds levels and overflows
    return levels.round().to(torch.int32).to(dtype)


def to_uint8(frames: Float[Tensor, "..."]) -> UInt8[Tensor, "..."]:
    """Convert floats to uint8, rounded to nearest; values are clamped to [0, 1]."""
    return from_unit(frames, torch.uint8)


def check_range(frames: Shaped[Tensor, "..."]) -> None:
    """Refuse floats that are not finite or lie outside [0, 1].

    Tensors without values (meta device, graph tracing) are not checked.

    Raises:
        ClipError: naming the range that was found.
    """
    if not frames.is_floating_point() or frames.is_meta or torch.compiler.is_compiling() or not frames.numel():
        return
    low, high = (value.item() for value in frames.detach().aminmax())
    if not (low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE):  # also true for NaN
        raise ClipError(
            f"Frames of floats lie in [0, 1], and these lie in [{low:g}, {high:g}]; scale them to [0, 1] "
            "or give uint8 or uint16, and replace values that are not finite."
        )
