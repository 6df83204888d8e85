import pytest
from hypothesis import given
from hypothesis import strategies as st

from framepred.errors import ConfigError
from framepred.inference.missing import MAX_GAP, check_factor, check_within, one_sided, parse_missing


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("7", {7}),
        ("7,8,12-15", {7, 8, 12, 13, 14, 15}),
        (" 3 , 1 - 2 ", {1, 2, 3}),
        ("5,5,4-6", {4, 5, 6}),
        ("0-0", {0}),
    ],
)
def test_numbers_and_ranges(text: str, numbers: set[int]) -> None:
    assert parse_missing(text) == numbers


@given(st.sets(st.integers(0, 40), min_size=1))
def test_any_set_of_frames_can_be_written(numbers: set[int]) -> None:
    assert parse_missing(",".join(map(str, numbers))) == numbers


@pytest.mark.parametrize("text", ["", "x", "1,,2", "-3", "5-2", "1.5", "3-", "1 2", "²", "0-99999999999999999999"])
def test_what_names_no_frames(text: str) -> None:
    with pytest.raises(ConfigError, match="7,8,12-15"):
        parse_missing(text)


@pytest.mark.parametrize("text", ["0-999999999", f"10-{10 + MAX_GAP}", f"70-99,40-69,100-{40 + MAX_GAP}"])
def test_long_runs_are_refused_before_they_are_counted_out(text: str) -> None:
    with pytest.raises(ConfigError, match=f"in a row, but at most {MAX_GAP}"):
        parse_missing(text)


def test_the_longest_run() -> None:
    assert len(parse_missing(f"10-{9 + MAX_GAP},{11 + MAX_GAP}")) == MAX_GAP + 1


def test_a_higher_rate_makes_longer_runs() -> None:
    assert len(parse_missing(f"1-{(MAX_GAP - 3) // 4}", factor=4)) == (MAX_GAP - 3) // 4
    with pytest.raises(ConfigError, match="at 4 times the frame rate"):
        parse_missing(f"1-{(MAX_GAP + 1) // 4}", factor=4)


def test_how_far_a_rate_can_be_raised() -> None:
    check_factor(MAX_GAP + 1)
    with pytest.raises(ConfigError, match="upsample"):
        check_factor(MAX_GAP + 2)


def test_numbers_beyond_the_end() -> None:
    check_within(frozenset({0, 9}), 10)
    with pytest.raises(ConfigError, match=r"There is no frame 10: the 10 frames are numbered 0 to 9"):
        check_within(frozenset({3, 12, 10}), 10)


@pytest.mark.parametrize(
    ("missing", "count", "expected"), [(set(), 5, 0), ({1, 2}, 5, 0), ({0, 1}, 5, 2), ({0, 2, 3, 4}, 5, 4)]
)
def test_frames_with_one_side(missing: set[int], count: int, expected: int) -> None:
    assert one_sided(frozenset(missing), count) == expected
