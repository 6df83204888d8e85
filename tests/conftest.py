"""Shared fixtures: seeded random numbers, a small clip, a small network."""

from collections.abc import Iterator

import jaxtyping
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
