"""Weights of a blend from a clip's own errors and a prior, and the script that measures it."""

import json
from pathlib import Path
from runpy import run_path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor

from framepred.inference import error_prior
from framepred.inference.error_prior import LARGE, SMALL, weigh_members
from framepred.inference.regions import REGIONS
from framepred.inference.stacking import ErrorProducts, best_weights
from framepred.models import EncoderForecaster

PRIOR = torch.tensor([[4.0, 0.0], [0.0, 1.0]]).expand(1, 2, 2, 2)
"""Products of two members, the second of which the prior takes for better."""

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmarks" / "error_prior.py"


def measured(errors: Tensor, times: int, leads: int = 2) -> ErrorProducts:
    """Products of members with these sizes of errors, which are independent, in a frame of one region."""
    products = ErrorProducts(2, len(errors))
    for _ in range(times):
        for lead in range(leads):
            noise = torch.randn(len(errors), 1, 32, 32, generator=torch.Generator().manual_seed(lead))
            products.add(lead, errors[:, None, None, None] * noise, torch.zeros(1, 32, 32))
    return products


def test_without_a_past_the_weights_are_those_of_films_in_general() -> None:
    nothing = ErrorProducts(10, 4, REGIONS)
    small, large = weigh_members(nothing), weigh_members(nothing, large=True)
    for weights in (small, large):
        assert weights.shape == (10, REGIONS, 4)
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(10, REGIONS))
        assert float(weights.std(dim=0).max()) > 0.05  # they differ by lead time
    assert not torch.equal(small, large)
    assert weigh_members(ErrorProducts(3, 4, REGIONS)).shape == (3, REGIONS, 4)


def test_another_number_of_members_gets_equal_weights_without_a_past_and_its_own_with_one() -> None:
    torch.testing.assert_close(weigh_members(ErrorProducts(10, 3, REGIONS)), torch.full((1, 1, 3), 1 / 3))
    products = measured(torch.tensor([0.1, 0.2, 0.3]), times=1)
    torch.testing.assert_close(weigh_members(products), products.best_weights())


def test_a_window_weighs_more_than_the_error_prior_and_four_windows_more_than_one() -> None:
    """In the first region the first of four members is much better than in the prior."""
    prior = weigh_members(ErrorProducts(10, 4, REGIONS))[0, 0, 0]
    sizes = torch.tensor([0.1, 0.3, 0.3, 0.3])
    found = []
    for times in (1, 4):
        products = ErrorProducts(10, 4, REGIONS)
        for _ in range(times):
            noise = sizes[:, None, None, None] * torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
            products.add(0, noise, torch.zeros(1, 64, 64), torch.eye(REGIONS)[0, :, None, None].expand(-1, 64, 64))
        alone = products.best_weights()[0, 0, 0]
        found.append(float(weigh_members(products)[0, 0, 0]))
    assert float(prior) + 0.1 < found[0] < found[1] < float(alone)


def test_the_longer_the_past_the_less_the_error_prior_count() -> None:
    prior = measured(torch.tensor([0.3, 0.1]), times=1).means
    own = torch.tensor([0.1, 0.3])
    found = [
        float(best_weights(measured(own, times).means_with_prior(prior, count=1))[0, 0, 0]) for times in (1, 4, 40)
    ]
    alone = float(measured(own, 1).best_weights()[0, 0, 0])
    assert 0.4 < found[0] < found[1] < found[2] < alone
    assert found[2] > alone - 0.05


def test_a_lead_time_that_was_not_measured_follows_the_last_one_that_was() -> None:
    prior = measured(torch.tensor([0.1, 0.1]), times=1).means
    products = measured(torch.tensor([0.1, 0.4]), times=5, leads=1)
    weights = best_weights(products.means_with_prior(prior, count=1))
    assert len(weights) == 2
    assert float(weights[1, 0, 0]) > 0.75


def test_the_size_of_a_region_does_not_matter() -> None:
    """A region of one column is weighed as one of half the frame is."""
    found = []
    for columns in (1, 16):
        regions = torch.zeros(2, 32, 32)
        regions[0, :, :columns] = regions[1, :, columns:] = 1
        noise = torch.tensor([0.1, 0.2])[:, None, None, None] * torch.ones(2, 1, 32, 32)
        noise[1] *= torch.randn(1, 32, 1, generator=torch.Generator().manual_seed(0)).sign()  # the same in each column
        products = ErrorProducts(1, 2, regions=2)
        products.add(0, noise, torch.zeros(1, 32, 32), regions)
        found.append(best_weights(products.means_with_prior(PRIOR, 1.0), 0)[0, 0])
    torch.testing.assert_close(found[0], found[1], atol=0.01, rtol=0)


def test_what_is_exact_or_unseen_is_weighed_without_the_error_prior() -> None:
    """The left half is exact, the right half is not, and a third region is not seen."""
    regions = torch.zeros(3, 16, 16)
    regions[0, :, :8] = regions[1, :, 8:] = 1
    truth = torch.rand(1, 16, 16)
    products = ErrorProducts(1, 2, regions=3)
    products.add(0, torch.stack([truth + 0.1, truth + 0.1 * regions[1]]), truth, regions)
    prior = torch.eye(2).expand(1, 3, 2, 2)
    exact, inexact, unseen = best_weights(products.means_with_prior(prior, count=1))[0]
    assert exact.tolist() == [0, 1]
    assert float(inexact[0]) > 0.1
    assert float(unseen[1]) > 0.5  # as in the whole frame


def test_a_frame_without_a_measured_pixel_does_not_count() -> None:
    products = ErrorProducts(1, 2, regions=2)
    products.add(0, torch.rand(2, 1, 8, 8), torch.rand(1, 8, 8), torch.zeros(2, 8, 8))
    assert products.measured == 0


def test_the_script_writes_the_error_prior_of_films(tmp_path: Path, small_net: EncoderForecaster) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "films").mkdir()
    for name, width in (("drift", 32), ("large", 264)):
        drift = np.cumsum(random.integers(0, 3, (33, 1, 24, width)), axis=-1).astype(np.uint8)
        np.save(tmp_path / "films" / f"{name}.npy", drift)
    small_net.save_pretrained(tmp_path / "net")
    write = run_path(str(SCRIPT))["write_error_prior"]
    write.__globals__["FILE"] = tmp_path / "prior.json"
    write(tmp_path / "films", str(tmp_path / "net"), windows=2)
    found = json.loads((tmp_path / "prior.json").read_text())
    assert found["films"] == ["drift", "large"]
    assert found["products"].keys() == {SMALL, LARGE}
    for products in map(torch.tensor, found["products"].values()):
        assert products.shape == (10, REGIONS, 4, 4)
        torch.testing.assert_close(products, products.mT)
        assert float(products.diagonal(dim1=-2, dim2=-1).sum(dim=1).min()) > 0.5  # relative to the least error


@pytest.mark.parametrize("members", [3, 4])
def test_the_errors_of_the_first_member_can_be_scaled(members: int) -> None:
    random = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 16, 16, generator=random)
    noise = 0.1 * torch.randn(members, 1, 16, 16, generator=random)
    smaller = torch.cat([noise[:1] / 4, noise[1:]])
    factor = torch.tensor([1.0, 0.25])  # the last one holds for all that follow
    before, after = ErrorProducts(4, members), ErrorProducts(4, members)
    for lead in range(4):
        before.add(lead, truth + noise, truth)
        after.add(lead, truth + (smaller if lead else noise), truth)
    with patch.object(error_prior, "PRIOR_COUNT", 0):
        scaled, plain = weigh_members(before, error_factor=factor), weigh_members(after)
    torch.testing.assert_close(scaled, plain, atol=2e-3, rtol=0)
    assert (scaled[1:, 0, 0] > scaled[0, 0, 0]).all()
