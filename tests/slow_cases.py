"""Marks the cases of a parametrized test that the quick suite leaves to the slow one."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

Case = TypeVar("Case")


def quick_where(is_quick: Callable[[Case], bool], cases: Iterable[Case]) -> list[object]:
    """Return all cases, marked as slow where ``is_quick`` is false; a tuple is the values of several arguments."""
    return [case if is_quick(case) else _slow(case) for case in cases]


def _slow(case: object) -> object:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
