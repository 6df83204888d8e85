import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framepred.clips import to_unit
from framepred.data import MovingMNIST
from framepred.errors import ClipError, ConfigError
from framepred.models import TrackingForecaster
from framepred.models.cost import macs_per_clip
from framepred.models.tracking.slot_cell import PACE, WAVES


def small(channels: int = 1, layers: int = 2) -> TrackingForecaster:
    return TrackingForecaster(channels, layers=layers, coarse=8, fine=4, embedding=6, slot=6, reach=2)


@torch.no_grad()
def plain(layers: int = 2) -> TrackingForecaster:
    """Follows what it tracks at full gain; adds nothing of its own."""
    net = TrackingForecaster(layers=layers, coarse=8, fine=4, embedding=6, slot=6, reach=4).eval()
    for head in (net.take, net.depth, net.residual, net.slot.act):
        head.weight.zero_()
        head.bias.zero_()
    net.slot.act.bias[:] = torch.tensor([50.0, 50.0, -50.0, 0.0, 0.0, -50.0])
    return net


def disc(x: float, y: float) -> torch.Tensor:
    at = torch.arange(48) + 0.5
    return (8 - ((at - x).square() + (at[:, None] - y).square()).sqrt()).clamp(0, 1)


@settings(max_examples=10)
@given(st.integers(1, 23), st.integers(1, 23), st.sampled_from([1, 2, 3]))
def test_any_size_and_any_channels(height: int, width: int, channels: int) -> None:
    clip = torch.rand(2, 3, channels, height, width)
    for known in {1, channels}:
        assert small(known).eval()(clip, 2).shape == (2, 2, channels, height, width)


def test_one_channel_weights_run_each_channel_of_a_colour_frame() -> None:
    net = small().double().eval()
    clip = torch.rand(2, 4, 3, 8, 9, dtype=torch.float64)
    apart = torch.cat([net(clip[:, :, [channel]], 3) for channel in range(3)], dim=2)
    torch.testing.assert_close(net(clip, 3), apart, rtol=0, atol=1e-9)


def test_other_channels_are_refused() -> None:
    with pytest.raises(ClipError, match="3 channels, and these frames have 1"):
        small(3)(torch.rand(1, 2, 1, 8, 8), 1)


def test_untrained_it_follows_what_moves_steadily_and_keeps_it_sharp() -> None:
    """Two pixels a frame, seen five times: five frames on, the square of noise is where it has gone, and as sharp."""
    square = torch.rand(12, 12, generator=torch.Generator().manual_seed(0))
    clip = torch.zeros(1, 10, 1, 48, 48)
    for time in range(10):
        clip[0, time, 0, 16:28, 4 + 2 * time : 16 + 2 * time] = square
    with torch.inference_mode():
        prediction = plain()(clip[:, :5], 5)
    for lead in range(5):
        error = (prediction[:, lead] - clip[:, 5 + lead]).square().sum()
        assert error < 0.1 * square.square().sum()


def test_untrained_it_tells_two_objects_apart_on_digits() -> None:
    """Lead time 1 on Moving MNIST: far better than the last frame, with nothing learned."""
    clips = to_unit(MovingMNIST("train", clips=16, length=11, digits="mnist-5k").render(range(16)))
    torch.manual_seed(0)
    net = TrackingForecaster(coarse=8, fine=4).eval()
    with torch.inference_mode():
        ours = (net(clips[:, :10], 1)[:, 0] - clips[:, 10]).square().mean()
    assert ours < 0.45 * (clips[:, 9] - clips[:, 10]).square().mean()


def test_layers_lose_what_the_frame_does_not_show_faint_or_bright() -> None:
    """Both layers hold the whole first frame; two squares part, one bright, one dim."""
    generator = torch.Generator().manual_seed(0)
    bright, dim = (0.1 + top * torch.rand(12, 12, generator=generator) for top in (0.9, 0.4))
    net, state = plain(), None
    for time in range(8):
        frame = torch.zeros(1, 1, 48, 48)
        frame[0, 0, 6:18, 4 + 2 * time : 16 + 2 * time] = bright
        frame[0, 0, 28:40, 32 - 2 * time : 44 - 2 * time] = dim
        with torch.no_grad():
            state = net.observe(frame, state)
    assert state is not None
    light = state[1][0, :, 0].relu()
    above, below = light[:, 6:18].sum((-2, -1)), light[:, 28:40].sum((-2, -1))
    assert above.min() < 0.01 * bright.sum()
    assert below.min() < 0.03 * dim.sum()
    assert above.argmin() == below.argmax()


def test_the_future_leaves_the_layers_as_last_observed() -> None:
    net = small().eval()
    state = net.observe(torch.rand(1, 1, 8, 8))
    later = net.feedback(torch.rand(1, 1, 8, 8), state)
    assert torch.equal(later[1], state[1])
    assert not torch.equal(net.observe(torch.rand(1, 1, 8, 8), state)[1], state[1])


def test_auxiliary_loss_is_the_squared_distance_and_pulls_towards_the_object() -> None:
    net = plain(layers=1)
    with torch.no_grad():
        state = net.observe(disc(20, 20)[None, None])
    travel = state[3].clone().requires_grad_()
    there = net.auxiliary_loss((*state[:3], travel, *state[4:]), disc(20, 20)[None, None])
    off = net.auxiliary_loss((*state[:3], travel, *state[4:]), disc(23, 20)[None, None])
    assert there < 1e-3 < off
    light = state[2].sum() / 50
    torch.testing.assert_close(off.detach(), light * (2 * 3 - 1) / PACE**2 / 2, rtol=0.1, atol=0)
    (pull,) = torch.autograd.grad(off, travel)
    assert pull[0, 0, 0] < 0  # a step against the gradient goes right
    assert pull[0, 0, 1].abs() < 0.1 * pull[0, 0, 0].abs()


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    net = small()
    clip = torch.rand(2, 3, 1, 16, 16)
    net(clip, 3).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in net.parameters())


def test_macs_follow_the_formula() -> None:
    net, k, coarse, fine, embedding, slot = small(), 2, 8, 4, 6, 6
    shown, coarse_cells, fine_cells = fine + coarse // 4, 8 * 8, 16 * 16
    step = coarse_cells * (16 * embedding * coarse + 25 * coarse + 9 * 2 * coarse * 4 * coarse)
    step += fine_cells * (16 * (2 + 2 * k) * embedding + 9 * (embedding + coarse // 4 + fine) * 4 * fine)
    step += fine_cells * shown * (k + 16)
    step += 2 * k * (4 * slot * (coarse + 8 * (1 + 2 * WAVES) + 6 + slot) + slot * (slot + 6))  # the LSTM and its heads
    step += k * coarse_cells * coarse  # what a layer sees
    halves, means, windows = 2 * (32 * 64 * 64 + 32 * 64 * 32), 2 * 2 * 32**3, (25 + 1) * (8 * 32 * 32 + 8 * 32 * 8)
    step += halves + means + windows  # of the correlation
    step += 2 * 64**3 * k  # layers move on
    take = fine_cells * shown * 2 * 16 * k
    found = 2 * 64**3 * (2 + 3 * k)  # local means of frame, layers and differences
    found += 2 * 64**3 * 2 * k  # layers move to where they are looked for and to where they are found
    found += k * 81 * 2  # the place to a part of a pixel
    unseen = net.uncounted_macs(64, 64)
    measured = macs_per_clip(net, 10, 10, (1, 64, 64))
    assert measured == 19 * (step + unseen) + 9 * (take + found)  # the first frame is taken as it is
    assert unseen > 0


def test_macs_of_padding_are_counted() -> None:
    assert small().uncounted_macs(57, 60) == small().uncounted_macs(64, 64) > small().uncounted_macs(56, 64)


@pytest.mark.parametrize("arguments", [{"layers": 0}, {"channels": 0}, {"coarse": 6}, {"reach": 0}, {"slot": 0}])
def test_impossible_arguments_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="tracking forecaster needs"):
        TrackingForecaster(**arguments)
