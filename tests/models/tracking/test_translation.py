import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framepred.models.tracking.translation import displacement_matrix, expected_picture, translate

REACH = 3


def random_probabilities(*shape: int) -> torch.Tensor:
    logits = torch.randn(*shape, 2 * REACH + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return logits.softmax(dim=-1)


@pytest.mark.parametrize("beyond", [None, 0.0])
def test_translation_is_right_and_down_and_back(beyond: float | None) -> None:
    picture = torch.zeros(1, 9, 12)
    picture[0, 3:5, 4:7] = torch.rand(2, 3)
    offset = torch.tensor([[2.0, -1.0]])
    moved = translate(picture, offset, beyond)
    assert torch.equal(moved[0, 2:4, 6:9], picture[0, 3:5, 4:7])
    assert torch.equal(translate(moved, -offset, beyond), picture)


def test_what_comes_in_at_an_edge_is_the_border_or_the_value_given() -> None:
    picture = torch.arange(1.0, 4.0).expand(1, 2, 3)
    assert translate(picture, torch.tensor([[1.0, 0.0]]))[0, 0].tolist() == [1, 1, 2]
    assert translate(picture, torch.tensor([[-1.0, 0.0]]), beyond=9.0)[0, 0].tolist() == [2, 3, 9]


@settings(max_examples=20)
@given(st.integers(1, 9))
def test_rows_of_a_displacement_matrix_sum_to_one(size: int) -> None:
    matrix = displacement_matrix(random_probabilities(2), size)
    torch.testing.assert_close(matrix.sum(dim=-1), torch.ones(2, size, dtype=torch.float64))
    assert matrix.min() >= -1e-12


@pytest.mark.parametrize(("height", "width"), [(7, 7), (5, 8), (1, 4), (2, 2)])
def test_expected_picture_is_the_mean_over_all_displacements(height: int, width: int) -> None:
    picture = torch.rand(2, 1, height, width, dtype=torch.float64)
    probabilities = random_probabilities(2, 2)
    mean = torch.zeros_like(picture)
    for right in range(-REACH, REACH + 1):
        for down in range(-REACH, REACH + 1):
            chance = probabilities[:, 0, right + REACH] * probabilities[:, 1, down + REACH]
            offset = torch.tensor([float(right), float(down)]).expand(2, 1, 2)
            mean += chance[:, None, None, None] * translate(picture, offset)
    torch.testing.assert_close(expected_picture(picture, probabilities), mean, rtol=0, atol=1e-12)
