"""Tell pictures of one page from files of several by their headers, without decoding and without large imports."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MAX_PAGES = 1_000_000  # more than any camera writes; bounds the walk through a damaged TIFF

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_WEBP_ANIMATION = 0x02  # flag in the VP8X chunk (RFC 9649, 2.7)
_MAX_BRANDS_BYTES = 1024  # of an AVIF's first box
_NEW_SUBFILE_TYPE, _NOT_A_FRAME = 254, 0b101  # TIFF 6.0: bit 0 a reduced copy, bit 2 a transparency mask


def has_pages(path: Path) -> bool:
    """Whether a picture file holds several frames: a TIFF of several pages, an animated PNG, WebP or AVIF.

    Reduced copies and masks in a TIFF are no frames. A file that cannot be read has one page; its reader names the
    fault.
    """
    count = _COUNTERS.get(path.suffix.lower())
    if count is None:
        return False
    try:
        with path.open("rb") as file:
            return count(file) > 1
    except (OSError, struct.error, ValueError, OverflowError):
        return False


def tiff_pages(path: Path) -> list[int]:
    """The numbers of the pages of a TIFF that are frames, not reduced copies or masks."""
    with path.open("rb") as file:
        return [number for number, kind in enumerate(_tiff_kinds(file)) if not kind & _NOT_A_FRAME]


def _png_frames(file: IO[bytes]) -> int:
    """Frames by the acTL chunk, which stands before the pixels."""
    if file.read(8) != _PNG_SIGNATURE:
        return 0
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"acTL":
            return int(struct.unpack(">I", file.read(4))[0])
        if kind == b"IDAT":
            return 1
        file.seek(length + 4, 1)


def _webp_frames(file: IO[bytes]) -> int:
    head = file.read(21)
    animated = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20] & _WEBP_ANIMATION
    return 2 if animated else 1


def _avif_frames(file: IO[bytes]) -> int:
    """Two for a file with the brand of sequences in its first box (AV1 Image File Format 1.1, 6.3)."""
    length, kind = struct.unpack(">I4s", file.read(8))
    brands = file.read(min(length, _MAX_BRANDS_BYTES) - 8) if kind == b"ftyp" else b""
    return 2 if b"avis" in brands else 1


def _tiff_frames(file: IO[bytes]) -> int:
    count = 0
    for kind in _tiff_kinds(file):
        count += not kind & _NOT_A_FRAME
        if count > 1:
            break
    return count


def _tiff_kinds(file: IO[bytes]) -> Iterator[int]:
    """The NewSubfileType of each page of a TIFF or BigTIFF."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]] if head[:2] in (b"II", b"MM") else None
    if order is None:
        return
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    number, entry, offset_kind, size = ("Q", 20, "Q", 8) if big else ("H", 12, "I", 4)
    (offset,) = struct.unpack(order + offset_kind, head[8:16] if big else head[4:8])
    visited: set[int] = set()
    while offset and offset not in visited and len(visited) < MAX_PAGES:
        visited.add(offset)
        file.seek(offset)
        (count,) = struct.unpack(order + number, file.read(struct.calcsize(number)))
        table = file.read(min(count, 65535) * entry)
        (offset,) = struct.unpack(order + offset_kind, file.read(size))
        yield _subfile_type(table, entry, order)


def _subfile_type(table: bytes, entry: int, order: str) -> int:
    for start in range(0, len(table) - entry + 1, entry):
        if struct.unpack_from(order + "H", table, start)[0] == _NEW_SUBFILE_TYPE:
            return int(struct.unpack_from(order + "I", table, start + entry - (8 if entry == 20 else 4))[0])
    return 0


_COUNTERS = {
    ".tif": _tiff_frames,
    ".tiff": _tiff_frames,
    ".png": _png_frames,
    ".apng": _png_frames,
    ".webp": _webp_frames,
    ".avif": _avif_frames,
}
