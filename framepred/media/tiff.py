"""Pages of TIFF files as they are stored: any type of numbers, number of channels, compression and order of values."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage

from framepred.errors import MediaError
from framepred.media.failures import reading
from framepred.media.limits import check_pixels
from framepred.media.pixels import TRANSPOSED, on_black, turned

_SUFFIXES = (".tif", ".tiff")

_ASSOCIATED, _UNASSOCIATED = 1, 2  # values of the tag ExtraSamples: opacity, by which colours are or are not multiplied
_GRAY = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK)
_STORED = (*_GRAY, PHOTOMETRIC.PALETTE, PHOTOMETRIC.RGB)

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it tells damage on stderr, and then raises it or not


def is_tiff(path: Path) -> bool:
    """Whether the suffix is that of a TIFF."""
    return path.suffix.lower() in _SUFFIXES


class TiffPages:
    """The pages of an open TIFF file."""

    def __init__(self, path: Path, file: TiffFile) -> None:
        self._path, self._file = path, file

    def size(self, number: int = 0) -> tuple[int, int]:
        """Width and height of a page, upright."""
        page = self._page(number)
        size = (page.imagewidth, page.imagelength)
        return size[::-1] if _stated_orientation(page) in TRANSPOSED else size

    def channels(self, number: int = 0) -> int:
        """Number of channels of a page without its opacity."""
        page = self._page(number)
        if page.photometric not in (*_GRAY, PHOTOMETRIC.RGB):
            return 3
        return page.samplesperpixel if _all_are_channels(page) else _colours(page)

    def pixels(self, number: int = 0) -> NDArray[Any]:
        """The values of a page, ``(c, h, w)``: opacity laid on black, palettes applied, 0 always black, upright.

        Raises:
            MediaError: if the page is too large, or holds a volume.
        """
        page = self._page(number)
        check_pixels(self._path, page.imagewidth, page.imagelength)
        values = _without_opacity(self._values(page), page) if _is_plain(page) else _by_pillow(self._path, number)
        return np.ascontiguousarray(turned(values, _orientation(page)))

    def is_opaque(self, number: int = 0) -> bool:
        """Whether no pixel of a page shows what is behind it."""
        page = self._page(number)
        if not _has_opacity(page):
            return True
        values = self._values(page)
        white = 1 if values.dtype.kind == "f" else 2**page.bitspersample - 1
        return bool((values[-1] == white).all())

    def description(self) -> str:
        """The ImageDescription of the first page, in which ImageJ and OME state the order of pages."""
        return str(self._page(0).description)

    def _page(self, number: int) -> TiffPage:
        page = self._file.pages[number]
        assert isinstance(page, TiffPage)
        return page

    def _values(self, page: TiffPage) -> NDArray[Any]:
        """Colours and opacity as they are stored, black as 0; whatever is raised here becomes one sentence."""
        stored = page.asarray(maxworkers=1)
        values = {"YX": stored[None], "YXS": np.moveaxis(stored, -1, 0), "SYX": stored}.get(page.axes)
        if values is None:
            raise MediaError(f"{self._path} holds a volume in one page; save its depths as pages, or one of them.")
        if not stored.size or values.shape[1:] != (page.imagelength, page.imagewidth):
            raise ValueError("the page has other values than its header states")
        if page.photometric == PHOTOMETRIC.PALETTE and page.colormap is not None:
            return np.asarray(page.colormap[:, values[0]] >> 8).astype(np.uint8)
        return _from_black(values, 2**page.bitspersample - 1, inverted=page.photometric == PHOTOMETRIC.MINISWHITE)


@contextmanager
def open_tiff(path: Path) -> Iterator[TiffPages]:
    """A TIFF file, open within the block, in which whatever tifffile raises becomes one sentence.

    Raises:
        MediaError: if the file is damaged.
    """
    with reading(path, f"a {path.suffix} picture"), TiffFile(path) as file:
        yield TiffPages(path, file)


def _is_plain(page: TiffPage) -> bool:
    """Whether the stored values are gray, RGB or of a palette; Pillow converts all others, such as CMYK."""
    is_jpeg = page.photometric == PHOTOMETRIC.YCBCR and page.compression == COMPRESSION.JPEG
    return page.photometric in _STORED or is_jpeg


def _has_opacity(page: TiffPage) -> bool:
    return bool(page.extrasamples) and int(page.extrasamples[0]) in (_ASSOCIATED, _UNASSOCIATED)


def _from_black(values: NDArray[Any], white: int, *, inverted: bool) -> NDArray[Any]:
    """Values from 0 for black; less than 8 bits over the range of bytes, wide integers as uint16 if they fit."""
    if inverted and values.dtype.kind in "bu":
        values = ~values if values.dtype.kind == "b" else np.asarray(white - values).astype(values.dtype)
    if values.dtype == np.uint8 and white < np.iinfo(np.uint8).max:
        values = np.asarray(values.astype(np.uint16) * np.iinfo(np.uint8).max // white).astype(np.uint8)
    wide = values.dtype in (np.int16, np.int32, np.uint32)
    fits = wide and values.min() >= 0 and values.max() <= np.iinfo(np.uint16).max
    return values.astype(np.uint16) if fits else values


def _colours(page: TiffPage) -> int:
    return 1 if page.photometric in _GRAY else 3


def _all_are_channels(page: TiffPage) -> bool:
    """Whether no sample is opacity, or padding, as is a fourth one of RGB whose meaning is not stated."""
    one_more = page.samplesperpixel == _colours(page) + 1
    return not (one_more and (_has_opacity(page) or page.photometric == PHOTOMETRIC.RGB))


def _without_opacity(values: NDArray[Any], page: TiffPage) -> NDArray[Any]:
    """The channels, on black."""
    if page.photometric == PHOTOMETRIC.PALETTE or _all_are_channels(page):
        return values
    blended = _has_opacity(page) and int(page.extrasamples[0]) == _UNASSOCIATED
    return on_black(values, axis=0) if blended else values[: _colours(page)]


def _by_pillow(path: Path, number: int) -> NDArray[Any]:
    """RGB from other colours of 8 bits; by file object, as Pillow maps files by name and then misreads turned pages."""
    with path.open("rb") as file, Image.open(file) as image:
        image.seek(number)
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def _stated_orientation(page: TiffPage) -> int:
    tag = page.tags.get("Orientation")
    return 1 if tag is None else int(tag.value)


def _orientation(page: TiffPage) -> int:
    """The orientation of the values of a page: Pillow turns pages itself."""
    return _stated_orientation(page) if _is_plain(page) else 1
