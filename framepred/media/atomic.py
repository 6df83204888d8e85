"""Atomic writing: an output appears whole under its name, or does not appear."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from framepred.errors import MediaError, reason_of

try:
    import fcntl
except ImportError:  # not on Windows; drafts of killed runs stay there
    fcntl = None  # type: ignore[assignment]

DRAFT_PREFIX = ".framepred-draft-"
"""Start of the name of the hidden folder that holds an unfinished output."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk, a quota or a file that takes no more."""

_FORMER = ".framepred-former"  # subfolder of a draft folder: the output that is being replaced


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a draft path that replaces ``path`` when the block succeeds.

    The block creates the draft, a file or a folder. It has the name of ``path`` and lies in a hidden folder beside it,
    on the same file system. When the block ends, the draft is flushed to the disk and renamed. When the block fails,
    ``path`` keeps what it held, and the draft and any new parent folders are removed. Drafts that a killed process
    left in the same folder are removed first. A symbolic link is followed: its target is replaced and the link stays.

    Args:
        path: the file or folder to write. Missing parent folders are created.

    Raises:
        MediaError: if the operating system does not allow writing, or ``path`` is a device, FIFO or socket.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_write(target) as draft:
        ...     _ = draft.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    with explain_os_errors(path):
        target = Path(os.path.realpath(path))
        refuse_special_file(path)
        with new_folders(target.parent):
            remove_stale_drafts(target.parent)
            with _draft_folder(target.parent) as folder:
                draft = folder / target.name
                yield draft
                _flush_tree(draft)
                _replace(draft, target)
                with suppress(OSError):  # some file systems cannot flush folders
                    _flush(target.parent)


@contextmanager
def explain_os_errors(path: str | Path) -> Iterator[None]:
    """Turn an OSError of the block into a MediaError that says why ``path`` cannot be written.

    A broken pipe passes: it is standard output that was closed, not ``path``.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except FileExistsError as error:  # a part of the path that should be a folder
        raise MediaError(
            f"{path} cannot be written because {error.filename} is a file, not a folder; choose another path."
        ) from error
    except OSError as error:
        hint = "free disk space or choose another path" if error.errno in FULL else "choose another path"
        raise MediaError(f"{path} cannot be written ({reason_of(error)}); {hint}.") from error


def refuse_special_file(path: str | Path) -> None:
    """Check that ``path`` is a regular file, a folder, or does not exist; symbolic links are followed.

    Raises:
        MediaError: if it is a device, a FIFO or a socket, or cannot be reached.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:  # such as a loop of links
        raise MediaError(f"{path} cannot be written ({reason_of(error)}); choose another path.") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise MediaError(f"{path} is a {_kind(mode)}, not a file; choose another name for the output.")


def remove_stale_drafts(folder: Path) -> None:
    """Remove the drafts that killed processes left in a folder; those of running processes stay.

    A process holds a lock on its draft folder as long as it lives. Where an output had been moved aside to be replaced
    and the replacement did not follow, it is moved back.
    """
    with suppress(OSError):
        for draft in folder.glob(f"{DRAFT_PREFIX}*"):
            lock = _lock(draft, wait=False)
            if lock is not None:
                _restore_former(draft)
                shutil.rmtree(draft, ignore_errors=True)
                os.close(lock)


@contextmanager
def new_folders(folder: Path) -> Iterator[None]:
    """Create a folder and its parents; remove the new ones again if the block fails."""
    new = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in new:
            with suppress(OSError):  # another process writes there
                parent.rmdir()
        raise


@contextmanager
def _draft_folder(parent: Path) -> Iterator[Path]:
    """A locked hidden folder that is removed when the block ends."""
    folder, lock = _make_draft_folder(parent)
    try:
        yield folder
    finally:
        with suppress(OSError):
            _restore_former(folder)
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _make_draft_folder(parent: Path) -> tuple[Path, int | None]:
    """A new draft folder and its lock, None where the file system has no locks."""
    while True:
        folder = Path(mkdtemp(prefix=DRAFT_PREFIX, dir=parent))
        lock = _lock(folder, wait=True)
        if folder.exists():
            return folder, lock
        if lock is not None:  # another process took the new folder for a stale one and removed it
            os.close(lock)


def _lock(folder: Path, wait: bool) -> int | None:
    """A file descriptor that holds the lock of a folder; None if another process holds it or there are no locks."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _flush_tree(path: Path) -> None:
    """Wait until a file, or a folder with all its files, is on the disk."""
    for file in (path, *path.rglob("*")):
        if file.is_file():
            _flush(file)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(draft: Path, target: Path) -> None:
    """Rename the draft; a folder cannot be renamed onto one that holds files, so that one is moved aside first."""
    if draft.is_dir() and target.is_dir():
        aside = draft.parent / _FORMER
        aside.mkdir()
        target.rename(aside / target.name)
    draft.replace(target)


def _restore_former(draft_folder: Path) -> None:
    for former in (draft_folder / _FORMER).glob("*"):
        target = draft_folder.parent / former.name
        if not target.exists():
            former.rename(target)


def _kind(mode: int) -> str:
    kinds = {stat.S_ISFIFO: "FIFO", stat.S_ISSOCK: "socket", stat.S_ISBLK: "block device"}
    return next((kind for test, kind in kinds.items() if test(mode)), "device")
