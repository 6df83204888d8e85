"""Text files that people write, in editors that put a byte order mark first."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from framepred.data.datamodules.next_word import NextWordData
from framepred.inference.missing import read_missing
from framepred.inference.watching.labels import read_labels
from framepred.media.text import read_small_text


def _labels(path: Path) -> list[bool]:
    return read_labels(path)(np.arange(4), np.arange(4) / 2).tolist()


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda path: read_small_text(path, 100), "{}"),
        (read_missing, "7\n12-15\n"),
        (_labels, "start,end\r\n0.5,1\r\n"),
        (_labels, "frame,label\r\n1,1\r\n"),
        (lambda path: NextWordData(context=1, text=str(path)).vocabulary, "one two three .\n" * 20),
    ],
)
def test_a_byte_order_mark_changes_nothing(tmp_path: Path, read: Callable[[Path], object], text: str) -> None:
    plain, marked = tmp_path / "plain.txt", tmp_path / "marked.txt"
    plain.write_bytes(text.encode())
    marked.write_bytes(text.encode("utf-8-sig"))
    assert read(marked) == read(plain)
