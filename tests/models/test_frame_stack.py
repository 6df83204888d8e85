from pathlib import Path

import pytest
import torch

from framepred.errors import ConfigError
from framepred.models import EncoderForecaster, FrameStack, load
from framepred.models.cost import macs_per_clip
from framepred.models.patches import check_head


def test_it_sees_so_many_frames_and_no_more() -> None:
    net = FrameStack(frames=3, hidden_channels=[4], kernel_size=3).double().eval()
    clip = torch.rand(1, 6, 1, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(net(clip, 4), net(clip[:, -3:], 4), rtol=0, atol=0)
    assert not torch.allclose(net(clip, 4), net(clip[:, -2:], 4))


def test_before_a_clip_its_first_frame_stands_still() -> None:
    net = FrameStack(frames=3, hidden_channels=[4], kernel_size=3).double().eval()
    clip = torch.rand(1, 1, 1, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(net(clip, 2), net(clip.repeat(1, 3, 1, 1, 1), 2), rtol=0, atol=0)


def test_saved_weights_predict_the_same(tmp_path: Path) -> None:
    net = FrameStack(frames=2, hidden_channels=[4, 3], kernel_size=3).eval()
    net.save_pretrained(tmp_path)
    clip = torch.rand(1, 4, 1, 8, 8)
    assert torch.equal(load(tmp_path)(clip, 3), net(clip, 3))


def test_macs_follow_the_formula() -> None:
    net = FrameStack(frames=4, hidden_channels=[8, 6], kernel_size=3)
    assert macs_per_clip(net, 10, 10, (1, 64, 64)) == 10 * 16**2 * (9 * (4 * 16 * 8 + 8 * 6) + 6 * 16)


@pytest.mark.parametrize("kind", [EncoderForecaster, FrameStack])
def test_softmax_gives_probabilities_of_classes(kind: type) -> None:
    net = kind(5, hidden_channels=[4], kernel_size=1, stride=1, norm=False, head="softmax").eval()
    forecast = net(torch.rand(2, 3, 5, 1, 1), 4)
    assert forecast.min() > 0
    torch.testing.assert_close(forecast.sum(dim=2), torch.ones(2, 4, 1, 1))


@pytest.mark.parametrize("kind", [EncoderForecaster, FrameStack])
def test_one_class_alone_is_refused(kind: type) -> None:
    with pytest.raises(ConfigError, match="at least 2 classes"):
        kind(1, head="softmax")


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(ConfigError, match="pixels or softmax, not 'sigmoid'"):
        check_head("sigmoid", 3)


@pytest.mark.parametrize(
    "arguments",
    [{"hidden_channels": []}, {"hidden_channels": [0]}, {"frames": 0}, {"kernel_size": 2}, {"stride": 0}],
)
def test_impossible_sizes_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="frame stack needs"):
        FrameStack(**arguments)
