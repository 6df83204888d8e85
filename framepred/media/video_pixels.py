"""Pixels of decoded video frames: upright RGB of bytes, or the values of gray films that have more than 8 bits."""

from typing import Any, TypeAlias, cast

import av
import numpy as np
from av.video.format import VideoFormat
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8, UInt16
from numpy.typing import NDArray

from framepred.media.pixels import on_black

Pixels: TypeAlias = UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 1"]
"""A frame: RGB, or gray of more than 8 bits, with the values that the file holds."""

BYTE = 8
"""Bits of a channel of most films."""

_EXACT_COLOURS = 0x2 | 0x2000 | 0x40000
"""FFmpeg's ``SWS_BILINEAR``, ``SWS_FULL_CHR_H_INT`` and ``SWS_ACCURATE_RND``. Without the latter two, its conversion to
RGB is faster and darkens pictures by one level of 255. PyAV before version 16 has no names for them."""

_GRAY = ("gray", "ya8", "ya16le", "ya16be")
"""FFmpeg's names of gray pixels, which its conversion to RGB takes for full range, whatever they state."""

_LIMITED_RANGE = 1
"""FFmpeg's ``AVCOL_RANGE_MPEG``: black is 16 and white is 235."""

_TO_FULL_RANGE = np.rint((np.arange(256.0) - 16) * 255 / 219).clip(0, 255).astype(np.uint8)


def bits_of(pixels: VideoFormat) -> int:
    """Bits of a channel."""
    return max(component.bits for component in pixels.components)


def has_alpha(pixels: VideoFormat) -> bool:
    """Whether pixels have an opacity."""
    return any(component.is_alpha for component in pixels.components)


def white_of(pixels: VideoFormat | None) -> int | None:
    """The highest value of gray pixels with more than 8 bits; None for all others, which are read as bytes.

    Depth cameras, thermal cameras and microscopes write such films: their values are measurements.
    """
    if pixels is None or len(pixels.components) != 1 or not pixels.name.startswith("gray") or bits_of(pixels) <= BYTE:
        return None
    return 2 ** bits_of(pixels) - 1 if bits_of(pixels) <= 2 * BYTE else None


class PixelReader:
    """Converts the frames of one film to upright pixels.

    Args:
        stored: how the film stores pixels; None where that is not known before decoding.
    """

    def __init__(self, stored: VideoFormat | None) -> None:
        self.white = white_of(stored)
        """The highest value of a gray film with more than 8 bits; None for all others."""
        self._stored = stored
        self._reformatter = VideoReformatter()

    def read(self, frame: av.VideoFrame) -> Pixels:
        """The pixels of a frame: upright, transparency laid on black."""
        pixels = self._rgb(frame) if self.white is None else self._values(frame)
        return np.ascontiguousarray(_upright(pixels, frame))

    def _rgb(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        alpha = has_alpha(frame.format)
        converted = self._reformatter.reformat(
            frame, format="rgba" if alpha else "rgb24", interpolation=_EXACT_COLOURS, threads=1
        )
        pixels = np.asarray(converted.to_ndarray(), np.uint8)
        if frame.format.name in _GRAY and frame.color_range == _LIMITED_RANGE:
            pixels = np.concatenate([_TO_FULL_RANGE[pixels[..., :3]], pixels[..., 3:]], axis=-1)
        return on_black(pixels, axis=-1) if alpha else pixels

    def _values(self, frame: av.VideoFrame) -> NDArray[np.uint16]:
        """The values of a gray frame as they are stored, in the lower bits of 16."""
        stored = cast(VideoFormat, self._stored)
        if frame.format.name != stored.name:  # a film may change its pixels
            frame = self._reformatter.reformat(frame, format=stored.name, threads=1)
        plane = frame.planes[0]
        rows = np.frombuffer(cast(Any, plane), ">u2" if stored.name.endswith("be") else "<u2")
        rows = rows.reshape(-1, plane.line_size // 2)[: frame.height, : frame.width]
        return rows.astype(np.uint16)[..., None]


def _upright(pixels: NDArray[Any], frame: av.VideoFrame) -> NDArray[Any]:
    """Turn and mirror by the display matrix: x' = a·x + c·y and y' = b·x + d·y (ISO/IEC 14496-12, 8.3.2)."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return pixels
    a, b, _, c, d, *_ = np.frombuffer(cast(Any, matrix), np.int32).tolist()
    turned = abs(b) > abs(a)
    horizontal, vertical = (c, b) if turned else (a, d)
    upright = pixels.transpose(1, 0, 2) if turned else pixels
    return upright[:: -1 if vertical < 0 else 1, :: -1 if horizontal < 0 else 1]
