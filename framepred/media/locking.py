"""Locks of what one process at a time writes; the operating system frees those of a killed process."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from framepred.errors import ConfigError
from framepred.media.atomic import explain_os_errors

try:
    import fcntl
except ImportError:  # not on Windows, where growing files are not locked
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked_folder(folder: Path, name: str, does: str) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it is missing.

    Args:
        folder: the folder.
        name: of the file in it that is locked; it stays when the lock is released.
        does: what a process does that holds the lock, for the error.

    Raises:
        ConfigError: if another process holds it.
        MediaError: if the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # slow to import

    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / name)
        try:
            with suppress(NotImplementedError):  # some file systems have no locks
                lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(
                f"Another process {does} {folder}; wait until it ends, or choose another folder for this run."
            ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_file(path: Path) -> Iterator[Path]:
    """Hold the lock of a file that grows, and yield its path; its content stays.

    The file is made where it is missing, and deleted at the end if nothing was written into it.

    Raises:
        ConfigError: if another process writes it.
        MediaError: if it cannot be written.
    """
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file, is_new = path.open("xb"), True
        except FileExistsError:
            file, is_new = path.open("ab"), False
    with file:
        if fcntl is not None:
            _lock(file, path)
        try:
            yield path
        finally:
            if is_new:
                _delete_empty(path)


def check_unlocked(path: Path) -> None:
    """Refuse a file that grows in another process, before long work.

    Raises:
        ConfigError: if it does.
        MediaError: if it cannot be written.
    """
    if path.is_file():
        with locked_file(path):
            pass


def _delete_empty(path: Path) -> None:
    with suppress(OSError):  # the error of the writing counts
        if path.stat().st_size == 0:
            path.unlink()


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"Another process writes {path}; wait until it ends, or choose another name.") from None
    except OSError:
        return  # some file systems have no locks
