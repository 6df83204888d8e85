import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from framepred.errors import ConfigError, DataError
from framepred.evaluation import Card, ProtocolVersion
from framepred.evaluation.compare import compare, difference, write_plot
from framepred.evaluation.references import find_references, references


def with_errors(card: Card, errors: list[float], name: str) -> Card:
    """The card with these squared errors per clip."""
    mse = sum(errors) / len(errors)
    metrics = {**card.metrics, "mse": replace(card.metrics["mse"], value=mse)}
    weights = replace(card.weights, name=name)
    return replace(card, metrics=metrics, per_clip={"mse": tuple(errors)}, weights=weights)


@pytest.fixture
def errors() -> list[float]:
    return torch.rand(200, generator=torch.Generator().manual_seed(0)).mul(100).tolist()


def test_a_small_steady_difference_is_no_tie(example: Card, errors: list[float]) -> None:
    """A difference of 1 on every clip is certain, though both intervals of the means are 8 wide."""
    one, other = with_errors(example, errors, "one"), with_errors(example, [e + 1 for e in errors], "other")
    found = compare([one, other])
    assert (found.best["mse"], found.ties["mse"]) == (0, ())
    assert found.differences["mse"][1].low == pytest.approx(1, abs=1e-3)


def test_a_difference_that_depends_on_the_clip_is_a_tie(example: Card, errors: list[float]) -> None:
    noise = torch.randn(200, generator=torch.Generator().manual_seed(1)) * 10
    changed = [error + change for error, change in zip(errors, (noise - noise.mean() + 0.1).tolist(), strict=True)]
    found = compare([with_errors(example, errors, "one"), with_errors(example, changed, "other")])
    assert found.ties["mse"] == (1,)
    assert "=" in "".join(found.rows()[1][1])


def test_the_interval_is_that_of_the_paired_differences(example: Card, errors: list[float]) -> None:
    other = [error * 1.1 for error in errors]
    found = difference(with_errors(example, other, "b"), with_errors(example, errors, "a"), "mse")
    pairs = torch.tensor(other) - torch.tensor(errors)
    half = 1.96 * pairs.std().item() / len(pairs) ** 0.5
    assert found.high - found.low == pytest.approx(2 * half, rel=0.15)


def test_cards_without_values_per_clip_have_unknown_ties(example: Card) -> None:
    found = compare([example, replace(example, metrics={**example.metrics})], names=["a", "b"])
    assert found.ties["mse"] is None
    assert "Ties are unknown" in found.legend()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda card: replace(card, protocol=ProtocolVersion("wang2004")),
            "protocol differs, openstl v1 and wang2004 v1",
        ),
        (lambda card: replace(card, protocol=ProtocolVersion("openstl", 2)), "protocol differs"),
        (
            lambda card: replace(card, data=replace(card.data, sha256="ef" * 32)),
            r"data \(SHA-256 of the clips\) differs",
        ),
        (lambda card: replace(card, data=replace(card.data, context=5)), "context differs, 10 and 5"),
        (lambda card: replace(card, data=replace(card.data, horizon=20)), "horizon differs, 2 and 20"),
        (lambda card: replace(card, data=replace(card.data, clips=10)), "number of clips differs"),
    ],
)
def test_cards_that_differ_are_refused_with_the_reason(example: Card, change, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        compare([example, change(example)])


def test_cards_of_unknown_data_are_refused(example: Card) -> None:
    unknown = replace(example, data=replace(example.data, sha256=None))
    with pytest.raises(DataError, match="unknown and unknown"):
        compare([unknown, unknown])


def test_one_card_is_nothing_to_compare(example: Card) -> None:
    with pytest.raises(DataError, match="two cards"):
        compare([example])


def test_json_and_markdown_hold_the_numbers(example: Card, errors: list[float]) -> None:
    found = compare([with_errors(example, errors, "a|b"), with_errors(example, [e + 1 for e in errors], "other")])
    content = json.loads(found.to_json())
    assert content["protocol"] == {"name": "openstl", "version": 1}
    assert [row["name"] for row in content["cards"]] == ["a|b", "other"]
    assert content["cards"][1]["difference"]["mse"]["value"] == pytest.approx(1)
    assert content["cards"][0]["best"][0] == "mse"
    lines = found.markdown().splitlines()
    assert lines[2].startswith("|  | mse ↓ |")
    assert "a\\|b" in lines[4]


def test_references_are_marked_as_published(example: Card) -> None:
    card = replace(example, data=replace(example.data, horizon=10))
    found = compare([card], references=find_references(["openstl/convlstm-s"], card))
    assert found.rows()[1][1] == [
        "openstl/convlstm-s (published, not measured here)",
        "29.80",
        "90.64",
        "22.10",
        "0.9288",
    ]
    (published,) = json.loads(found.to_json())["references"]
    assert published["measured_here"] is False
    assert "arXiv:2306.11249" in published["source"]


def test_references_that_do_not_fit_are_refused(example: Card) -> None:
    with pytest.raises(DataError, match="it has horizon 10, not 2"):
        find_references(["openstl/convlstm-s"], example)
    with pytest.raises(ConfigError, match="no reference 'nosuch'; choose one of openstl/convlstm-s"):
        find_references(["nosuch"], example)


@pytest.mark.parametrize("name", references())
def test_every_reference_is_cited(name: str) -> None:
    one = references()[name]
    assert "arXiv:" in one.source
    assert one.metrics["mse"] > 0


def test_the_curves_are_a_picture(example: Card, tmp_path: Path) -> None:
    bounds = {"mse": ((19.0, 22.0), (40.0, 44.0))}
    write_plot(compare([replace(example, lead_intervals=bounds), example], ["a", "b"]), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
