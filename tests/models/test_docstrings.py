"""The examples in docstrings run and print what they say."""

import doctest
from importlib import import_module

import pytest

MODULES = ["clips", "forecaster", "restorer", "models.encoder_forecaster", "models.bidirectional", "models.pretrained"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    results = doctest.testmod(import_module(f"framepred.{name}"))
    assert results.attempted > 0
    assert results.failed == 0
