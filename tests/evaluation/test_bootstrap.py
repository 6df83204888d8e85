import torch
from hypothesis import given
from hypothesis import strategies as st

from framepred.evaluation.averages import poisson_weights


@given(cut=st.integers(0, 12))
def test_weights_do_not_depend_on_the_batch_size(cut: int) -> None:
    whole = poisson_weights(0, range(12), replicates=20)
    parts = [poisson_weights(0, range(cut), 20), poisson_weights(0, range(cut, 12), 20)]
    assert torch.equal(torch.cat(parts), whole)


def test_weights_are_poisson_of_mean_and_variance_one() -> None:
    weights = poisson_weights(0, range(300), replicates=1000).double()
    assert abs(weights.mean().item() - 1) < 0.01
    assert abs(weights.var().item() - 1) < 0.02
    assert abs((weights == 0).double().mean().item() - 0.3679) < 0.005


def test_seed_and_clip_decide_the_weights() -> None:
    draws = [poisson_weights(seed, (clip,), replicates=100) for seed, clip in [(0, 0), (1, 0), (0, 1), (1, 1)]]
    assert all(not torch.equal(a, b) for i, a in enumerate(draws) for b in draws[:i])
