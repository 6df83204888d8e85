import pytest
import torch
from torch import Tensor

from framepred.evaluation import PixelStatistics

TRUTH = torch.rand(3, 4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.9


def collapse(pred: Tensor, truth: Tensor = TRUTH, **errors: float) -> str:
    statistics = PixelStatistics()
    for part, true in zip(pred.split(2), truth.split(2), strict=True):
        statistics.add(part, true)
    return statistics.collapse(**errors)


@pytest.mark.parametrize(
    ("pred", "sentence"),
    [
        (torch.zeros_like(TRUTH), "All predictions are blank: every pixel is 0.00"),
        (torch.rand(3, 4, 1, 1, 1).expand_as(TRUTH), "Every predicted frame is flat"),
        ((TRUTH > 0.1).float(), "saturated: 89% of the pixels are white"),
        ((TRUTH > 0.8).float(), "saturated: 88% of the pixels are black"),
        ((TRUTH > 0.5).float(), "saturated: 97% of the pixels are white or black"),
    ],
)
def test_collapse_is_one_sentence_with_causes(pred: Tensor, sentence: str) -> None:
    found = collapse(pred)
    assert sentence.split(":")[0] in found
    assert "Likely causes:" in found
    assert "\n" not in found


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_pixels_in_half_precision_are_counted_exactly(half: torch.dtype) -> None:
    truth = 0.1 + 0.8 * torch.rand(2, 10, 1, 128, 128)  # more pixels than the largest number in float16
    black = truth.clone()
    black[..., :77, :] = 0
    assert "saturated: 60% of the pixels are black" in collapse(black.to(half), truth)


def test_a_good_prediction_has_not_collapsed() -> None:
    assert collapse(TRUTH + 0.01, mse=1.0, blank_mse=20.0) == ""


def test_no_better_than_blank_is_said() -> None:
    assert "no better than a blank frame: mse 30.00, blank 20.00" in collapse(TRUTH * 2, mse=30.0, blank_mse=20.0)
    assert collapse(TRUTH * 2, mse=0.0, blank_mse=0.0) == ""  # blank data


def test_frames_that_are_truly_flat_are_no_collapse() -> None:
    flat = torch.rand(3, 4, 1, 1, 1).expand_as(TRUTH)
    assert collapse(flat, flat) == ""


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("gaps", [False, True])
def test_the_type_of_the_pixels_changes_nothing(dtype: torch.dtype, gaps: bool) -> None:
    truth = torch.full((2, 2, 1, 320, 320), 0.75)
    truth[..., ::2, :] = 0.25
    pred = truth.clone()
    pred[..., :160] = 0  # 102,400 pixels of a frame have a sum, and 204,800 a count, beyond 65,504
    if gaps:
        truth[..., -2:, :] = torch.nan
    for guess, true in ((pred.to(dtype), truth), (pred.to(dtype), truth.to(dtype))):
        statistics, expected = PixelStatistics(), PixelStatistics()
        statistics.add(guess, true)
        expected.add(pred, truth)
        assert statistics == expected
        assert statistics.collapse() == ""


def test_any_split_gives_the_same_statistics() -> None:
    pred = TRUTH.flip(0)
    whole, merged = PixelStatistics(), PixelStatistics()
    whole.add(pred, TRUTH)
    for part, true in zip(pred, TRUTH, strict=True):
        merged.add(part[None], true[None])
    assert merged == whole
