"""Fixtures of the data tests: an empty cache, small digit files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from framepred.data.digit_files import MAGIC, embedded_digits


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """framepred's folder in a cache that holds nothing; it does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    return tmp_path / "empty" / "framepred"


def noise(count: int, seed: int = 0) -> np.ndarray:
    """Images that are no digits, (count, 28, 28)."""
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def idx_bytes(images: np.ndarray) -> bytes:
    return np.array([MAGIC, *images.shape], ">u4").tobytes() + images.tobytes()


@pytest.fixture
def write_idx() -> Callable[[Path, np.ndarray], Path]:
    """Write images as an IDX file, making its folder."""

    def write(path: Path, images: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(idx_bytes(images))
        return path

    return write


@pytest.fixture
def fashion_root(tmp_path: Path, write_idx: Callable[[Path, np.ndarray], Path]) -> Path:
    """A folder with 36 training and 5 test images under Fashion-MNIST's names."""
    write_idx(tmp_path / "fashion_mnist" / "train-images-idx3-ubyte", noise(36))
    write_idx(tmp_path / "fashion_mnist" / "t10k-images-idx3-ubyte", noise(5, seed=1))
    return tmp_path


@pytest.fixture
def mnist_root(tmp_path: Path, write_idx: Callable[[Path, np.ndarray], Path]) -> Path:
    """A folder that looks like MNIST: the embedded digits among 9 others, and 6 test images."""
    train = np.concatenate([noise(4), embedded_digits()[::-1], noise(5, seed=1)])
    write_idx(tmp_path / "mnist" / "train-images-idx3-ubyte", train)
    write_idx(tmp_path / "mnist" / "t10k-images-idx3-ubyte", noise(6, seed=2))
    return tmp_path
