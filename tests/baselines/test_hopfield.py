from itertools import pairwise

import pytest
import torch

from framepred.baselines import HopfieldMemory, HopfieldRecall
from framepred.baselines.hopfield import CAPACITY
from framepred.errors import ConfigError

UNITS = 400


def random_patterns(count: int, units: int = UNITS) -> torch.Tensor:
    return torch.randint(0, 2, (count, units), generator=torch.Generator().manual_seed(count)) * 2.0 - 1


def errors(load: float) -> float:
    """Share of wrong units after recalling stored random patterns from themselves, at so many patterns a unit."""
    patterns = random_patterns(round(load * UNITS))
    memory = HopfieldMemory(patterns)
    return (memory.recall(patterns) != patterns).float().mean().item()


def test_recall_breaks_down_at_the_known_capacity() -> None:
    """At 0.138 random patterns a unit the errors jump (Amit et al. 1985); so few units blur the jump a little."""
    below, at, above = errors(0.1), errors(CAPACITY), errors(0.2)
    assert below < 0.01
    assert above > 0.15
    assert below < at < above


def test_capacity_grows_with_the_number_of_units() -> None:
    few, many = random_patterns(25, units=100), random_patterns(25, units=UNITS)
    wrong = [(HopfieldMemory(patterns).recall(patterns) != patterns).float().mean() for patterns in (few, many)]
    assert wrong[0] > 0.1
    assert wrong[1] < 0.001


def test_a_corrupted_pattern_is_rebuilt() -> None:
    patterns = random_patterns(20)
    flipped = torch.rand(patterns.shape) < 0.2
    recalled = HopfieldMemory(patterns).recall(torch.where(flipped, -patterns, patterns))
    assert (recalled == patterns).float().mean() > 0.999


def test_weights_are_hebbs_without_self_connections() -> None:
    """One unit's update, against the matrix written out."""
    patterns = random_patterns(5, units=12)
    weights = patterns.T @ patterns / 12
    weights.fill_diagonal_(0)
    state = random_patterns(1, units=12)
    memory = HopfieldMemory(patterns)
    torch.testing.assert_close(memory.energy(state), -0.5 * (state @ weights @ state.T).flatten())
    settled = memory.recall(state)
    field = (settled @ weights)[0]
    assert ((field == 0) | (field.sign() == settled[0])).all()


def test_energy_never_rises() -> None:
    memory, state = HopfieldMemory(random_patterns(60)), random_patterns(7)
    energies = [memory.energy(memory.recall(state, sweeps)) for sweeps in range(6)]
    assert all((after <= before).all() for before, after in pairwise(energies))
    assert (energies[-1] < energies[0]).all()


@pytest.mark.parametrize("patterns", [torch.zeros(2, 4), torch.empty(0, 4), torch.tensor([[1.0, 0.5]]), torch.ones(4)])
@pytest.mark.usefixtures("unchecked_shapes")
def test_only_black_and_white_is_stored(patterns: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="−1 and 1"):
        HopfieldMemory(patterns)


def test_a_missing_frame_becomes_the_nearer_seen_one() -> None:
    clip = (torch.rand(2, 5, 1, 8, 8) > 0.5).float()
    missing = torch.tensor([False, True, True, True, False])
    restored = HopfieldRecall().eval().restore(clip, missing)
    assert torch.equal(restored[:, 1], clip[:, 0])
    assert torch.equal(restored[:, 3], clip[:, 4])


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float16, torch.bfloat16, torch.float64])
def test_sums_over_units_are_exact_in_every_type(dtype: torch.dtype) -> None:
    patterns = random_patterns(3)
    probe = torch.cat([-patterns[:, :60], patterns[:, 60:]], dim=1)
    memory = HopfieldMemory(patterns.to(dtype))
    recalled = memory.recall(probe.to(dtype))
    assert recalled.dtype == dtype
    assert torch.equal(recalled.float(), patterns)
    expected = HopfieldMemory(patterns).energy(patterns)
    assert memory.energy(patterns.to(dtype)).tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("probe", [torch.zeros(2, 12), torch.ones(12), torch.ones(0, 12)], ids=["zeros", "1-D", "none"])
@pytest.mark.usefixtures("unchecked_shapes")
def test_only_black_and_white_is_recalled(probe: torch.Tensor) -> None:
    memory = HopfieldMemory(random_patterns(2, units=12))
    for use in (memory.recall, memory.energy):
        with pytest.raises(ConfigError, match=r"\(b, n\) of values −1 and 1"):
            use(probe)
