"""The checks of annotations under which CI runs all tests find wrong parameters and wrong results."""

from collections.abc import Callable

import pytest
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

from typecheck import check


@jaxtyped(typechecker=check)
def first_columns(matrix: Float[Tensor, "rows columns"], rows: float = 9) -> Float[Tensor, "rows 2"]:
    return matrix[: int(rows), :2]


@jaxtyped(typechecker=check)
def word(number: int) -> str:
    return "one" if number == 1 else number  # type: ignore[return-value]


def test_right_calls_pass() -> None:
    assert first_columns(torch.zeros(3, 4)).shape == (3, 2)
    assert first_columns(torch.zeros(3, 4), 5).shape == (3, 2)  # an int may stand for a float
    assert word(1) == "one"


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: first_columns(torch.zeros(3)), "parameters"),
        (lambda: first_columns(torch.zeros(3, 4), "two"), "parameters"),
        (lambda: first_columns(torch.zeros(3, 4, dtype=torch.long)), "parameters"),
        (lambda: first_columns(torch.zeros(3, 1)), "return value"),
        (lambda: first_columns(torch.zeros(3, 4), 2), "return value"),  # other rows than the parameter has
        (lambda: word("one"), "parameters"),
        (lambda: word(2), "return value"),
    ],
)
def test_wrong_calls_are_found(call: Callable[[], object], part: str) -> None:
    with pytest.raises(TypeCheckError, match=f"Type-check error whilst checking the {part}"):
        call()
