"""Search of a folder and its subfolders for videos, picture sequences and array files."""

import os
from collections.abc import Iterator
from pathlib import Path

from framepred.errors import MediaError
from framepred.media.formats import ZARR, frame_files, is_clip_file, natural_key
from framepred.media.sequences import missing_numbers


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
    for name, subfolders, names in os.walk(root, onerror=unreadable.append, followlinks=True):
        folder = Path(name)
        yield from _sources_in(folder, _visible(names))
        stores = [name for name in _visible(subfolders) if Path(name).suffix.lower() == ZARR]
        yield from (folder / name for name in stores)
        cycles = [name for name in _visible(subfolders) if _is_cycle(folder / name)]
        yield from (f"{folder / name} is a symbolic link to a folder above it; remove it." for name in cycles)
        subfolders[:] = sorted(set(_visible(subfolders)) - {*stores, *cycles})
    yield from (f"{error.filename} cannot be read; check its permissions." for error in unreadable)


def _sources_in(folder: Path, names: list[str]) -> Iterator[Path | str]:
    """Yield the sources among a folder's files: single pictures are one, each picture of several frames is one."""
    if frame_files(folder):
        yield folder
    for name in names:
        if (folder / name).is_symlink() and not (folder / name).exists():
            yield f"{folder / name} is a symbolic link to a missing file; correct or remove it."
        elif is_clip_file(folder / name):
            yield folder / name


def _visible(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _is_cycle(folder: Path) -> bool:
    if not folder.is_symlink():
        return False
    real = folder.resolve()
    return any(parent.resolve() == real for parent in folder.parents)


def check_sequence(folder: Path) -> None:
    """Check that no number is missing in the names of a folder's pictures.

    Raises:
        MediaError: if one is; see ``missing_numbers``.
    """
    gaps = missing_numbers(frame_files(folder))
    if gaps:
        missing = "is missing" if len(gaps) == 1 else f"and {len(gaps) - 1} more are missing"
        raise MediaError(
            f"{folder} lacks the picture between {gaps[0].before} and {gaps[0].after}: number {gaps[0].number} "
            f"{missing}; restore it, or move the pictures after it to another folder."
        )
