import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framepred.errors import ConfigError
from framepred.media.values import ValueRange, parse_range

numbers = st.floats(-1e6, 1e6)


@given(numbers, st.floats(1e-3, 1e6), st.lists(st.floats(0, 1), min_size=1))
def test_scaling_is_inverted(low: float, width: float, units: list[float]) -> None:
    value_range = ValueRange(low, low + width)
    values = torch.tensor(units, dtype=torch.float64) * (value_range.high - low) + low
    again = value_range.from_unit(value_range.to_unit(values)).double()
    torch.testing.assert_close(again, values, atol=2e-7 * width + 1e-7 * abs(low) + 1e-9, rtol=1e-6)


def test_json() -> None:
    for value_range in (ValueRange(-32, 60), ValueRange(-32, 60, filler=-32)):
        assert ValueRange.from_json(json.loads(json.dumps(value_range.to_json()))) == value_range
    for wrong in ({}, {"low": 0}, {"low": "x", "high": 1}, {"low": None, "high": 1}):
        with pytest.raises(ConfigError, match="has the entries low and high"):
            ValueRange.from_json(wrong)


def test_written_ranges() -> None:
    assert parse_range("auto") == "auto"
    assert parse_range("-32,60") == ValueRange(-32, 60)
    assert parse_range("-32,60,nan=-32") == ValueRange(-32, 60, filler=-32)
    for text in ("", "5", "a,b", "1,2,3", "1,2,nan=x", "nan=1"):
        with pytest.raises(ConfigError, match="is auto or two numbers such as 0,4095, not"):
            parse_range(text)
    for text in ("5,5", "7,3", "nan,1", "0,inf", "0,1,nan=nan"):
        with pytest.raises(ConfigError, match="two finite numbers, the lower one first"):
            parse_range(text)
