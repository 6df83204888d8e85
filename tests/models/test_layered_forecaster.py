from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from framepred.errors import ClipError, ConfigError
from framepred.models import LayeredForecaster, load
from framepred.models.cost import macs_per_clip
from framepred.models.layered_forecaster import PACE
from small_networks import layered


def small(channels: int = 1, layers: int = 2) -> LayeredForecaster:
    return layered(channels=channels, layers=layers)


@torch.no_grad()
def that_moves(x: float, y: float, layers: int = 2) -> LayeredForecaster:
    """Every layer takes each frame over whole and moves it by (x, y) pixels a frame; nothing else is drawn."""
    net = small(layers=layers).double().eval()
    for head in (net.flow, net.write_gate, net.depth, net.residual):
        head.weight.zero_()
    net.write_gate.bias.fill_(50.0)
    net.flow.bias.copy_(-torch.tensor([x, y]).repeat(layers) / PACE)
    return net


@settings(max_examples=15)
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


@pytest.mark.parametrize("layers", [1, 3])
def test_layers_move_by_their_flow_and_stay_sharp(layers: int) -> None:
    """Half a pixel a frame: what is sampled once is exact at every second frame, however far."""
    clip = torch.rand(1, 2, 1, 24, 32, dtype=torch.float64)
    prediction = that_moves(0.5, 0, layers)(clip, 6)
    for lead in (2, 4, 6):
        torch.testing.assert_close(
            prediction[:, lead - 1, :, :, 3:], clip[:, -1, :, :, 3 - lead // 2 : 32 - lead // 2], rtol=0, atol=1e-9
        )


def test_the_nearer_layer_covers_the_other() -> None:
    net = that_moves(0, 0)
    clip = torch.rand(1, 1, 1, 8, 8, dtype=torch.float64) * 0.5
    with torch.no_grad():
        net.write_gate.bias.view(2, 16)[1] = -50.0  # the second layer stays empty
        for depth, expected in (([50.0, 0.0], clip), ([0.0, 50.0], torch.zeros_like(clip))):
            net.depth.bias.copy_(torch.tensor(depth))
            torch.testing.assert_close(net(clip, 1), expected, rtol=0, atol=1e-9)


def test_the_future_leaves_the_layers_as_last_observed() -> None:
    net = small().double().eval()
    state = net.observe(torch.rand(1, 1, 8, 8, dtype=torch.float64))
    later = net.feedback(torch.rand(1, 1, 8, 8, dtype=torch.float64), state)
    assert torch.equal(later[1], state[1])
    assert not torch.equal(net.observe(torch.rand(1, 1, 8, 8, dtype=torch.float64), state)[1], state[1])


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    net = small()
    net(torch.rand(2, 3, 1, 16, 16), 3).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in net.parameters())


def test_macs_follow_the_formula() -> None:
    net, k, coarse, fine, embedding = small(), 2, 8, 4, 6
    shown, coarse_cells, fine_cells = fine + coarse // 4, 8 * 8, 16 * 16
    step = coarse_cells * (16 * embedding * coarse + 25 * coarse + 9 * 2 * coarse * 4 * coarse + 2 * k * coarse)
    step += fine_cells * (16 * (2 + k) * embedding + 9 * (embedding + coarse // 4 + fine) * 4 * fine)
    step += fine_cells * shown * (k + 16)
    halves, means, windows = 2 * (32 * 64 * 64 + 32 * 64 * 32), 2 * 2 * 32**3, (25 + 1) * (8 * 32 * 32 + 8 * 32 * 8)
    step += halves + means + windows  # of the correlation
    take = fine_cells * shown * 16 * k
    unseen = net.uncounted_macs(1, 1, (1, 64, 64))
    assert macs_per_clip(net, 10, 10, (1, 64, 64)) == 19 * (step + unseen) + 10 * take
    assert 0 < unseen < step / 2


def test_macs_of_padding_are_counted() -> None:
    assert (
        small().uncounted_macs(1, 1, (1, 57, 60))
        == small().uncounted_macs(1, 1, (1, 64, 64))
        > small().uncounted_macs(1, 1, (1, 56, 64))
    )


@pytest.mark.parametrize("arguments", [{"layers": 0}, {"channels": 0}, {"coarse_channels": 6}, {"reach": 0}])
def test_impossible_arguments_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="layered forecaster needs"):
        LayeredForecaster(**arguments)


@pytest.mark.parametrize("phase_input", [False, True])
def test_the_phase_input_tells_predictions_from_observed_frames(phase_input: bool) -> None:
    net = layered(phase_input=phase_input).eval()
    frame = torch.rand(1, 1, 16, 16)
    state = net.observe(frame)
    observed, fed_back = (net.named_memory(step(frame, state)) for step in (net.observe, net.feedback))
    for name, memory in observed.items():
        assert torch.equal(memory, fed_back[name]) != phase_input


@torch.no_grad()
def test_natural_small_does_not_drift_in_a_stream_longer_than_its_contexts() -> None:
    """After 50 frames, a texture that moves steadily is still predicted better than by the last frame."""
    texture = functional.interpolate(torch.rand(1, 1, 16, 32), scale_factor=8, mode="bicubic").clamp(0, 1)
    film = torch.cat([texture[..., 16:64, time : time + 48] for time in range(61)])
    net, state, errors = load("natural-small").eval(), None, []
    for frame, following in pairwise(film.split(1)):
        state = net.observe(frame, state)
        errors.append((net.forecast(state, 1)[:, 0] - following).square().mean())
    last_frame = film.diff(dim=0).square().mean()
    assert torch.stack(errors[50:]).mean() < last_frame
