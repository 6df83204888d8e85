import json
import math
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framepred.errors import DataError
from framepred.evaluation import Card, DataRecord, Interval, ProtocolVersion, WeightsRecord


def test_the_json_is_the_contract(example: Card) -> None:
    card = json.loads(example.to_json())
    assert list(card) == [
        "framepred",
        "protocol",
        "data",
        "weights",
        "metrics",
        "lead_times",
        "baselines",
        "skill",
    ]
    assert card["framepred"] == version("framepred")
    assert card["protocol"] == {"name": "openstl", "version": 1}
    assert list(card["data"]) == [
        "name",
        "split",
        "seed",
        "clips",
        "context",
        "horizon",
        "size",
        "digits",
        "sha256",
    ]
    assert card["data"]["size"] == [1, 64, 64]
    assert list(card["weights"]) == ["name", "sha256", "parameters", "macs_per_clip"]
    assert card["metrics"]["mse"] == {"value": 31.25, "low": 30.0, "high": 32.0}
    assert card["lead_times"]["mse"] == [20.5, 42.0]
    assert card["baselines"]["blank"]["mse"] == 176.0
    assert card["skill"]["mse"] == 0.8224


def test_json_and_back(example: Card) -> None:
    card = replace(example, notes=("All predictions are blank.",))
    assert Card.from_json(card.to_json()) == card


def test_values_per_clip_come_back_as_float32(example: Card) -> None:
    values = tuple(np.float32([0.1, 31.25, 1e-7]).tolist())
    card = replace(example, per_clip={"mse": values}, lead_intervals={"mse": ((19.0, 22.0), (40.0, 44.0))})
    assert Card.from_json(card.to_json()) == card
    assert len(json.loads(card.to_json())["per_clip"]["mse"]) == 16  # four bytes per clip, as base64


def test_cards_of_0_1_0_stay_readable(example: Card) -> None:
    """They hold the protocol's name only, and none of the later fields."""
    raw = json.loads(example.to_json())
    raw["framepred"], raw["protocol"] = "0.1.0", "wang2004"
    card = Card.from_json(json.dumps(raw))
    assert card.protocol == ProtocolVersion("wang2004", 1)
    assert (card.per_clip, card.lead_intervals, card.baseline_lead_times) == ({}, {}, {})


STRANGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([10**400, "\ud800", "AAA"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def replaced(value: object, path: list[int], new: object) -> object:
    """The JSON value with the part at some path replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return new
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    part = replaced(value[key], path[1:], new)
    return {**value, key: part} if isinstance(value, dict) else [*value[:key], part, *value[key + 1 :]]


def read_or_refuse(read: Callable[[], Card]) -> tuple[Card | None, str]:
    """The card or the sentence of the refusal; any other error is a failure."""
    try:
        return read(), ""
    except DataError as error:
        return None, str(error)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.lists(st.integers(0, 20), min_size=0, max_size=4), new=STRANGE)
def test_any_changed_field_gives_a_card_or_a_sentence(example: Card, path: list[int], new: object) -> None:
    whole = replace(example, per_clip={"mse": (1.0, 2.0)}, lead_intervals={"mse": ((1.0, 2.0), (3.0, 4.0))})
    text = json.dumps(replaced(json.loads(whole.to_json()), path, new))
    card, sentence = read_or_refuse(lambda: Card.from_json(text))
    assert "\n" not in sentence
    assert sentence.encode() or Card.from_json(card.to_json()) == card


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), patch=st.binary(min_size=1, max_size=4))
def test_any_changed_bytes_give_a_card_or_a_sentence(
    example: Card, tmp_path: Path, position: int, patch: bytes
) -> None:
    content = example.to_json().encode()
    position %= len(content)
    path = tmp_path / "card.json"
    path.write_bytes(content[:position] + patch + content[position + len(patch) :])
    assert "\n" not in read_or_refuse(lambda: Card.read(path))[1]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 10_000])
def test_deep_and_long_json_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(DataError, match="not a results card"):
        Card.from_json(text)


def test_a_folder_means_the_card_in_it(example: Card, tmp_path: Path) -> None:
    example.write(tmp_path / "card.json")
    assert Card.read(tmp_path) == example


def test_what_does_not_apply_is_left_out_and_comes_back_as_none(example: Card) -> None:
    card = replace(example, data=DataRecord(name="folder"), weights=WeightsRecord(name="baseline:blank"))
    raw = json.loads(card.to_json())
    assert raw["data"] == {"name": "folder"}
    assert raw["weights"] == {"name": "baseline:blank"}
    assert Card.from_json(card.to_json()) == card
    bare = replace(card, weights=None)
    assert "weights" not in json.loads(bare.to_json())
    assert Card.from_json(bare.to_json()) == bare


def test_a_card_of_a_later_version_may_hold_more(example: Card) -> None:
    raw = json.loads(example.to_json())
    raw["more"] = raw["data"]["more"] = raw["weights"]["more"] = 1
    assert Card.from_json(json.dumps(raw)) == example


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_json_has_no_nan(example: Card, value: float) -> None:
    card = replace(example, metrics={"mse": Interval(value, 0.0, 1.0)})
    with pytest.raises(DataError, match="NaN or infinite"):
        card.to_json()


def test_file_and_back(example: Card, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    example.write(path)
    assert Card.read(path) == example
    assert [file.name for file in tmp_path.iterdir()] == ["card.json"]


def test_a_card_that_cannot_be_written_leaves_the_old_one(example: Card, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    example.write(path)
    with pytest.raises(DataError):
        replace(example, skill={"mse": math.nan}).write(path)
    assert Card.read(path) == example
    assert [file.name for file in tmp_path.iterdir()] == ["card.json"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda text: text[:100], "Unterminated|Expecting"),
        (lambda text: "", "Expecting value"),
        (lambda text: "[]", "not a results card"),
        (lambda text: "3", "not a results card"),
        (lambda text: text.replace('"protocol"', '"protokoll"'), "'protocol' is missing"),
        (lambda text: text.replace('"low"', '"under"'), "not a results card"),
        (lambda text: text.replace("31.25", '"31.25"'), "'31.25' is not a number"),
        (lambda text: text.replace("31.25", "NaN"), "NaN is not a number"),
        (lambda text: text.replace("31.25", "true"), "True is not a number"),
        (lambda text: text.replace('"name": "moving-mnist"', '"title": "moving-mnist"'), "name"),
    ],
)
def test_a_damaged_file_is_named(example: Card, tmp_path: Path, change, found: str) -> None:
    path = tmp_path / "card.json"
    path.write_text(change(example.to_json()), encoding="utf-8")
    with pytest.raises(DataError, match=found) as caught:
        Card.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nosuch\.json cannot be read \(No such file or directory\)"):
        Card.read(tmp_path / "nosuch.json")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match="not text"):
        Card.read(path)
