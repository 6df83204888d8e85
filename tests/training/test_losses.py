import torch
from torch.nn import functional

from framepred.training import CrossEntropy


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
