from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framepred.baselines import LinearInterpolation
from framepred.errors import ClipError, ConfigError, WeightsError
from framepred.forecaster import Forecaster
from framepred.models import BidirectionalForecaster, load, load_restorer
from framepred.models.cost import macs_per_clip
from framepred.restorer import MiddleGap


def marks(text: str) -> torch.Tensor:
    return torch.tensor([letter == "x" for letter in text])


@pytest.fixture
def net() -> BidirectionalForecaster:
    return BidirectionalForecaster(hidden_channels=8, mixing_channels=8, reach=2).eval()


@pytest.fixture
def awake(net: BidirectionalForecaster) -> BidirectionalForecaster:
    """One whose heads do more than those of a new network."""
    with torch.no_grad():
        for head in (net.velocity, net.mixing_logits, net.residual):
            head.weight.mul_(10)
    return net


@settings(max_examples=15)
@given(
    text=st.text("x.", min_size=2, max_size=7).filter(lambda text: "." in text and "x" in text),
    height=st.integers(1, 19),
    width=st.integers(1, 19),
)
def test_any_gap_and_any_size(text: str, height: int, width: int) -> None:
    clip = torch.rand(2, len(text), 1, height, width)
    net = BidirectionalForecaster(hidden_channels=4, mixing_channels=4, reach=1).eval()
    restored = net.restore(clip, marks(text))
    assert torch.equal(restored[:, ~marks(text)], clip[:, ~marks(text)])
    assert ((restored >= 0) & (restored <= 1)).all()


def test_what_missing_frames_hold_is_not_looked_at(awake: BidirectionalForecaster) -> None:
    clip, missing = torch.rand(1, 7, 1, 16, 16), marks("..xx.x.")
    other = torch.where(missing[:, None, None, None], torch.rand_like(clip), clip)
    assert torch.equal(awake.restore(clip, missing), awake.restore(other, missing))


@pytest.mark.parametrize("changed", [0, 1, 5, 6])
def test_both_sides_are_looked_at_as_far_as_they_go(awake: BidirectionalForecaster, changed: int) -> None:
    clip, missing = torch.rand(1, 7, 1, 16, 16), marks("..xxx..")
    other = clip.clone()
    other[:, changed] = torch.rand(1, 1, 16, 16)
    assert not torch.allclose(awake.restore(clip, missing)[:, 2:5], awake.restore(other, missing)[:, 2:5], atol=1e-6)


def test_the_backward_half_tells_the_moment_of_the_gap(awake: BidirectionalForecaster) -> None:
    """Frame 3 is no neighbour of the gap and lies after it: it is known through the backward state there alone."""
    clip, missing = torch.rand(1, 7, 1, 16, 16), marks(".x.....")
    other = clip.clone()
    other[:, 3] = torch.rand(1, 1, 16, 16)
    assert not torch.allclose(awake.restore(clip, missing)[:, 1], awake.restore(other, missing)[:, 1], atol=1e-6)


def test_without_a_preference_it_is_linear_interpolation(net: BidirectionalForecaster) -> None:
    clip, missing = torch.rand(1, 9, 1, 24, 24), marks("x.xxx.x.x")
    with torch.no_grad():
        for head in (net.velocity, net.mixing_logits, net.residual):
            head.weight.zero_()
    torch.testing.assert_close(net.restore(clip, missing), LinearInterpolation().eval().restore(clip, missing))


def test_a_new_network_is_nearly_that(net: BidirectionalForecaster) -> None:
    clip = torch.nn.functional.avg_pool2d(torch.rand(1, 7, 24, 24), 5, 1)[:, :, None]
    missing = marks("..xxx.x")
    error = (net.restore(clip, missing) - LinearInterpolation().eval().restore(clip, missing)).abs()
    assert error.mean() < 0.03


def test_colours_run_as_clips_of_their_own(awake: BidirectionalForecaster) -> None:
    clip, missing = torch.rand(2, 5, 3, 9, 8), marks(".xx..")
    apart = torch.cat([awake.restore(clip[:, :, c : c + 1], missing) for c in range(3)], dim=2)
    torch.testing.assert_close(awake.restore(clip, missing), apart)


def test_channels_that_the_weights_do_not_know_are_refused() -> None:
    with pytest.raises(ClipError, match="3 channels"):
        BidirectionalForecaster(channels=3, hidden_channels=4, mixing_channels=4).restore(
            torch.rand(1, 3, 1, 8, 8), marks(".x.")
        )


def test_clips_of_a_batch_do_not_meet(awake: BidirectionalForecaster) -> None:
    clip, missing = torch.rand(3, 5, 1, 8, 8), marks(".x.x.")
    apart = torch.cat([awake.restore(one, missing) for one in clip.split(1)])
    torch.testing.assert_close(awake.restore(clip, missing), apart)


def test_it_is_a_restorer_and_no_forecaster(net: BidirectionalForecaster, tmp_path: Path) -> None:
    net.save_pretrained(tmp_path / "weights")
    assert not isinstance(net, Forecaster)
    assert isinstance(load_restorer(tmp_path / "weights"), BidirectionalForecaster)
    with pytest.raises(WeightsError, match="cannot forecast"):
        load(tmp_path / "weights")


def test_every_part_learns(net: BidirectionalForecaster) -> None:
    net.train().fill(torch.rand(2, 6, 1, 16, 16), marks("..xx..")).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())


@pytest.mark.slow
def test_it_learns_a_motion_that_fading_cannot_show() -> None:
    """A bright square crosses the picture at a steady pace: a few steps suffice to beat linear interpolation."""
    torch.manual_seed(0)
    clip = torch.zeros(2, 7, 1, 16, 32)
    for time in range(7):
        clip[0, time, :, 4:10, 3 * time : 3 * time + 6] = 1
        clip[1, time, :, 6:12, 20 - 3 * time : 26 - 3 * time] = 1
    missing = marks("..xxx..")
    net = BidirectionalForecaster(hidden_channels=16, mixing_channels=16).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (net.fill(clip, missing) - clip[:, missing]).square().mean()
        loss.backward()
        optimizer.step()
    linear = (LinearInterpolation().fill(clip, missing) - clip[:, missing]).square().mean()
    assert loss < linear / 2


@pytest.mark.parametrize("arguments", [{"hidden_channels": 6}, {"layers": 0}, {"channels": 0}, {"reach": 0}])
def test_arguments_outside_their_domain(arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="multiple of 4"):
        BidirectionalForecaster(**arguments)


def test_cost_grows_with_every_frame(net: BidirectionalForecaster) -> None:
    costs = [macs_per_clip(MiddleGap(net), seen, missing, (1, 16, 16)) for seen, missing in [(4, 1), (4, 2), (6, 2)]]
    assert all(less < more for less, more in pairwise(costs))
