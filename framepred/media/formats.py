"""Which files can be read and written as video: checks that need neither torch nor OpenCV."""

import os
import re
from pathlib import Path

from framepred.errors import MediaError

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm")
GIF = ".gif"
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
ARRAYS = (".npy", ".npz")
HDF5, ZARR = (".h5", ".hdf5"), ".zarr"
INPUTS = (*VIDEOS, GIF, *ARRAYS, *HDF5, ZARR)
OUTPUTS = (".mp4", GIF, *ARRAYS)

_WRITTEN_FRAME = re.compile(r"\d{4,}\.png")


def is_live(source: str) -> bool:
    """Whether a source is a camera number or a URL instead of a file."""
    return source.isdecimal() or "://" in source


def is_array(path: Path) -> bool:
    """Whether a path names a file of arrays; a zarr store is a folder."""
    suffix = path.suffix.lower()
    return suffix == ZARR or (suffix in (*ARRAYS, *HDF5) and not path.is_dir())


def is_folder_of_clips(path: Path) -> bool:
    """Whether a path is a folder that holds no pictures itself and so, if anything, videos, arrays or other folders."""
    return path.is_dir() and not is_array(path) and not frame_files(path)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sort key under which ``frame2.png`` comes before ``frame10.png``."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def frame_files(folder: Path) -> list[Path]:
    """The frames in a folder, in natural order; hidden files and other files are passed over."""
    found = (file for file in folder.iterdir() if file.suffix.lower() in IMAGES and not file.name.startswith("."))
    return sorted(found, key=lambda file: natural_key(file.name))


def check_input(source: str | Path) -> Path:
    """The path of a video file, an array file or a folder of frames that is there to be read.

    Raises:
        MediaError: if it is missing, unreadable, empty or of an unknown kind.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise MediaError(f"{path} does not exist; check the path.")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{path} may not be read; check its permissions.")
    _check_folder(path) if path.is_dir() and not is_array(path) else _check_file(path)
    return path


def check_output(target: str | Path) -> Path:
    """The path of a video that can be written: a known suffix, or none for a folder of png frames.

    Raises:
        MediaError: if the suffix is unknown, or something is in the way that must not be overwritten.
    """
    path = Path(target).expanduser()
    suffix = path.suffix.lower()
    if suffix and suffix not in OUTPUTS:
        raise MediaError(
            f"{path} cannot be written because {path.suffix} is not known; "
            f"choose {_listed(OUTPUTS)}, or no suffix for a folder of png frames."
        )
    if suffix and path.is_dir():
        raise MediaError(f"{path} is a folder, not a file; choose another name.")
    if not suffix:
        _check_replaceable(path)
    _check_writable(path, path.absolute().parent)
    return path


def check_results_folder(target: str | Path) -> Path:
    """The path of a folder that results can be written into, beside whatever it holds; it need not exist.

    Raises:
        MediaError: if it is a file, or may not be written.
    """
    path = Path(target).expanduser()
    _check_writable(path, path.absolute())
    return path


def check_growing(target: str | Path, suffix: str, source: str) -> Path:
    """The path of a file that can be written in place while a source is read.

    Args:
        target: the path.
        suffix: what it must end in, such as ``.csv``.
        source: what is read meanwhile.

    Raises:
        MediaError: if it ends otherwise, is a folder, may not be written, or is the source.
    """
    path = Path(target).expanduser()
    if path.suffix.lower() != suffix:
        raise MediaError(f"{path} cannot be written as the stream plays; choose a name that ends in {suffix}.")
    if path.is_dir():
        raise MediaError(f"{path} is a folder, not a file; choose another name.")
    if path.exists() and not is_live(source) and path.samefile(source):
        raise MediaError(f"{path} is what is read and would be written over; choose another name.")
    _check_writable(path, path.absolute().parent)
    return path


def _check_folder(path: Path) -> None:
    if not frame_files(path):
        raise MediaError(
            f"The folder {path} holds no frames; put {_listed(IMAGES)} files in it or name one video file."
        )


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in INPUTS:
        found = f"{path.suffix} is not known" if path.suffix else "it has no suffix"
        raise MediaError(
            f"{path} cannot be read as video because {found}; give {_listed(INPUTS)}, or a folder of frames."
        )
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is an empty file of 0 bytes; copy or record it again.")


def _check_replaceable(path: Path) -> None:
    """A folder of frames may replace an older one, never anything else."""
    if path.is_file():
        raise MediaError(f"{path} is a file where a folder of frames would be written; choose another name.")
    strangers = (
        [file.name for file in path.iterdir() if not _WRITTEN_FRAME.fullmatch(file.name)] if path.is_dir() else []
    )
    if strangers:
        raise MediaError(
            f"The folder {path} holds {min(strangers)}, which writing frames would delete; name a new folder."
        )


def _check_writable(path: Path, folder: Path) -> None:
    """``folder``, or the nearest one above it that is there, takes what is written to ``path``."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir():
        raise MediaError(f"{path} cannot be written because {nearest} is a file, not a folder; choose another place.")
    if not os.access(nearest, os.W_OK):
        raise MediaError(f"{path} cannot be written because {nearest} is write-protected; choose another place.")


def _listed(suffixes: tuple[str, ...]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
