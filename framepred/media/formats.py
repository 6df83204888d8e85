"""Which files can be read as video: checks that need neither torch nor OpenCV."""

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


def _listed(suffixes: tuple[str, ...]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
