"""The folder of the user's cache: fetched data sets, and what is slow to parse."""

import os
import tempfile
from pathlib import Path

import numpy as np
import platformdirs


def cache_folder() -> Path:
    """Framepred's folder in the user's cache, e.g. ``~/.cache/framepred``; it need not exist."""
    return Path(platformdirs.user_cache_dir("framepred"))


def keep(array: np.ndarray, path: Path) -> None:
    """Write ``array`` to ``path`` as .npy, wholly or not at all.

    Raises:
        OSError: if the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(suffix=path.suffix, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.save(file, array)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
