from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from framepred.media.fetching import fetched_file


@pytest.fixture(autouse=True)
def _silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No test of this room, and so no codec, may say anything."""
    yield
    assert capfd.readouterr() == ("", "")


@pytest.fixture(autouse=True)
def _not_fetched() -> Iterator[None]:
    fetched_file.cache_clear()
    yield
    fetched_file.cache_clear()


@pytest.fixture(scope="session")
def gray_clip() -> Tensor:
    """What ``gray`` is a copy of."""
    return moving_square(channels=1)


@pytest.fixture
def gray(gray_clip: Tensor) -> Tensor:
    return gray_clip.clone()


@pytest.fixture
def rgb() -> Tensor:
    return moving_square(channels=3)


def moving_square(channels: int, time: int = 12, height: int = 32, width: int = 40) -> Tensor:
    """A textured square that moves over a gradient, ``(t, c, h, w)`` uint8; no two frames are alike."""
    generator = torch.Generator().manual_seed(0)
    texture = torch.randint(60, 256, (channels, 12, 12), generator=generator, dtype=torch.uint8)
    clip = torch.linspace(0, 90, width).round().to(torch.uint8).expand(time, channels, height, width).clone()
    for step in range(time):
        clip[step, :, step : step + 12, 2 * step : 2 * step + 12] = texture
    return clip
