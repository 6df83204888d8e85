"""Small video files of many codecs, containers and pixel formats, written with PyAV."""

import os
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ.setdefault("SVT_LOG", "-1")  # SVT-AV1 writes to stderr

import av
import numpy as np
import torch
from jaxtyping import UInt16
from torch import Tensor

_FPS = 25

THERMAL = 7000, 9000
"""Raw values of a thermal camera: 14 bits, stored in 16."""


def write_codec(
    path: Path,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    *,
    frames: int = 40,
    times: list[int] | None = None,
    size: tuple[int, int] = (48, 64),
    options: dict[str, str] | None = None,
    **attributes: Any,
) -> Path:
    """Write a texture that moves by one pixel per frame; no two frames are equal.

    Args:
        path: the file; its suffix names the container.
        codec: FFmpeg's name of the encoder.
        pixels: pixel format.
        frames: number of frames, where ``times`` does not state it.
        times: time stamp of each frame in milliseconds; None for 25 frames per second.
        size: height and width.
        options: of the encoder.
        attributes: of the codec context, such as ``color_trc``.
    """
    count = len(times) if times else frames
    tick = Fraction(1, 1000) if times else Fraction(1, _FPS)
    height, width = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=_FPS, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if codec.startswith("libvpx"):
            stream.codec_context.thread_count = 1  # its threads wait in busy loops
        if times:
            stream.codec_context.time_base = tick
        for name, value in attributes.items():
            setattr(stream.codec_context, name, value)
        for number in range(count):
            frame = picture(number, count, size, pixels)
            frame.pts, frame.time_base = times[number] if times else number, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def picture(number: int, count: int, size: tuple[int, int], pixels: str) -> av.VideoFrame:
    """One frame of the moving texture; with an alpha channel its left half is transparent."""
    height, width = size
    texture = _texture(height, width + count)[:height, number : number + width].copy()
    texture[..., 3] = 255
    texture[:, : width // 2, 3] = (
        0 if "a" in pixels.removeprefix("gray").removeprefix("yuvj").replace("bgr", "") else 255
    )
    if pixels == "pal8":  # which FFmpeg does not convert to
        palette = np.random.default_rng(1).integers(0, 256, (256, 4), dtype=np.uint8) | np.uint8([255, 0, 0, 0])
        indexed: Any = (np.ascontiguousarray(texture[..., 0]), palette)  # PyAV's stub does not list pairs
        return av.VideoFrame.from_ndarray(indexed, format="pal8")
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(texture), format="rgba").reformat(format=pixels)


@lru_cache(maxsize=8)
def _texture(height: int, width: int) -> np.ndarray:
    """Squares of 4x4 pixels in random colours, at least as large as stated: uint8 (h, w, 4)."""
    squares = np.random.default_rng(0).integers(0, 256, (height // 4 + 1, width // 4 + 1, 4), dtype=np.uint8)
    return squares.repeat(4, 0).repeat(4, 1)


@dataclass(frozen=True)
class Sample:
    """A file of the zoo: its name, encoder, pixel format and what is passed to :func:`write_codec`."""

    name: str
    codec: str
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        return write_codec(folder / self.name, self.codec, self.pixels, options=self.options, **self.more)


_B_FRAMES = {"bf": "3", "g": "12", "x264-params": "b-adapt=0:scenecut=0:mbtree=0"}
_LONG = {"frames": 150}  # long enough that the last frames are found by seeking
_VARIABLE = {"times": np.cumsum(np.random.default_rng(0).integers(15, 90, 120)).tolist()}
_HEVC = {"x265-params": "log-level=none:keyint=24"}

_BT2020 = {"color_primaries": 9, "colorspace": 9}

ZOO = [
    Sample("h264-b-frames.mp4", "libx264", options=_B_FRAMES, more=_LONG),
    Sample("h264-open-gop.mkv", "libx264", options=_B_FRAMES | {"x264-params": "open-gop=1:b-adapt=0"}, more=_LONG),
    Sample("h264-open-gop.ts", "libx264", options=_B_FRAMES | {"x264-params": "open-gop=1:b-adapt=0"}, more=_LONG),
    Sample("h264-intra-refresh.mp4", "libx264", options={"x264-params": "intra-refresh=1:keyint=24"}, more=_LONG),
    Sample("h264-interlaced.mts", "libx264", options={"g": "12", "x264-params": "tff=1"}, more=_LONG),
    Sample("h264-variable.mp4", "libx264", options=_B_FRAMES, more=_VARIABLE),
    Sample("h264-variable.mkv", "libx264", options=_B_FRAMES, more=_VARIABLE),
    Sample("h264-ten-bits.mp4", "libx264", "yuv422p10le", _B_FRAMES),
    Sample("h264-full-range.mp4", "libx264", "yuvj420p"),
    Sample("h264-without-times.avi", "libx264", options=_B_FRAMES),
    Sample("h264.flv", "libx264", options={"bf": "2", "g": "12"}, more=_LONG),
    Sample("h264.3gp", "libx264", options={"g": "12"}),
    Sample("hevc-hdr-pq.mp4", "libx265", "yuv420p10le", _HEVC, {"color_trc": 16} | _BT2020),
    Sample("h264-hdr-hlg.mp4", "libx264", "yuv420p10le", more={"color_trc": 18} | _BT2020),
    Sample("av1.mp4", "libsvtav1", options={"g": "24", "preset": "12"}),
    Sample("vp9.webm", "libvpx-vp9", options={"g": "24", "cpu-used": "8"}, more=_LONG),
    Sample("vp8-hidden-frames.webm", "libvpx", options={"g": "20", "auto-alt-ref": "1", "lag-in-frames": "10"}),
    Sample("mpeg2-interlaced.mpg", "mpeg2video", options={"g": "12", "bf": "2", "flags": "+ildct+ilme"}, more=_LONG),
    Sample("mpeg2.ts", "mpeg2video", options={"g": "12", "bf": "2"}, more=_LONG),
    Sample("mpeg2.mxf", "mpeg2video", more=_LONG),
    Sample("mpeg1.mpeg", "mpeg1video", options={"g": "12"}),
    Sample("mpeg4-b-frames.m4v", "mpeg4", options={"bf": "2", "g": "10"}, more=_LONG),
    Sample("mpeg4.avi", "mpeg4", options={"bf": "2"}),
    Sample("mjpeg.avi", "mjpeg", "yuvj420p", more=_LONG),
    Sample("dv-interlaced.dv", "dvvideo", more={"frames": 8, "size": (576, 720)}),
    Sample("dv-interlaced.mov", "dvvideo", more={"frames": 8, "size": (576, 720)}),
    Sample("wmv2.wmv", "wmv2", more=_LONG),
    Sample("prores-alpha.mov", "prores_ks", "yuva444p10le"),
    Sample("animation-alpha.mov", "qtrle", "argb"),
    Sample("animation-palette.mov", "qtrle", "gray", more=_LONG),
    Sample("raw-palette.mov", "rawvideo", "gray", more=_LONG),
    Sample("raw-palette.avi", "rawvideo", "pal8", more=_LONG),
    Sample("png.mov", "png", "rgb24"),
    Sample("ffv1-gray.mkv", "ffv1", "gray", more=_LONG),
    Sample("raw.y4m", "wrapped_avframe", more=_LONG),
]


def write_values(
    path: Path, values: UInt16[np.ndarray, "t h w"], codec: str = "ffv1", pixels: str = "gray16le", keys: int = 12
) -> Path:
    """Write a film of these values, without loss."""
    frames, height, width = values.shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=_FPS, options={"g": str(keys)})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        for number in range(frames):
            frame = av.VideoFrame(width, height, pixels)
            plane = frame.planes[0]
            rows = np.zeros((height, plane.line_size // 2), ">u2" if pixels.endswith("be") else "<u2")
            rows[:, :width] = values[number]
            plane.update(rows.tobytes().ljust(plane.buffer_size, b"\0"))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def moving_spot(low: int, high: int, frames: int = 24) -> UInt16[np.ndarray, "t h w"]:
    """A spot of the higher value that crosses a field of the lower one."""
    y, x = np.mgrid[:33, :46]
    spots = [np.exp(-((x - 8 - time) ** 2 + (y - 16) ** 2) / 60) for time in range(frames)]
    return (low + (high - low) * np.stack(spots)).round().astype(np.uint16)


def set_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Set the display matrix of an mp4: x' = a·x + c·y and y' = b·x + d·y, each -1, 0 or 1."""
    a, b, c, d = (value << 16 for value in matrix)
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


def stacked(frames: Any) -> Tensor:
    """Frames as one clip."""
    return torch.stack(list(frames))
