"""Search of a folder and its subfolders for videos, picture sequences and array files."""

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from framepred.errors import MediaError
from framepred.media.formats import IMAGES, INPUTS, ZARR, frame_files, natural_key

_DATE = 10_000_000  # numbers as large as this in file names are dates, not counts


def find_sources(root: Path) -> tuple[list[Path], list[str]]:
    """Find every source in a folder and its subfolders.

    Hidden files and files of other kinds are ignored; a folder that holds pictures is one source. Links to folders are
    followed, but not those to a folder above them.

    Returns:
        The sources in natural order of their paths, and one sentence for each broken link and unreadable folder.
    """
    found = list(_walk(root))
    sources = [path for path in found if isinstance(path, Path)]
    problems = [sentence for sentence in found if isinstance(sentence, str)]
    return sorted(sources, key=lambda path: natural_key(path.as_posix())), problems


def _walk(root: Path) -> Iterator[Path | str]:
    unreadable: list[OSError] = []
    for folder, below, names in os.walk(root, onerror=unreadable.append, followlinks=True):
        here = Path(folder)
        if any(Path(name).suffix.lower() in IMAGES for name in _visible(names)):
            yield here
        for name in _visible(names):
            if (here / name).is_symlink() and not (here / name).exists():
                yield f"{here / name} is a symbolic link to a missing file; correct or remove it."
            elif Path(name).suffix.lower() in INPUTS:
                yield here / name
        stores = [name for name in _visible(below) if Path(name).suffix.lower() == ZARR]
        yield from (here / name for name in stores)
        cycles = [name for name in _visible(below) if _is_cycle(here / name)]
        yield from (f"{here / name} is a symbolic link to a folder above it; remove it."
                    for name in cycles)  # fmt: skip
        below[:] = sorted(set(_visible(below)) - {*stores, *cycles})
    yield from (f"{error.filename} cannot be read; check its permissions." for error in unreadable)


def _visible(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _is_cycle(folder: Path) -> bool:
    if not folder.is_symlink():
        return False
    real = folder.resolve()
    return any(parent.resolve() == real for parent in folder.parents)


def check_sequence(folder: Path) -> None:
    """Check that no number is missing in a folder of numbered pictures.

    Pictures are numbered if exactly one number in their names changes; any constant step is accepted.

    Raises:
        MediaError: if a number is missing.
    """
    files = frame_files(folder)
    numbers = _counts([file.stem for file in files])
    step = min((after - before for before, after in pairwise(numbers)), default=0)
    for index, (before, after) in enumerate(pairwise(numbers)):
        if after - before > step > 0:
            raise MediaError(
                f"{folder} lacks the picture between {files[index].name} and {files[index + 1].name}: "
                f"number {before + step} is missing; restore it, or move the pictures after it to another folder."
            )


def _counts(stems: list[str]) -> list[int]:
    """Return the number that changes, of each name; an empty list where the names are not numbered."""
    parts = [re.split(r"(\d+)", stem) for stem in stems]
    if len({len(part) for part in parts}) != 1:
        return []
    changing = [column for column in zip(*parts, strict=True) if len(set(column)) > 1]
    if len(changing) != 1 or not changing[0][0].isdecimal():
        return []
    numbers = [int(number) for number in changing[0]]
    return numbers if max(numbers) < _DATE else []
