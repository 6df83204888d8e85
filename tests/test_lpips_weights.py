"""The conversion of AlexNet's weights: it reads arrays alone, and lays kernels out as torchvision does."""

import io
import pickle
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

SCRIPT = Path(__file__).parents[1] / "scripts" / "lpips_weights.py"


@pytest.fixture(scope="module")
def features() -> Callable[[io.BytesIO], dict[str, Tensor]]:
    return runpy.run_path(str(SCRIPT))["features"]


def stored(content: Any) -> io.BytesIO:
    """A pickle as NumPy 1 wrote it."""
    return io.BytesIO(pickle.dumps(content, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))


def test_kernels_are_laid_out_as_those_of_torchvision(features: Callable[[io.BytesIO], dict[str, Tensor]]) -> None:
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=(3, 2, 4, 5)).astype(np.float32) for _ in range(5)]  # (h, w, in, out)
    parts = {f"Conv_{n}": {"kernel": kernel, "bias": np.full(5, n, np.float32)} for n, kernel in enumerate(kernels)}
    found = features(stored({"AlexNet_0": parts}))
    assert list(found) == [f"features.{layer}.{part}" for layer in (0, 3, 6, 8, 10) for part in ("weight", "bias")]
    picture = torch.randn(1, 4, 3, 2)
    for number, layer in enumerate((0, 3, 6, 8, 10)):
        value = conv2d(picture, found[f"features.{layer}.weight"], found[f"features.{layer}.bias"])
        by_hand = np.einsum("chw,hwco->o", picture[0].numpy(), kernels[number]) + number
        assert value.flatten().tolist() == pytest.approx(by_hand.tolist(), abs=1e-5)


def test_a_file_that_names_anything_but_arrays_is_refused(
    features: Callable[[io.BytesIO], dict[str, Tensor]],
) -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"PosixPath|posixpath|pathlib"):
        features(stored({"AlexNet_0": Path("/")}))
