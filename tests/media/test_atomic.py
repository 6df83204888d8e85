from pathlib import Path

import pytest

from framepred.errors import MediaError
from framepred.media.atomic import atomic_write


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
        assert (draft.parent, draft.suffix) == (path.parent, ".json")
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
    rename = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if target == path and (self / "new").exists():
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(MediaError, match="No space left"):
        write_folder(path, "new")
    assert [file.name for file in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_system_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MediaError, match=r"a\.npy cannot be written \(.+\); free that place"):
        write_folder(tmp_path / "file" / "a.npy")
