import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framepred.clips import fill_missing, from_unit
from framepred.errors import ClipError, ConfigError
from framepred.media.ranges import RangeChoice, ValueRange, as_choice, parse_range, with_missing
from framepred.media.values import chosen_range, range_notes, to_frames

numbers = st.floats(-1e6, 1e6)


@given(numbers, st.floats(1e-3, 1e6), st.lists(st.floats(0, 1), min_size=1))
def test_scaling_is_inverted(low: float, width: float, units: list[float]) -> None:
    value_range = ValueRange(low, low + width)
    values = torch.tensor(units, dtype=torch.float64) * (value_range.high - low) + low
    again = value_range.from_unit(value_range.to_unit(values)).double()
    torch.testing.assert_close(again, values, atol=2e-7 * width + 1e-7 * abs(low) + 1e-9, rtol=1e-6)


def test_only_nan_is_missing() -> None:
    frames = torch.tensor([0.5, torch.nan, torch.inf, -torch.inf])
    torch.testing.assert_close(fill_missing(frames, 0.25), torch.tensor([0.5, 0.25, torch.inf, -torch.inf]))
    whole = torch.tensor([1, 2], dtype=torch.uint8)
    assert fill_missing(whole, 0.25) is whole


def test_a_type_without_a_range_is_refused() -> None:
    with pytest.raises(ClipError, match="int32 have no known range"):
        from_unit(torch.zeros(2), torch.int32)


def test_json() -> None:
    for value_range in (ValueRange(-32, 60), ValueRange(-32, 60, filler=-32)):
        assert ValueRange.from_json(json.loads(json.dumps(value_range.to_json()))) == value_range
    for wrong in ({}, {"low": 0}, {"low": "x", "high": 1}, {"low": None, "high": 1}):
        with pytest.raises(ConfigError, match="has the entries low and high"):
            ValueRange.from_json(wrong)


def test_stated_ranges() -> None:
    radar = ValueRange(-32, 60, filler=-32)
    for stated in (None, radar, "auto"):
        assert as_choice(stated) is stated
    assert as_choice("-32,60,nan=-32") == radar
    for pair in ((0, 5), [0, 5.0], np.array([0, 5])):
        assert as_choice(pair) == ValueRange(0, 5)
    with pytest.raises(ConfigError, match="the lower one first, not 5 and 0"):
        as_choice((5, 0))
    for wrong in (5, (1,), (1, 2, 3), ("a", "b"), {1: 2}, object()):
        with pytest.raises(ConfigError, match="is auto, two numbers or a ValueRange, not "):
            as_choice(wrong)
    with pytest.raises(ConfigError, match="and NaN is read as a finite number, not nan"):
        parse_range("0,1,nan=nan")


def test_written_ranges() -> None:
    assert parse_range("auto") == "auto"
    assert parse_range("-32,60") == ValueRange(-32, 60)
    assert parse_range("-32,60,nan=-32") == ValueRange(-32, 60, filler=-32)
    for text in ("", "5", "a,b", "1,2,3", "1,2,nan=x", "1,2,nan=", "nan=1"):
        with pytest.raises(ConfigError, match="is auto or two numbers such as 0,4095, not"):
            parse_range(text)
    for text in ("5,5", "7,3", "nan,1", "0,inf", "0,1,nan=nan"):
        with pytest.raises(ConfigError, match="two finite numbers, the lower one first"):
            parse_range(text)


def read(values: np.ndarray, choice: RangeChoice = None) -> torch.Tensor:
    return to_frames(values, "a.npy", chosen_range(choice, lambda: [values]), "thw")


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int64, ">i4"])
def test_a_stated_range_gives_integers_again(dtype: str) -> None:
    values = np.arange(60, dtype=dtype).reshape(3, 4, 5)
    chosen = chosen_range(ValueRange(-10, 1000), lambda: [values])
    assert chosen is not None
    back = chosen.from_unit(to_frames(values, "a.npy", chosen))
    assert back.dtype == torch.int16
    assert np.array_equal(back.numpy(), values)
    halves = chosen_range(ValueRange(-0.5, 100), lambda: [values])
    assert halves is not None
    assert halves.from_unit(torch.zeros(1)).item() == -0.5


def test_rounding_errors_beyond_0_and_1_are_clamped_and_more_is_refused() -> None:
    values = np.linspace(-0.0005, 1.0005, 60).reshape(3, 4, 5)
    for choice in (None, "auto"):
        assert read(values, choice).aminmax() == (0, 1)  # type: ignore[arg-type]
    with pytest.raises(ClipError, match=r"floats from -0.05 to 1 but"):
        read(values.clip(0, 1) - (values < 0) * 0.05)


@pytest.mark.parametrize("values", [np.full((2, 3, 4), 7.5), np.linspace(-3, 9, 24).reshape(2, 3, 4)])
def test_the_advised_range_is_one_that_is_taken(values: np.ndarray) -> None:
    with pytest.raises(ClipError) as refused:
        read(values)
    advised = re.search(r"such as ([-\d.]+,[-\d.]+)", str(refused.value))
    assert advised is not None
    assert read(values, parse_range(advised[1])).shape == values.shape


def test_missing_values_are_filled_or_kept() -> None:
    values = np.array([[[0.0, np.nan, 30.0]]])
    assert read(values, ValueRange(0, 30, filler=15)).flatten().tolist() == [0, 0.5, 1]
    kept = read(values, with_missing(ValueRange(0, 30, filler=15))).flatten()
    assert kept.isnan().tolist() == [False, True, False]
    for choice in (ValueRange(0, 30), with_missing(ValueRange(0, 30))):
        with pytest.raises(ClipError, match="not finite"):
            read(values, choice)
    with pytest.raises(ClipError, match="not finite"):
        read(np.array([[[np.inf]]]), with_missing(ValueRange(0, 30, filler=15)))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([-3.0, 5.0], "All values of clip are 5 or below, so its frames are black"),
        ([9.0, 30.0], "All values of clip are 9 or above, so its frames are white"),
        ([5.0, 6.0], None),
        ([4.0, 10.0], None),
    ],
)
def test_a_range_that_holds_none_of_the_values_is_said(values: list[float], sentence: str | None) -> None:
    stated = ValueRange(5, 9)
    notes = range_notes(read(np.array([[values]]), stated), stated, "clip")
    assert notes[0] == "The values 5 to 9 of clip are scaled to [0, 1]; others are clamped."
    assert [note.partition(";")[0] for note in notes[1:]] == ([] if sentence is None else [sentence])


def test_integers_beyond_those_of_pytorch_become_floats() -> None:
    values = torch.tensor([0.0, 2.0**63, 2.0**64], dtype=torch.float64)
    assert ValueRange(0, 2.0**64, whole=True).stored(values).tolist() == [0, 2.0**63, 2.0**64]
    assert ValueRange(0, 2.0**62, whole=True).stored(values[:1]).dtype == torch.int64


def test_whole_numbers_of_which_some_are_missing_are_stored_as_floats() -> None:
    values = torch.tensor([0, torch.nan, 7])
    stored = ValueRange(0, 100, whole=True).stored(values)
    torch.testing.assert_close(stored, values, equal_nan=True)
