"""Locks of what one process at a time writes; the operating system frees those of a killed process."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from framepred.errors import ConfigError
from framepred.media.atomic import explain_os_errors, new_folders

try:
    import fcntl
except ImportError:  # not on Windows, where growing files are not locked
    fcntl = None  # type: ignore[assignment]

_reserved: dict[str, ExitStack] = {}  # by the real path of what is locked


@contextmanager
def reserved(path: Path, lock: AbstractContextManager[object]) -> Iterator[None]:
    """Hold a lock from the start of long work; what locks the path later in this process takes it over.

    Args:
        path: the file that is locked.
        lock: its lock, by :func:`locked_file` or :func:`locked_folder`.

    Raises:
        ConfigError: if another process holds it.
        MediaError: if it cannot be written.
    """
    name = os.path.realpath(path)
    with ExitStack() as held:
        held.enter_context(lock)
        _reserved[name] = held
        try:
            yield
        finally:
            _reserved.pop(name, None)


@contextmanager
def locked_folder(folder: Path, name: str, does: str) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it is missing, and removed if an error leaves nothing in it.

    Args:
        folder: the folder.
        name: of the file in it that is locked; it stays when the lock is released.
        does: what a process does that holds the lock, for the error.

    Raises:
        ConfigError: if another process holds it.
        MediaError: if the folder cannot be written.
    """
    with _reserved.pop(os.path.realpath(folder / name), _folder_lock(folder, name, does)):
        yield


@contextmanager
def _folder_lock(folder: Path, name: str, does: str) -> Iterator[None]:
    from filelock import FileLock, Timeout  # slow to import

    with ExitStack() as cleanup:
        with explain_os_errors(folder):
            cleanup.enter_context(new_folders(folder))
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
        except BaseException:
            with suppress(OSError):
                if [entry.name for entry in folder.iterdir()] == [name]:
                    (folder / name).unlink()
            raise
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
    with _reserved.pop(os.path.realpath(path), _file_lock(path)):
        yield path


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    with ExitStack() as cleanup:
        with explain_os_errors(path):
            cleanup.enter_context(new_folders(path.parent))
            try:
                file, is_new = path.open("xb"), True
            except FileExistsError:
                file, is_new = path.open("ab"), False
        cleanup.enter_context(file)
        if fcntl is not None:
            _lock(file, path)
        if is_new:
            cleanup.callback(_delete_empty, path)
        yield


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
