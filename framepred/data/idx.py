"""Reading IDX files of 28x28 images, the format of MNIST and Fashion-MNIST (yann.lecun.com/exdb/mnist)."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

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
