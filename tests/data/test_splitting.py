"""Whole files are divided among train, val and test; files that are too few are divided along time."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framepred.data.digits import Split
from framepred.data.splitting import Choice, split_files, split_time
from framepred.errors import ConfigError, DataError

NAMES = [f"{person}/{number}.mp4" for person in ("ann", "bob", "cy") for number in range(40)]
HERE = Path("videos")
TENTHS: dict[Split, float] = {"val": 0.1, "test": 0.1}


def split(
    names: list[str] = NAMES, root: Path = HERE, fractions: dict[Split, float] = TENTHS, **wanted: Choice
) -> dict[Split, list[str]]:
    found = split_files(names, root, {"train": None, "val": None, "test": None, **wanted}, fractions)  # type: ignore[dict-item]
    assert not found.by_time
    return found.files


@settings(max_examples=50)
@given(st.sets(st.text(min_size=1), min_size=3, max_size=12), st.floats(0, 0.5), st.floats(0, 0.4))
def test_every_file_is_in_one_split(names: set[str], val: float, test: float) -> None:
    splits = split(sorted(names), fractions={"val": val, "test": test})
    assert sorted(name for part in splits.values() for name in part) == sorted(names)
    assert bool(splits["val"]) == (val > 0)
    assert bool(splits["test"]) == (test > 0)


def test_shares_are_about_as_asked() -> None:
    names = [f"{number}.mp4" for number in range(5000)]
    splits = split(names, fractions={"val": 0.2, "test": 0.1})
    assert len(splits["val"]) == pytest.approx(1000, abs=100)
    assert len(splits["test"]) == pytest.approx(500, abs=70)


def test_files_stay_in_their_split_when_others_come() -> None:
    before, after = split(NAMES[:100]), split(NAMES)
    for name in before:
        assert set(before[name]) <= set(after[name])


def test_patterns_take_files_first_and_the_rest_is_divided() -> None:
    splits = split(test="cy/*")
    assert splits["test"] == NAMES[80:]
    assert sorted(splits["train"] + splits["val"]) == sorted(NAMES[:80])
    assert 0 < len(splits["val"]) < 20


def test_several_patterns_make_one_split() -> None:
    assert split(test=["bob/[0-4].mp4", "cy/*"])["test"] == [*NAMES[40:45], *NAMES[80:]]


def test_a_list_of_training_files_leaves_the_rest_to_val_and_test() -> None:
    splits = split(train="ann/*")
    assert splits["train"] == NAMES[:40]
    assert sorted(splits["val"] + splits["test"]) == sorted(NAMES[40:])
    assert len(splits["val"]) == pytest.approx(40, abs=12)


def test_all_splits_by_pattern() -> None:
    splits = split(train="ann/*", val="bob/[0-4].mp4", test="cy/*")
    assert [len(names) for names in splits.values()] == [40, 5, 40]


def test_lists(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("cy/3.mp4\n\nbob/7.mp4\n")
    splits = split(root=tmp_path, val="mine.txt")
    assert splits["val"] == ["bob/7.mp4", "cy/3.mp4"]
    assert len(splits["train"]) + len(splits["test"]) == len(NAMES) - 2
    assert split(val=str(tmp_path / "mine.txt"))["val"] == splits["val"]


def test_what_cannot_be_split_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cy/0\.mp4 is in val and in test"):
        split(val="cy/*", test="cy/*")
    with pytest.raises(DataError, match="No file is left for val among the 120"):
        split(val="dora/*")
    with pytest.raises(DataError, match=r"left for test .*, or set test_fraction to 0\.$"):
        split(test="dora/*")
    with pytest.raises(DataError, match=r"No file is left for val .*, or set val_fraction to 0\.$"):
        split(train="*")
    with pytest.raises(DataError, match=r"The list gone\.txt is neither in this folder nor in videos"):
        split(val="gone.txt")
    (tmp_path / "wrong.txt").write_text("cy/3.mp4\ncy/99.mp4\n")
    with pytest.raises(DataError, match=r"wrong\.txt names 'cy/99\.mp4', not found among the usable files"):
        split(val=str(tmp_path / "wrong.txt"))


@pytest.mark.parametrize("fractions", [{"val": -0.1, "test": 0.1}, {"val": 0.5, "test": 0.5}])
def test_fractions_have_a_domain(fractions: dict[Split, float]) -> None:
    with pytest.raises(ConfigError, match="must be 0 or more and below 1 together"):
        split(fractions=fractions)


def test_a_list_need_not_be_utf8(tmp_path: Path) -> None:
    """A name on a Linux disk may hold any bytes; Python shows those that are not UTF-8 as surrogates."""
    name = b"caf\xe9.mp4".decode(errors="surrogateescape")
    (tmp_path / "mine.txt").write_bytes(b"\xef\xbb\xbfcy/3.mp4\r\ncaf\xe9.mp4\r\n")
    assert split([*NAMES, name], root=tmp_path, val="mine.txt")["val"] == ["cy/3.mp4", name]
    with pytest.raises(DataError, match="not found among the usable files"):
        split(root=tmp_path, val="mine.txt")
    (tmp_path / "mine.txt").write_bytes(bytes(range(256)) * 100)
    with pytest.raises(DataError, match="not found among the usable files") as caught:
        split(root=tmp_path, val="mine.txt")
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(("count", "test_fraction"), [(1, 0.1), (2, 0.1), (1, 0.0)])
def test_fewer_files_than_splits_are_divided_along_time(count: int, test_fraction: float) -> None:
    choices: dict[Split, Choice] = {"train": None, "val": None, "test": None}
    found = split_files(NAMES[:count], HERE, choices, {"val": 0.1, "test": test_fraction})
    assert found.by_time == tuple(NAMES[:count])
    assert list(found.shares) == ["train", "val", "test"][: 3 if test_fraction else 2]
    assert sum(found.shares.values()) == pytest.approx(1)
    assert not split_files(NAMES[:3], HERE, choices, TENTHS).by_time


@given(
    count=st.integers(0, 400),
    size=st.integers(1, 9),
    gap=st.integers(0, 9),
    shares=st.lists(st.floats(0.01, 1), min_size=2, max_size=3),
)
def test_time_is_divided_in_order_with_gaps(count: int, size: int, gap: int, shares: list[float]) -> None:
    parts: list[Split] = ["train", "val", "test"]
    total = sum(shares)
    named = {part: share / total for part, share in zip(parts, shares, strict=False)}
    found = split_time(count, named, size, gap)
    needed = len(named) * size + (len(named) - 1) * gap
    assert (found is None) == (count < needed)
    if found is None:
        return
    assert list(found) == list(named)
    ranges = list(found.values())
    assert ranges[0].start == 0
    assert ranges[-1].stop == count
    assert all(later.start - earlier.stop == gap for earlier, later in pairwise(ranges))
    for part, frames in found.items():
        assert len(frames) >= size
        assert len(frames) == pytest.approx(size + named[part] * (count - needed), abs=len(named))
