from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framepred.clips import to_unit
from framepred.data import MovingMNIST
from framepred.errors import ClipError, ConfigError
from framepred.models import TrackingForecaster, load
from framepred.models.cost import macs_per_clip
from framepred.models.tracking.scene import Scene
from small_networks import tracking


def small(channels: int = 1, layers: int = 2) -> TrackingForecaster:
    torch.manual_seed(0)
    return tracking(channels=channels, layers=layers, revealed_share=0.5)


@torch.no_grad()
def plain(layers: int = 2) -> TrackingForecaster:
    """Gates read agreement alone, the path network predicts steady motion alone, without doubt."""
    net = TrackingForecaster(
        layers=layers, coarse_channels=8, fine_channels=4, embedding_channels=6, path_features=16
    ).eval()
    for head in (net.write_gate, net.path.scores):
        head.weight.zero_()
        head.bias.zero_()
    net.path.prior_weight.fill_(50.0)
    return net


def square(side: int, seed: int) -> torch.Tensor:
    return 0.1 + 0.9 * torch.rand(side, side, generator=torch.Generator().manual_seed(seed))


def two_squares(frames: int) -> torch.Tensor:
    """Two squares of noise whose paths cross, ``(1, frames, 1, 64, 64)``."""
    clip = torch.zeros(1, frames, 1, 64, 64)
    for time in range(frames):
        for size, seed, x, y in ((12, 0, 6 + 2 * time, 20), (10, 1, 40 - time, 5 + 2 * time)):
            window = clip[0, time, 0, y : y + size, x : x + size]
            window.copy_(torch.maximum(window, square(size, seed)))
    return clip


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


@pytest.mark.parametrize("lead_times", [2, 10])
def test_untrained_it_follows_two_squares_that_cross_and_keeps_them_sharp(lead_times: int) -> None:
    """Also farther than the path network predicts from what was observed."""
    clip = two_squares(14)
    net = plain()
    net.path.lead_times = lead_times
    net.path.scores = torch.nn.Linear(16, lead_times * 2 * net.path.rank)
    torch.nn.init.zeros_(net.path.scores.weight)
    torch.nn.init.zeros_(net.path.scores.bias)
    net.path.prior_weight = torch.nn.Parameter(torch.full((lead_times,), 50.0))
    net.path.horizon_frames = net.path.horizon_frames[:lead_times]
    with torch.inference_mode():
        prediction = net(clip[:, :10], 4)
    error = (prediction - clip[:, 10:]).square().sum(dim=(2, 3, 4))[0]
    assert (error < 0.1 * clip[0, 10].square().sum()).all()


def test_tracks_are_exact_on_two_squares() -> None:
    """The positions that the state keeps are those of the squares, to the pixel."""
    net, state = plain(), None
    for frame in two_squares(10).unbind(dim=1):
        with torch.no_grad():
            state = net.observe(frame, state)
    assert state is not None
    positions = state[3][0, :, 1:].tolist()
    back = range(-8, 1)
    assert sorted(positions) == sorted([[[2.0 * t, 0.0] for t in back], [[-1.0 * t, 2.0 * t] for t in back]])


def test_three_layers_follow_three_objects_in_wide_frames() -> None:
    clip = torch.zeros(1, 12, 1, 64, 96)
    for time in range(12):
        for seed, x, y in ((0, 5 + 3 * time, 5), (1, 80 - 2 * time, 24), (2, 40, 50 - time)):
            clip[0, time, 0, y : y + 11, x : x + 11] = square(11, seed)
    with torch.inference_mode():
        prediction = plain(layers=3)(clip[:, :10], 2)
    error = (prediction - clip[:, 10:]).square().sum(dim=(2, 3, 4))[0]
    assert (error < 0.1 * clip[0, 10].square().sum()).all()


def test_untrained_it_tells_two_objects_apart_on_digits() -> None:
    """Lead time 1 on Moving MNIST: far better than the last frame, with nothing learned."""
    clips = to_unit(MovingMNIST("train", clips=16, length=11, digits="mnist-5k").render(range(16)))
    torch.manual_seed(0)
    net = TrackingForecaster(coarse_channels=8, fine_channels=4, path_features=16).eval()
    with torch.inference_mode():
        ours = (net(clips[:, :10], 1)[:, 0] - clips[:, 10]).square().mean()
    assert ours < 0.45 * (clips[:, 9] - clips[:, 10]).square().mean()


def test_an_object_that_may_turn_is_shown_at_both_places() -> None:
    """A prediction is the mean over the distribution of places."""
    clip = two_squares(10)
    net = plain(layers=1)
    with torch.no_grad():
        state = list(net.observe(clip[:, 0]))
        state[8] = torch.zeros_like(state[8])
        state[8][..., 1, 0, 64] = 1
        state[8][..., 0, 0, 64 - 5] = state[8][..., 0, 0, 64 + 5] = 0.5
        prediction = net.next_frame(tuple(state))
    expected = (clip[:, 0].roll(5, dims=-1) + clip[:, 0].roll(-5, dims=-1)) / 2
    torch.testing.assert_close(prediction, expected, atol=1e-6, rtol=0)


def test_an_observation_after_predicted_frames_finds_the_objects_again() -> None:
    """Frames 6 to 8 are missing and predicted; frame 9 comes."""
    clip, net = two_squares(12), plain()
    state = None
    with torch.inference_mode():
        for frame in clip[:, :6].unbind(dim=1):
            state = net.observe(frame, state)
        for _ in range(3):
            state = net.feedback(net.next_frame(state), state)
        state = net.observe(clip[:, 9], state)
        prediction = net.forecast(state, 2)
    error = (prediction - clip[:, 10:]).square().sum(dim=(2, 3, 4))[0]
    assert (error < 0.1 * clip[0, 10].square().sum()).all()


@pytest.mark.parametrize("lead_times", [1, 3, 10])
@torch.no_grad()
def test_a_forecast_equals_prediction_step_by_step(lead_times: int) -> None:
    """Also for more frames than the path network predicts at once, and from a state amid predicted frames."""
    torch.manual_seed(0)
    net = tracking(layers=3, lead_times=lead_times).double().eval()
    state = None
    for frame in two_squares(5).double().unbind(dim=1):
        state = net.observe(frame, state)
    assert state is not None
    for _ in range(3):
        forecast, stepwise = net.forecast(state, 8), []
        for _ in range(8):
            stepwise.append(net.next_frame(state))
            state = net.feedback(stepwise[-1], state)
        torch.testing.assert_close(forecast, torch.stack(stepwise, dim=1).clamp(0, 1), rtol=0, atol=1e-9)
        assert (stepwise[0] - stepwise[-1]).abs().max() > 0.01  # something moves


@torch.no_grad()
def test_frames_before_the_clip_take_no_part() -> None:
    """Whatever the state holds where no frame was observed yet."""
    clip, net = two_squares(5), plain()
    state = net.observe(clip[:, 0])
    for frame in clip[:, 1:4].unbind(dim=1):
        state = net.observe(frame, state)
    scene = Scene(*state)
    noise = torch.where(scene.placed[..., None, None, None], scene.frames, torch.rand_like(scene.frames))
    elsewhere = torch.where(scene.placed[:, None, :, None], scene.positions, 5.0)
    disturbed = net.observe(clip[:, 4], tuple(scene._replace(frames=noise, positions=elsewhere)))
    torch.testing.assert_close(net.forecast(disturbed, 4), net.forecast(net.observe(clip[:, 4], state), 4))


def test_the_future_leaves_the_layers_as_last_observed() -> None:
    net = small().eval()
    state = net.observe(torch.rand(1, 1, 8, 8))
    later = net.feedback(torch.rand(1, 1, 8, 8), state)
    assert torch.equal(later[9], state[9])
    assert not torch.equal(net.observe(torch.rand(1, 1, 8, 8), state)[9], state[9])


def test_gradients_reach_every_parameter() -> None:
    net = small()
    clip = torch.rand(2, 6, 1, 16, 16)
    net(clip[:, :4], 3).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in net.parameters())


def test_macs_count_convolutions_products_and_searches() -> None:
    net = small()
    searches = net.uncounted_macs(1, 1, (1, 64, 64))
    measured = macs_per_clip(net, 10, 10, (1, 64, 64))
    memory = 8 * 8 * (16 * 6 * 8 + 25 * 8 + 9 * 2 * 8 * 4 * 8) + 16 * 16 * (16 * 4 * 6 + 9 * (6 + 2 + 4) * 4 * 4)
    shown = 2 * 2 * 64**3  # two layers are moved by two products
    assert measured > 19 * searches + 10 * memory + 10 * shown
    assert measured < 4 * (19 * searches + 10 * memory + 10 * shown)


def test_macs_of_padding_are_counted() -> None:
    assert (
        small().uncounted_macs(1, 1, (1, 57, 60))
        == small().uncounted_macs(1, 1, (1, 64, 64))
        > small().uncounted_macs(1, 1, (1, 56, 64))
    )


@pytest.mark.parametrize("argument", ["layers", "coarse_channels", "reach", "lead_times", "path_features", "history"])
def test_arguments_are_checked(argument: str) -> None:
    with pytest.raises(ConfigError, match="tracking forecaster needs"):
        TrackingForecaster(**{argument: 0})


def test_revealed_share_is_checked() -> None:
    with pytest.raises(ConfigError, match="revealed_share lies in"):
        TrackingForecaster(revealed_share=1.5)


def test_weights_are_stored_in_half_precision_and_come_back(tmp_path: Path) -> None:
    net = small().eval()
    net.save_pretrained(tmp_path)
    stored = sum(parameter.numel() for parameter in net.parameters()) * 2
    assert stored < (tmp_path / "model.safetensors").stat().st_size < 1.5 * stored
    for name, value in load(tmp_path).state_dict().items():
        torch.testing.assert_close(value, net.state_dict()[name], rtol=1e-3, atol=1e-6)
