"""Write beside, then rename: an output is whole or it is not there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from framepred.errors import MediaError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a draft path in the same folder, with the same suffix, that becomes ``path`` when the block succeeds.

    The block creates the draft, a file or a folder. What ``path`` held before is replaced whole; when the block
    fails, it stays as it was and the draft and any new parent folders are removed.

    Raises:
        MediaError: if the operating system refuses to write.
    """
    newcomers = [parent for parent in path.absolute().parents if not parent.exists()]
    draft = path.absolute().with_name(f".{uuid4().hex}{path.suffix}")
    try:
        with explain_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield draft
            _replace(draft, path)
    except BaseException:
        _remove(draft)
        for parent in newcomers:
            with suppress(OSError):
                parent.rmdir()
        raise


@contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Say in a sentence why the operating system does not let ``path`` be written.

    Raises:
        MediaError: instead of the OSError of the block.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise MediaError(f"{path} cannot be written ({reason}); free that place or choose another.") from error


def _replace(draft: Path, path: Path) -> None:
    if not draft.is_dir() or not path.exists():
        draft.replace(path)
        return
    former = path.absolute().with_name(f".{uuid4().hex}")  # a folder cannot be renamed onto one that holds files
    path.replace(former)
    try:
        draft.replace(path)
    except BaseException:
        former.replace(path)
        raise
    _remove(former)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # it was never made
            path.unlink()
