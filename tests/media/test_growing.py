from pathlib import Path

import pytest

from framepred.errors import MediaError
from framepred.media.growing import GrowingFile, append_line
from full_disk import full_disk


@pytest.mark.parametrize("room", range(8, 14))
def test_a_full_disk_is_an_error_at_once_and_leaves_whole_lines(room: int, tmp_path: Path) -> None:
    table = GrowingFile(tmp_path / "a.csv")
    table.write("1,2,3")
    with full_disk(room), pytest.raises(MediaError, match=r"a\.csv cannot be written"):
        table.write("4,5,6,7")
    assert (tmp_path / "a.csv").read_text() == "1,2,3\n"
    table.write("8,9,10")
    table.close()
    assert (tmp_path / "a.csv").read_text() == "1,2,3\n8,9,10\n"


@pytest.mark.parametrize(("before", "after"), [("", "b\n"), ("a\n", "a\nb\n"), ("a", "a\nb\n"), ("\n", "\nb\n")])
def test_a_line_is_appended_on_its_own(before: str, after: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(before)
    if before:
        with full_disk(len(before) + 1), pytest.raises(MediaError, match="cannot be written"):
            append_line(path, "bbb")
        assert path.read_text() == before
    append_line(path, "b")
    assert path.read_text() == after
