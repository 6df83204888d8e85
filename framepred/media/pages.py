"""Picture files that are clips: TIFF of several pages (plain, ImageJ, OME), GIF, animated PNG, WebP and AVIF."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from framepred.errors import MediaError
from framepred.media.failures import reading
from framepred.media.frames import DEFAULT_FPS, FrameStream, replace_ignored
from framepred.media.headers import tiff_pages
from framepred.media.images import has_16_bits, kind_of, open_picture
from framepred.media.limits import check_pixels
from framepred.media.pixels import more_bits, on_black
from framepred.media.ranges import RangeChoice, ValueRange, refuse_range
from framepred.media.tiff import is_tiff, open_tiff
from framepred.media.values import chosen_range, to_frames

GIF_TICK_MS = 10
"""Milliseconds that the durations of a GIF are counted in."""

_BROWSER_MS = 100  # browsers show frames of a GIF with a duration of 0 or 1 tick for 100 ms
_COMPOSED_BY_FFMPEG = {"GIF": "gif", "PNG": "apng"}  # and the name of the demuxer
_OPTIONS = {"protocol_whitelist": "file"}
_IMAGEJ_ORDER = "XYCZT"


@dataclass(frozen=True)
class Pages:
    """The frames of a picture file.

    Attributes:
        path: the file.
        groups: for each frame the numbers of its pages; several pages are the channels of one frame.
        fps: mean number of frames per second.
        steady: whether all frames last equally long.
        notes: one sentence for each property of the file that a viewer should know.
        seconds: when each frame is shown, after the first; None where the file does not say.
        last_duration: seconds that the last frame is shown; None where the file does not say.
        demuxer: FFmpeg's demuxer of GIF or animated PNG, some of which Pillow composes wrongly; None for others.
    """

    path: Path
    groups: Sequence[Sequence[int]]
    fps: float = DEFAULT_FPS
    steady: bool = True
    notes: tuple[str, ...] = ()
    seconds: Float[np.ndarray, " n"] | None = None
    last_duration: float | None = None
    demuxer: str | None = None

    @property
    def is_tiff(self) -> bool:
        """Whether the file is a TIFF, whose pages state their channels; animations are RGB."""
        return is_tiff(self.path)


def survey_pages(path: Path) -> Pages:
    """Find the frames of a picture file.

    Raises:
        MediaError: if the file is damaged, or a TIFF holds times and depths at once.
    """
    with reading(path, kind_of(path)):
        return _survey_tiff(path) if is_tiff(path) else _survey_animation(path)


def read_pages(pages: Pages, frames: range) -> Iterator[NDArray[Any]]:
    """The values of some frames as they are stored, ``(c, h, w)``.

    Args:
        pages: the file.
        frames: rising numbers.

    Raises:
        MediaError: if a frame is damaged.
    """
    return _tiff_pages(pages, frames) if pages.is_tiff else _animation_frames(pages, frames)


def _tiff_pages(pages: Pages, frames: range) -> Iterator[NDArray[Any]]:
    with open_tiff(pages.path) as file:
        for number in frames:
            channels = [file.pixels(page) for page in pages.groups[number]]
            yield np.concatenate(channels) if len(channels) > 1 else channels[0]


def _animation_frames(pages: Pages, frames: range) -> Iterator[NDArray[Any]]:
    """Some frames; each is composed from those before it, so all are decoded up to the last one."""
    path, found = pages.path, 0
    composed = _composed_by_ffmpeg(path, pages.demuxer) if pages.demuxer else _composed_by_pillow(pages)
    for found, pixels in enumerate(islice(composed, frames.stop), start=1):
        if found - 1 in frames:
            yield pixels
    if found < frames.stop:
        raise MediaError(f"{path} is damaged: {found} of its {len(pages.groups)} frames can be decoded; copy it again.")


def page_frames(
    path: Path, last: int | None = None, value_range: RangeChoice = None, ignored: frozenset[int] = frozenset()
) -> FrameStream:
    """The frames of a picture file as a clip; animations are uint8 RGB, a TIFF has the type and channels it states.

    Args:
        path: the file.
        last: give at most this many frames at the end.
        value_range: the values that become 0 and 1, for a TIFF; see :class:`ValueRange`.
        ignored: numbers of frames of a TIFF that are not read; see :func:`~framepred.media.frames.replace_ignored`.

    Raises:
        MediaError: if the file is damaged; while reading, if its frames differ in size.
        ConfigError: if a range is stated for an animation.
        ClipError: while reading, if values are not finite or have no known range.
    """
    pages = survey_pages(path)
    if pages.is_tiff:
        pages = replace(pages, groups=replace_ignored(pages.groups, ignored))
    else:
        refuse_range(value_range, path)
    count = len(pages.groups)
    frames = range(0 if last is None else max(0, count - last), count)
    chosen = chosen_range(value_range, lambda: read_pages(pages, frames)) if pages.is_tiff else None
    return FrameStream(
        frames=_alike(pages, frames, chosen),
        fps=pages.fps,
        steady=pages.steady,
        gray_within=None if pages.is_tiff else 0,  # animations decode to RGB: gray if all three are equal
        notes=pages.notes,
        value_range=chosen,
        times=None if pages.steady or pages.seconds is None else map(float, pages.seconds[frames.start :]),
    )


def _alike(pages: Pages, frames: range, value_range: ValueRange | None) -> Iterator[Tensor]:
    shape = None
    for pixels in read_pages(pages, frames):
        shape = shape or pixels.shape
        if pixels.shape != shape:
            raise MediaError(
                f"{pages.path} holds pages of {_size(shape)} and of {_size(pixels.shape)}; keep pages of one size and "
                "one number of channels."
            )
        yield to_frames(pixels, pages.path, value_range, "chw")


def _size(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{width}×{height} pixels with {channels} channel{'s' * (channels > 1)}"


def _survey_animation(path: Path) -> Pages:
    with open_picture(path) as image:
        first = 1 if image.info.get("default_image") else 0  # page 0 is not part of the animation
        numbers = range(first, getattr(image, "n_frames", 1))
        demuxer, wide = _COMPOSED_BY_FFMPEG.get(image.format or ""), has_16_bits(image)
        shortest = GIF_TICK_MS if image.format == "GIF" else 0
        durations = []
        for number in numbers:
            image.seek(number)
            image.load()  # Pillow knows the duration of a WebP page only after loading it
            duration = float(image.info.get("duration", 0) or 0)
            durations.append(duration if duration > shortest else _BROWSER_MS)
    steady = max(durations) - min(durations) <= GIF_TICK_MS
    fps = 1000 * len(durations) / sum(durations)
    seconds = np.cumsum([0.0, *durations[:-1]]) / 1000
    notes = (more_bits(path, 16),) if wide else ()
    pages = [[number] for number in numbers]
    return Pages(path, pages, fps, steady, notes, seconds, durations[-1] / 1000, demuxer)


def _composed_by_pillow(pages: Pages) -> Iterator[NDArray[np.uint8]]:
    with open_picture(pages.path) as image:
        for (number,) in pages.groups:
            image.seek(number)
            yield _on_black(np.asarray(image.convert("RGBA")))


def _composed_by_ffmpeg(path: Path, demuxer: str) -> Iterator[NDArray[np.uint8]]:
    with reading(path, kind_of(path)), av.open(str(path), format=demuxer, options=_OPTIONS) as container:
        stream = container.streams.video[0]
        check_pixels(path, stream.codec_context.width, stream.codec_context.height)
        for frame in container.decode(stream):
            yield _on_black(np.asarray(frame.to_ndarray(format="rgba"), np.uint8))


def _on_black(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(on_black(pixels, axis=-1).transpose(2, 0, 1))


def _survey_tiff(path: Path) -> Pages:
    pages = tiff_pages(path)
    with open_tiff(path) as file:
        description = file.description()
    order, sizes = _stated_axes(description)
    stated = sizes["C"] * sizes["Z"] * sizes["T"]
    if stated > 1 and len(pages) == 1 and description.startswith("ImageJ="):
        raise MediaError(f"{path} states {stated} pictures but has one page; save it as OME-TIFF or BigTIFF.")
    if stated != len(pages):
        return Pages(path, [[page] for page in pages], notes=_series_notes(path, description, len(pages)))
    if sizes["Z"] > 1 and sizes["T"] > 1:
        raise MediaError(
            f"{path} holds {sizes['T']} times of {sizes['Z']} depths; save one depth or a projection over the depths."
        )
    axes = order[:1:-1]  # XYCZT → TZC: in the file the last letter changes slowest, in an array the first axis
    grid = np.array(pages).reshape([sizes[axis] for axis in axes]).transpose([axes.index(axis) for axis in "TZC"])
    notes: tuple[str, ...] = ()
    if sizes["Z"] > 1:
        notes = (f"{path} states that its {sizes['Z']} pages are depths, not times; they are read as frames.",)
    return Pages(path, grid.reshape(-1, sizes["C"]).tolist(), notes=notes)


def _series_notes(path: Path, description: str, pages: int) -> tuple[str, ...]:
    """A sentence on a file of several OME series."""
    count = len(re.findall(r"<(?:\w+:)?Pixels\b", description))
    if count <= 1:
        return ()
    return (
        f"{path} holds {count} series; they are read as one clip of {pages} frames. Save each to a file of its own if "
        "they are several clips.",
    )


def _stated_axes(description: str) -> tuple[str, dict[str, int]]:
    """Order of the axes and numbers of channels, depths and times, as ImageJ and OME write them; 1 where unknown."""
    sizes = {"C": 1, "Z": 1, "T": 1}
    if description.startswith("ImageJ="):
        for axis, name in {"C": "channels", "Z": "slices", "T": "frames"}.items():
            found = re.search(rf"^{name}=(\d{{1,9}})\s*$", description, re.MULTILINE)
            sizes[axis] = max(1, int(found[1])) if found else 1
        return _IMAGEJ_ORDER, sizes
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", description)
    order = pixels and re.search(r'DimensionOrder="(XY[CZT]{3})"', pixels[0])
    if not pixels or not order or set(order[1]) != set("XYCZT"):
        return _IMAGEJ_ORDER, sizes
    for axis in sizes:
        found = re.search(rf'Size{axis}="(\d{{1,9}})"', pixels[0])
        sizes[axis] = max(1, int(found[1])) if found else 1
    return order[1], sizes
