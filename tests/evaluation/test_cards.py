import json
import math
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from framepred.errors import DataError
from framepred.evaluation import Card, DataRecord, Interval, WeightsRecord


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
