import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framepred.errors import ClipError, ConfigError
from framepred.models import EncoderForecaster
from framepred.models.cost import count_parameters, macs_per_clip

SIDES = st.integers(4, 23)


@settings(max_examples=20)
@given(SIDES, SIDES, st.sampled_from([1, 2, 3, 5]), st.booleans())
def test_any_size_and_any_channels(height: int, width: int, channels: int, share: bool) -> None:
    net = EncoderForecaster(channels, hidden_channels=[3], kernel_size=3, share_weights=share).eval()
    assert net(torch.rand(2, 3, channels, height, width), 2).shape == (2, 2, channels, height, width)


def test_padding_changes_nothing_where_the_stride_fits() -> None:
    net = EncoderForecaster(hidden_channels=[3], kernel_size=3, norm=False).double().eval()
    clip = torch.rand(1, 4, 1, 30, 32, dtype=torch.float64)
    padded = torch.nn.functional.pad(clip[0], (0, 0, 0, 2), mode="replicate")[None]
    torch.testing.assert_close(net(clip, 1), net(padded, 1)[..., :30, :], rtol=0, atol=1e-9)


def test_one_channel_weights_run_each_channel_of_a_colour_frame() -> None:
    net = EncoderForecaster(hidden_channels=[3], kernel_size=3).double().eval()
    clip = torch.rand(2, 4, 3, 8, 9, dtype=torch.float64)
    apart = torch.cat([net(clip[:, :, [channel]], 3) for channel in range(3)], dim=2)
    torch.testing.assert_close(net(clip, 3), apart, rtol=0, atol=1e-9)


def test_other_channels_are_refused() -> None:
    with pytest.raises(ClipError, match="3 channels, and these frames have 1"):
        EncoderForecaster(3, hidden_channels=[3], kernel_size=3)(torch.rand(1, 2, 1, 8, 8), 1)


def test_frames_under_the_stride_are_refused() -> None:
    with pytest.raises(ClipError, match="at least 4 pixels high and wide for these weights, not 3x9"):
        EncoderForecaster(hidden_channels=[3], kernel_size=3)(torch.rand(1, 2, 1, 3, 9), 1)


def test_a_frame_of_another_size_is_refused() -> None:
    net = EncoderForecaster(hidden_channels=[3], kernel_size=3)
    with pytest.raises(ClipError, match="start a new clip"):
        net.observe(torch.rand(1, 1, 8, 8), net.observe(torch.rand(1, 1, 8, 9)))


def test_integers_are_seen_as_the_floats_they_stand_for() -> None:
    net = EncoderForecaster(hidden_channels=[3], kernel_size=3).eval()
    pixels = torch.randint(0, 256, (1, 3, 1, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(net.observe(pixels[:, 0]), net.observe(pixels[:, 0].float() / 255))


def test_sharing_halves_the_cells() -> None:
    shared, unshared = (
        EncoderForecaster(hidden_channels=[4], kernel_size=3, share_weights=share) for share in (True, False)
    )
    assert count_parameters(unshared) - count_parameters(shared) == count_parameters(shared.encoder)


def test_unshared_forecaster_cells_read_only_the_future() -> None:
    net = EncoderForecaster(hidden_channels=[4], kernel_size=3, share_weights=False).double().eval()
    clip = torch.rand(1, 4, 1, 8, 8, dtype=torch.float64)
    before = net(clip, 3)
    with torch.no_grad():
        net.forecaster[0].gates.weight.mul_(2)
    after = net(clip, 3)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1], after[:, 1])


def test_macs_follow_the_formula() -> None:
    net = EncoderForecaster(hidden_channels=[8], kernel_size=3, motion=False)
    cells, channels = (64 // 4) ** 2, 16
    step = 9 * (channels + 8) * 4 * 8 * cells
    draw = 8 * channels * cells
    assert macs_per_clip(net, 10, 10, (1, 64, 64)) == 19 * step + 10 * draw


@pytest.mark.parametrize("arguments", [{"hidden_channels": []}, {"channels": 0}, {"stride": 0}])
def test_impossible_sizes_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="at least one layer"):
        EncoderForecaster(**arguments)
