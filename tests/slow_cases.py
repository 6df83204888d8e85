"""Marks the cases of a parametrized test that the quick suite leaves to the slow one."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import pytest

Case = TypeVar("Case")


def _slow(case: object) -> object:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)


def quick_where(is_quick: Callable[[Case], bool], cases: Iterable[Case]) -> list[object]:
    """Return all cases, marked as slow where ``is_quick`` is false; a tuple is the values of several arguments."""
    return [case if is_quick(case) else _slow(case) for case in cases]


def crossed(first: Sequence[object], second: Sequence[object]) -> list[object]:
    """Return all pairs, marked as slow but for some that hold every value of both."""
    shorter = min(len(first), len(second))
    pairs = itertools.product(enumerate(first), enumerate(second))
    return [
        (one, other) if number % shorter == index % shorter else _slow((one, other))
        for (number, one), (index, other) in pairs
    ]
