"""LPIPS by its definition, with random weights in place of AlexNet's, which cannot be had everywhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchmetrics.functional.image.lpips as reference
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from framepred.errors import ClipError, WeightsError
from framepred.evaluation.lpips import Lpips, lpips_measures

LAYERS = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
"""Number in torchvision's AlexNet: channels that come out, channels that go in, side of the kernel."""


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights."""
    generator = torch.Generator().manual_seed(0)
    file = tmp_path_factory.mktemp("lpips") / "alexnet.pth"
    weights: dict[str, Tensor] = {}
    for number, (out, channels, side) in LAYERS.items():
        scale = (2 / (channels * side * side)) ** 0.5
        weights[f"features.{number}.weight"] = scale * torch.randn(out, channels, side, side, generator=generator)
        weights[f"features.{number}.bias"] = 0.1 * torch.randn(out, generator=generator)
    torch.save(weights, file)
    return file


def by_definition(file: Path, first: Tensor, second: Tensor) -> list[float]:
    """Zhang et al. 2018, equation 1, of frames ``(b, 3, h, w)`` as the network gets them."""
    weights = torch.load(file)
    linear = torch.load(Path(reference.__file__).parent / "lpips_models" / "alex.pth", map_location="cpu")
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    pictures = [(picture - shift.view(3, 1, 1)) / scale.view(3, 1, 1) for picture in (first, second)]
    total = torch.zeros(len(first))
    for level, number in enumerate(LAYERS):
        if number in (3, 6):
            pictures = [max_pool2d(picture, 3, 2) for picture in pictures]
        stride, padding = (4, 2) if number == 0 else (1, {3: 2}.get(number, 1))
        kernel, bias = weights[f"features.{number}.weight"], weights[f"features.{number}.bias"]
        pictures = [conv2d(picture, kernel, bias, stride, padding).relu() for picture in pictures]
        a, b = (picture / picture.square().sum(1, keepdim=True).sqrt() for picture in pictures)
        total += ((a - b).square() * linear[f"lin{level}.model.1.weight"]).sum(1).mean(dim=(1, 2))
    return total.tolist()


def test_lpips_follows_its_definition(alexnet: Path) -> None:
    rng = np.random.default_rng(0)
    pred, target = (torch.from_numpy(rng.random((2, 3, 3, 64, 80), dtype=np.float32)) for _ in range(2))
    scaled = by_definition(alexnet, 2 * pred.flatten(0, 1) - 1, 2 * target.flatten(0, 1) - 1)
    assert Lpips(alexnet)(pred, target).flatten().tolist() == pytest.approx(scaled, rel=1e-3)
    raw = by_definition(alexnet, pred.flatten(0, 1), target.flatten(0, 1))
    assert Lpips(alexnet, scaled=False)(pred, target).flatten().tolist() == pytest.approx(raw, rel=1e-3)
    assert raw != pytest.approx(scaled, rel=0.05)


def test_gray_frames_have_three_equal_channels_and_predictions_are_clipped(alexnet: Path) -> None:
    lpips, target = Lpips(alexnet), torch.rand(1, 2, 1, 64, 64)
    pred = target + 0.4
    in_colour = [clip.clamp(0, 1).expand(-1, -1, 3, -1, -1) for clip in (pred, target)]
    assert torch.equal(lpips(pred, target), lpips(*in_colour))
    assert lpips(target, target).tolist() == [[0, 0]]


def test_only_predrnn_has_the_metric_of_its_code(alexnet: Path) -> None:
    assert list(lpips_measures("openstl", alexnet)) == ["lpips"]
    assert list(lpips_measures("predrnn", alexnet)) == ["lpips", "lpips_raw"]


def test_frames_and_files_that_do_not_fit_are_refused(alexnet: Path, tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="at least 32"):
        Lpips(alexnet)(torch.rand(1, 1, 1, 16, 64), torch.rand(1, 1, 1, 16, 64))
    with pytest.raises(ClipError, match="some are missing"):
        Lpips(alexnet)(torch.rand(1, 1, 1, 64, 64), torch.full((1, 1, 1, 64, 64), torch.nan))
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="does not hold the weights of torchvision's AlexNet"):
        Lpips(tmp_path / "other.pth")
