"""Finding videos, folders of pictures and array files in a folder, however deep."""

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from framepred.errors import MediaError
from framepred.media.formats import ZARR, frame_files, is_clip_file, natural_key

_DATE = 10_000_000  # numbers as large as this in file names are dates, not counts


def find_sources(root: Path) -> tuple[list[Path], list[str]]:
    """Every source in a folder and the folders below it, and a sentence for each link or folder that leads nowhere.

    Hidden files and files of other kinds are passed over; a folder that holds pictures is one source. Links to
    folders are followed, but never in a circle.

    Returns:
        The sources in natural order of their paths, and the sentences.
    """
    found = list(_walk(root))
    sources = [path for path in found if isinstance(path, Path)]
    problems = [sentence for sentence in found if isinstance(sentence, str)]
    return sorted(sources, key=lambda path: natural_key(path.as_posix())), problems


def _walk(root: Path) -> Iterator[Path | str]:
    closed: list[OSError] = []
    for folder, below, names in os.walk(root, onerror=closed.append, followlinks=True):
        here = Path(folder)
        if frame_files(here):
            yield here
        for name in _shown(names):
            if (here / name).is_symlink() and not (here / name).exists():
                yield f"{here / name} is a symbolic link that leads nowhere; mend or remove it."
            elif is_clip_file(here / name):
                yield here / name
        stores = [name for name in _shown(below) if Path(name).suffix.lower() == ZARR]
        yield from (here / name for name in stores)
        circles = [name for name in _shown(below) if _leads_back(here / name)]
        yield from (f"{here / name} is a symbolic link that leads back to a folder above it; remove it."
                    for name in circles)  # fmt: skip
        below[:] = sorted(set(_shown(below)) - {*stores, *circles})
    yield from (f"{error.filename} may not be read; check its permissions." for error in closed)


def _shown(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _leads_back(folder: Path) -> bool:
    if not folder.is_symlink():
        return False
    real = folder.resolve()
    return any(parent.resolve() == real for parent in folder.parents)


def check_sequence(folder: Path) -> None:
    """Refuse a folder of numbered pictures in which a number is missing.

    Names count when exactly one number in them changes; pictures may be numbered in any steady step.

    Raises:
        MediaError: if a number is missing.
    """
    files = frame_files(folder)
    numbers = _counts([file.stem for file in files])
    step = min((after - before for before, after in pairwise(numbers)), default=0)
    for place, (before, after) in enumerate(pairwise(numbers)):
        if after - before > step > 0:
            raise MediaError(
                f"{folder} lacks the picture between {files[place].name} and {files[place + 1].name}: "
                f"number {before + step} is missing; restore it, or move what follows to a folder of its own."
            )


def _counts(stems: list[str]) -> list[int]:
    """The number that counts, in each name; nothing where the names do not count."""
    parts = [re.split(r"(\d+)", stem) for stem in stems]
    if len({len(part) for part in parts}) != 1:
        return []
    changing = [column for column in zip(*parts, strict=True) if len(set(column)) > 1]
    if len(changing) != 1 or not changing[0][0].isdecimal():
        return []
    numbers = [int(number) for number in changing[0]]
    return numbers if max(numbers) < _DATE else []
