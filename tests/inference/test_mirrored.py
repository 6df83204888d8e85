import torch

from framepred.inference.mirrored import MirrorMean
from framepred.models import EncoderForecaster


def mirrored(net: EncoderForecaster, clip: torch.Tensor, axis: int) -> torch.Tensor:
    return net(clip.flip(axis), 3).flip(axis)


@torch.inference_mode()
def test_mean_of_the_predictions_of_a_clip_and_its_mirror_images(small_net: EncoderForecaster) -> None:
    net, clip = small_net.eval(), torch.rand(2, 4, 1, 8, 10)
    predicted = MirrorMean(net).eval()(clip, 3)
    expected = (net(clip, 3) + mirrored(net, clip, -1) + mirrored(net, clip, -2)) / 3
    torch.testing.assert_close(predicted, expected)
    assert not torch.allclose(predicted, net(clip, 3))


@torch.inference_mode()
def test_mean_of_two_networks(small_net: EncoderForecaster) -> None:
    net, clip = small_net.eval(), torch.rand(1, 4, 1, 8, 10)
    other = EncoderForecaster(hidden_channels=[3], kernel_size=3).eval()
    one, two = (MirrorMean(each).eval()(clip, 3) for each in (net, other))
    for share in (0.0, 0.25, 1.0):
        torch.testing.assert_close(MirrorMean(net, other, share).eval()(clip, 3), one.lerp(two, share))


@torch.inference_mode()
def test_streaming_equals_batch(small_net: EncoderForecaster) -> None:
    net, clip = MirrorMean(small_net).eval(), torch.rand(1, 4, 1, 8, 10)
    state = None
    for frame in clip.unbind(dim=1):
        state = net.observe(frame, state)
    assert state is not None
    assert torch.equal(net.forecast(state, 3), net(clip, 3))
