"""The folder of the user's cache: downloaded data sets, and results that are slow to compute."""

import os
import tempfile
from pathlib import Path

import numpy as np
import platformdirs


def cache_folder() -> Path:
    """Return framepred's folder in the user's cache, such as ``~/.cache/framepred``; it may not exist yet."""
    return Path(platformdirs.user_cache_dir("framepred"))


def write_array(array: np.ndarray, path: Path) -> None:
    """Write an array to ``path`` as .npy, atomically: a failure leaves no file.

    Raises:
        OSError: if the folder cannot be created or written.
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
