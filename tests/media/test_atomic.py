import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from framepred.errors import MediaError
from framepred.media.atomic import DRAFT_PREFIX, atomic_write, remove_stale_drafts


def write_half(path: Path, error: BaseException) -> None:
    with atomic_write(path) as draft:
        draft.write_text("half")
        raise error


def write_folder(path: Path, *names: str) -> None:
    with atomic_write(path) as draft:
        draft.mkdir()
        for name in names:
            (draft / name).touch()


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "card.json"
    with atomic_write(path) as draft:
        draft.write_text("whole")
        assert not path.exists()
        assert draft.name == path.name
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path, KeyboardInterrupt())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_removes_the_folders_it_made(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_half(tmp_path / "a" / "b" / "c.npy", ZeroDivisionError())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    for names in (("a", "b"), ("c",)):
        write_folder(path, *names)
    assert [file.name for file in path.iterdir()] == ["c"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "frames"
    path.mkdir()
    (path / "old").touch()

    def failing(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(MediaError, match="No space left"):
        write_folder(path, "new")
    assert [file.name for file in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_system_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MediaError, match=r"a\.npy cannot be written because .+file is a file, not a folder; choose an"):
        write_folder(tmp_path / "file" / "a.npy")
    with pytest.raises(MediaError, match=r"a\.npy cannot be written \(Not a directory\); choose another path"):
        write_folder(tmp_path / "file" / "folder" / "a.npy")
    with (
        pytest.raises(MediaError, match=r"a\.npy cannot be written \(No space left on device\); free disk space or"),
        atomic_write(tmp_path / "a.npy"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_never_replaces_a_file_nor_a_file_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(MediaError, match="file cannot be written"):
        write_folder(tmp_path / "file", "new")
    with pytest.raises(MediaError, match="folder cannot be written"), atomic_write(tmp_path / "folder") as draft:
        draft.touch()
    assert (tmp_path / "file").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "card.json", tmp_path / "link.json"
    link.symlink_to(Path("elsewhere") / "card.json")
    if exists:
        target.write_text("old")
    with atomic_write(link) as draft:
        draft.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("a.json")
    with pytest.raises(MediaError, match=r"a\.json cannot be written"):
        write_half(tmp_path / "a.json", AssertionError())


@pytest.mark.parametrize(("make", "kind"), [(os.mkfifo, "FIFO"), (lambda path: path.symlink_to(os.devnull), "device")])
def test_special_files_are_refused(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    make(tmp_path / "out")
    with pytest.raises(MediaError, match=rf"out is a {kind}, not a file"):
        write_half(tmp_path / "out", AssertionError())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def killed_while_writing(folder: Path, code: str) -> None:
    script = f"import os\nfrom pathlib import Path\nfrom framepred.media.atomic import atomic_write\n{code}"
    assert subprocess.run([sys.executable, "-c", script], cwd=folder, check=False).returncode == -signal.SIGKILL


def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    killed_while_writing(tmp_path, "with atomic_write('a') as draft: draft.write_text('half'); os.kill(os.getpid(), 9)")
    assert [path.name.startswith(DRAFT_PREFIX) for path in tmp_path.iterdir()] == [True]
    write_folder(tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_drafts_of_running_processes_stay(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a") as draft:
        draft.write_text("a")
        write_folder(tmp_path / "b")
        remove_stale_drafts(tmp_path)
    assert (tmp_path / "a").read_text() == "a"


def test_a_kill_between_the_two_renames_loses_no_folder(tmp_path: Path) -> None:
    write_folder(tmp_path / "frames", "old")
    killed_while_writing(
        tmp_path,
        "Path.replace = lambda *_: os.kill(os.getpid(), 9)\nwith atomic_write('frames') as draft: draft.mkdir()",
    )
    assert not (tmp_path / "frames").exists()
    remove_stale_drafts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]
    assert (tmp_path / "frames" / "old").exists()
