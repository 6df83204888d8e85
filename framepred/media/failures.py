"""Turn whatever a library raises on a damaged file into one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framepred.errors import FramepredError, MediaError


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Name a file that cannot be read.

    Damaged files raise exceptions of many types from deep inside Pillow, NumPy, h5py, zarr and FFmpeg, so every
    ``Exception`` is caught; the original one is kept as the cause.

    Args:
        path: the file that is read.
        kind: what it should be, with its article, such as ``an array of numbers``.

    Raises:
        MediaError: if it cannot be read.
    """
    try:
        yield
    except FramepredError:
        raise
    except PermissionError as error:
        raise MediaError(f"{path} may not be read; check its permissions.") from error
    except FileNotFoundError as error:
        raise MediaError(f"{path} does not exist; check the path.") from error
    except MemoryError as error:
        raise MediaError(f"{path} needs more memory than there is; scale it down or split it.") from error
    except Exception as error:
        raise MediaError(f"{path} is damaged or is not {kind}; copy it again or leave it out.") from error
