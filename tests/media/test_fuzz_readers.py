"""A mutated file gives frames or a FramepredError, whatever reads it; scripts/fuzz_readers.py runs more of them."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from fuzz_seeds import seeds
from reader_fuzz import mutate, outcome


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return seeds(tmp_path_factory.mktemp("seeds"))


def test_the_files_are_valid_before_they_are_mutated(valid: dict[str, Path]) -> None:
    assert {name: outcome(path) for name, path in valid.items()} == dict.fromkeys(valid, "read")


@pytest.mark.parametrize(
    "numbers",
    [range(60), pytest.param(range(60, 560), marks=[pytest.mark.slow, pytest.mark.ci])],
    ids=["few", "many"],
)
def test_mutated_files(
    valid: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str], numbers: range
) -> None:
    kinds, found = sorted(valid), {}
    for number in numbers:
        kind = kinds[number % len(kinds)]
        target = tmp_path / str(number) / kind
        mutate(valid[kind], target, np.random.default_rng(number))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries, about damaged headers
            found[f"{number} {kind}"] = outcome(target)
    capfd.readouterr()  # libtiff writes warnings to stderr
    assert {name: text for name, text in found.items() if text not in ("read", "refused")} == {}
    assert {"read", "refused"} <= set(found.values())
