"""Shared fixtures: seeded random numbers, a small clip, a small network, files of Fashion-MNIST."""

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import settings

from framepred.models import EncoderForecaster

settings.register_profile("framepred", deadline=None)  # a slow machine must not fail a test
settings.load_profile("framepred")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Turn the checks of annotations off: they compare sizes, which a traced graph would then take as fixed."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def clip() -> torch.Tensor:
    """Two clips of nine small frames, float64."""
    return torch.rand(2, 9, 1, 10, 13, dtype=torch.float64)


@pytest.fixture
def small_net() -> EncoderForecaster:
    return EncoderForecaster(hidden_channels=[4, 3], kernel_size=3)


@pytest.fixture
def fashion_files(tmp_path: Path) -> Path:
    """IDX files with a few random images, where Fashion-MNIST would lie."""
    for name in ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        images = np.random.default_rng(0).integers(0, 256, (24, 28, 28), dtype=np.uint8)
        (tmp_path / name).write_bytes(gzip.compress(struct.pack(">4i", 0x803, 24, 28, 28) + images.tobytes()))
    return tmp_path
