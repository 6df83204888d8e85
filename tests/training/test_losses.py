import pytest
import torch
from torch.nn import functional

from framepred.training import ChangeScaledMSE, CrossEntropy


def test_cross_entropy_is_torchs() -> None:
    logits = torch.randn(2, 3, 5, 4, 4, dtype=torch.float64)
    classes = torch.randint(5, (2, 3, 4, 4))
    target = functional.one_hot(classes, 5).movedim(-1, 2).double()
    expected = functional.cross_entropy(logits.flatten(0, 1), classes.flatten(0, 1))
    torch.testing.assert_close(CrossEntropy()(logits.softmax(dim=2), target), expected)


def test_certainty_of_the_wrong_class_is_bad_but_finite() -> None:
    prediction = torch.tensor([1.0, 0.0]).view(1, 1, 2, 1, 1)
    assert 50 < CrossEntropy()(prediction, prediction.flip(2)) < 1000
    assert CrossEntropy()(prediction, prediction) == 0


def test_the_same_share_of_error_counts_less_than_in_proportion_to_the_change() -> None:
    """Ten times the contrast is a hundred times the MSE but counts ten times; a still clip stays finite."""
    quiet = 0.05 * torch.randn(1, 8, 1, 6, 6, dtype=torch.float64)
    clips = torch.cat([quiet, 10 * quiet])
    one, ten = (ChangeScaledMSE()(0.9 * clip, clip) for clip in clips.split(1))
    assert float(ten / one) == pytest.approx(10, rel=0.1)
    torch.testing.assert_close(ChangeScaledMSE()(0.9 * clips, clips), (one + ten) / 2)
    for frames in (1, 2):
        assert 0 < ChangeScaledMSE()(torch.zeros(1, frames, 1, 6, 6), torch.full((1, frames, 1, 6, 6), 0.1)) < 1
