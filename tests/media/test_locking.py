import fcntl
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from framepred.errors import ClipError, ConfigError, MediaError
from framepred.inference.csv_sink import CsvSink
from framepred.inference.watching.recording import EventFolder
from framepred.media.encoding import VideoWriter
from framepred.media.growing import GrowingFile
from framepred.media.locking import locked_file, locked_folder, reserved
from full_disk import full_disk

LOCKS = [locked_file, partial(locked_folder, name="a.lock", does="writes")]


def held_by_child(lock: Callable[[Path], AbstractContextManager[None]], path: Path) -> int:
    """Fork a process that holds a lock until it is killed; returns its number."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with lock(path):
            os.write(writing, b"x")
            signal.pause()
    os.read(reading, 1)
    return child


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_refused_while_another_process_lives(
    lock: Callable[[Path], AbstractContextManager[None]], tmp_path: Path
) -> None:
    child = held_by_child(lock, tmp_path / "a")
    try:
        with (
            pytest.raises(ConfigError, match=r"^Another process writes .*a; wait until it ends, or "),
            lock(tmp_path / "a"),
        ):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    for _ in range(2):
        with lock(tmp_path / "a"):
            pass


def held_elsewhere(path: Path) -> None:
    """Refuse a path that is locked, by a descriptor of its own as in another process."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError("Another process holds it.") from None


def grow_video(path: Path) -> None:
    with VideoWriter(path, 10, growing=True) as writer:
        writer.write(np.zeros((1, 32, 32), np.uint8))


def grow_text(path: Path) -> None:
    GrowingFile(path).close()


def grow_table(path: Path) -> None:
    with CsvSink(path):
        pass


def reserve(path: Path) -> None:
    with reserved(path, locked_file(path)):
        pass


@pytest.mark.parametrize("grow", [grow_video, grow_table, grow_text, reserve])
def test_a_file_that_grows_in_another_process_is_refused_and_stays(
    grow: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("of the other process")
    with locked_file(path), pytest.raises(ConfigError, match="Another process writes"):
        grow(path)
    assert path.read_text() == "of the other process"
    grow(path)


@pytest.mark.parametrize("content", [None, b"", b"of the user"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_growing_file_without_content_is_there_after_if_it_was_before(
    content: bytes | None, fails: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with suppress(ClipError, ZeroDivisionError), VideoWriter(path, 10, growing=True):
        assert not fails or 1 / 0
    assert (path.read_bytes() if path.exists() else None) == content


@pytest.mark.parametrize("grow", [grow_video, grow_table, grow_text])
def test_a_full_disk_leaves_no_empty_file(grow: Callable[[Path], object], tmp_path: Path) -> None:
    with full_disk(), suppress(MediaError):
        grow(tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()
    grow_video(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["folder/a.mp4", "folder/other/a.lock"])
def test_what_is_reserved_is_taken_over_once_and_refused_to_others(name: str, tmp_path: Path) -> None:
    path = tmp_path / name

    def lock() -> AbstractContextManager[object]:
        return locked_file(path) if name.endswith("mp4") else locked_folder(path.parent, "a.lock", "writes")

    with reserved(path, lock()):
        with pytest.raises(ConfigError, match="Another process"):
            held_elsewhere(path)
        for _ in range(2):
            with lock(), pytest.raises(ConfigError, match="Another process"), lock():
                pass
        held_elsewhere(path)


@pytest.mark.parametrize("name", ["folder/a.mp4", "folder/other/a.lock"])
def test_a_failure_leaves_nothing_of_what_was_reserved(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    lock = locked_file(path) if name.endswith("mp4") else locked_folder(path.parent, "a.lock", "writes")
    with suppress(ZeroDivisionError), reserved(path, lock):
        assert 1 / 0
    assert not list(tmp_path.iterdir())


def test_a_file_that_another_process_could_lock_first_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    with ExitStack() as other, monkeypatch.context() as patch:
        made = Path.open

        def overtaken(self: Path, mode: str) -> object:
            patch.undo()
            file = made(self, mode)
            other.enter_context(locked_file(path))
            return file

        patch.setattr(Path, "open", overtaken)
        with pytest.raises(ConfigError, match="Another process writes"):
            grow_video(path)
        assert path.exists()


def test_a_folder_of_events_takes_one_watch_at_a_time(tmp_path: Path) -> None:
    first = EventFolder(tmp_path)
    with pytest.raises(ConfigError, match=f"^Another process writes events into {tmp_path}; "):
        EventFolder(tmp_path)
    first.close()
    EventFolder(tmp_path).close()
