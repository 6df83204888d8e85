import pytest
import torch

from framepred.models.tracking.bounds import measure_bounds
from framepred.models.tracking.path_network import PathNetwork
from framepred.models.tracking.straight import speed_bounds, steady_velocity


def inputs(paths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of paths ``(n, t, 2)``, in the middle of a frame of 64 pixels."""
    positions = (paths - paths[:, -1:])[:, None]
    observed = torch.ones(len(paths), 1, paths.shape[1], dtype=torch.bool)
    distances = torch.tensor([32.0, 32.0, 22.0, 22.0]).expand(len(paths), 1, 2, 4)
    return positions, observed, distances


def straight(velocity: tuple[float, float], start: tuple[float, float] = (3.3, 7.8)) -> torch.Tensor:
    return (torch.tensor(start) + torch.arange(10.0)[:, None] * torch.tensor(velocity)).floor()[None]


@pytest.mark.parametrize("velocity", [(2.0, -3.0), (0.0, 1.0), (-0.37, 2.61)])
def test_untrained_it_predicts_steady_motion(velocity: tuple[float, float]) -> None:
    torch.manual_seed(0)
    probabilities = PathNetwork(hidden_features=16)(*inputs(straight(velocity))).exp()
    torch.testing.assert_close(probabilities.sum(dim=-1), torch.ones(1, 1, 2, 10))
    mode = probabilities.argmax(dim=-1)[0, 0] - 64
    expected = torch.tensor(velocity)[:, None] * torch.arange(1, 11)
    assert (mode - expected).abs().max() <= 1.2


def test_positions_that_were_not_observed_do_not_count() -> None:
    torch.manual_seed(0)
    net = PathNetwork(hidden_features=16)
    positions, observed, distances = inputs(straight((2.0, -3.0)))
    observed[..., :4] = False
    other = positions.clone()
    other[:, :, :4] = 55
    torch.testing.assert_close(net(positions, observed, distances), net(other, observed, distances))


def test_one_observed_position_is_enough() -> None:
    positions, observed, distances = inputs(straight((2.0, -3.0)))
    observed[..., :-1] = False
    assert PathNetwork(hidden_features=16)(positions, observed, distances).isfinite().all()


def test_mirrored_paths_start_from_mirrored_predictions() -> None:
    net = PathNetwork(hidden_features=16)
    right, left = (net(*inputs(path)).exp() for path in (straight((3.0, 0.0)), straight((-3.0, 0.0))))
    assert right[0, 0, 0, 4].argmax() - 64 == 15
    assert left[0, 0, 0, 4].argmax() - 64 == -15


def test_bounds_hold_the_velocity_and_tell_of_a_turn() -> None:
    steady = straight((1.7, -0.4))[0].T
    bounds = speed_bounds(steady, torch.ones(2, 10, dtype=torch.bool))
    velocity = torch.tensor([1.7, -0.4])[:, None]
    assert ((bounds.suffix_low <= velocity) & (velocity <= bounds.suffix_high)).all()
    assert ((bounds.prefix_low <= velocity) & (velocity <= bounds.prefix_high)).all()
    turned = torch.tensor([[0.0, 3, 6, 9, 12, 15, 12, 9, 6, 3]])
    bounds = speed_bounds(turned, torch.ones(1, 10, dtype=torch.bool))
    assert (bounds.suffix_low < bounds.suffix_high)[0].tolist() == [False] * 5 + [True] * 4
    assert steady_velocity(bounds).item() == pytest.approx(-3, abs=0.3)


def test_distances_are_to_the_edges_of_the_frame_not_of_its_padding() -> None:
    light = torch.zeros(1, 2, 16, 24)
    light[0, 0, 4:6, 10:14] = 1
    bounds = measure_bounds(light, (14, 20))
    assert bounds[0, 0].tolist() == [[pytest.approx(12, abs=0.01), pytest.approx(8, abs=0.01), 10, 6],
                                     [pytest.approx(5, abs=0.01), pytest.approx(9, abs=0.01), 4, 8]]  # fmt: skip
    assert bounds[0, 1, :, 0].tolist() == pytest.approx([10, 7])  # nothing lies in the middle
