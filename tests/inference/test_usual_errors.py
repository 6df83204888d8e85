"""Weights of a blend from a clip's own errors and those that are usual in films, and the script that measures these."""

import json
from pathlib import Path
from runpy import run_path

import numpy as np
import torch
from torch import Tensor

from framepred.inference import usual_errors
from framepred.inference.regions import REGIONS
from framepred.inference.stacking import ErrorProducts
from framepred.inference.usual_errors import weigh_members
from framepred.models import EncoderForecaster

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmarks" / "usual_errors.py"


def measured(errors: Tensor, times: int, leads: int = 2) -> ErrorProducts:
    """Products of members with these sizes of errors, which are independent, in a frame of one region."""
    products = ErrorProducts(2, len(errors))
    for _ in range(times):
        for lead in range(leads):
            noise = torch.randn(len(errors), 1, 32, 32, generator=torch.Generator().manual_seed(lead))
            products.add(lead, errors[:, None, None, None] * noise, torch.zeros(1, 32, 32))
    return products


def test_without_a_past_the_weights_are_those_of_films_in_general() -> None:
    for large in (False, True):
        weights = weigh_members(ErrorProducts(10, 4, REGIONS), large=large)
        assert weights.shape == (10, REGIONS, 4)
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(10, REGIONS))
        assert float(weights.std(dim=0).max()) > 0.05  # they differ by lead time
    assert weigh_members(ErrorProducts(3, 4, REGIONS)).shape == (3, REGIONS, 4)


def test_other_members_get_equal_weights_without_a_past_and_their_own_with_one() -> None:
    torch.testing.assert_close(weigh_members(ErrorProducts(10, 3, REGIONS)), torch.full((1, 1, 3), 1 / 3))
    products = measured(torch.tensor([0.1, 0.2, 0.3]), times=1)
    torch.testing.assert_close(weigh_members(products), products.best_weights())


def test_the_longer_the_past_the_less_the_usual_errors_count() -> None:
    usual = measured(torch.tensor([0.3, 0.1]), times=1).means
    own = torch.tensor([0.1, 0.3])
    first = [float(measured(own, times).supported_by(usual, count=1).best_weights()[0, 0, 0]) for times in (1, 4, 40)]
    alone = float(measured(own, 1).best_weights()[0, 0, 0])
    assert 0.4 < first[0] < first[1] < first[2] < alone
    torch.testing.assert_close(first[2], alone, atol=0.05, rtol=0)


def test_a_lead_time_that_was_not_measured_follows_the_last_one_that_was() -> None:
    usual = measured(torch.tensor([0.1, 0.1]), times=1).means
    weights = measured(torch.tensor([0.1, 0.4]), times=5, leads=1).supported_by(usual, count=1).best_weights()
    assert len(weights) == 2
    assert float(weights[1, 0, 0]) > 0.75


def test_what_is_exact_stays_exact() -> None:
    """The left half stands still, the right half does not: the usual errors count only there."""
    halves = torch.zeros(2, 16, 16)
    halves[0, :, :8] = halves[1, :, 8:] = 1
    truth = torch.rand(1, 16, 16)
    products = ErrorProducts(1, 2, regions=2)
    products.add(0, torch.stack([truth + 0.1, truth + 0.1 * halves[1]]), truth, halves)
    usual = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]).expand(1, 2, 2, 2)
    still, moving = products.supported_by(usual, count=1).best_weights()[0]
    assert still.tolist() == [0, 1]
    assert float(moving[0]) > 0.1


def test_the_script_writes_the_usual_errors_of_films(tmp_path: Path, small_net: EncoderForecaster) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "films").mkdir()
    for name, width in (("drift", 32), ("large", 264)):
        drift = np.cumsum(random.integers(0, 3, (33, 1, 24, width)), axis=-1).astype(np.uint8)
        np.save(tmp_path / "films" / f"{name}.npy", drift)
    small_net.save_pretrained(tmp_path / "net")
    write = run_path(str(SCRIPT))["write_usual_errors"]
    write.__globals__["FILE"] = tmp_path / "blend.json"
    write(tmp_path / "films", str(tmp_path / "net"), windows=2)
    found = json.loads((tmp_path / "blend.json").read_text())
    assert found["films"] == ["drift", "large"]
    assert found["products"].keys() == {usual_errors.SMALL, usual_errors.LARGE}
    for products in map(torch.tensor, found["products"].values()):
        assert products.shape == (10, REGIONS, 4, 4)
        torch.testing.assert_close(products, products.mT)
        assert float(products.diagonal(dim1=-2, dim2=-1).sum(dim=1).min()) > 0.5  # relative to the least error
