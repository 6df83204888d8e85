import pytest
import torch

from framepred.models import EncoderForecaster
from framepred.training.rollout import observe_back_and_forth, predict_every_frame

CONTEXT = 4


@pytest.fixture
def net() -> EncoderForecaster:
    return EncoderForecaster(hidden_channels=[4, 3], kernel_size=3, share_weights=False).double()


def test_without_a_teacher_the_horizon_is_the_forecast(net: EncoderForecaster, clip: torch.Tensor) -> None:
    predictions = predict_every_frame(net, clip, CONTEXT, torch.zeros(2, 9, dtype=torch.bool)).frames
    assert predictions.shape == (2, 8, 1, 10, 13)
    torch.testing.assert_close(predictions[:, CONTEXT - 1 :], net(clip[:, :CONTEXT], 5), rtol=0, atol=1e-9)


def test_inside_the_context_predictions_come_from_the_truth(net: EncoderForecaster, clip: torch.Tensor) -> None:
    predictions = predict_every_frame(net, clip, CONTEXT, torch.zeros(2, 9, dtype=torch.bool)).frames
    for seen in range(1, CONTEXT):
        torch.testing.assert_close(predictions[:, seen - 1], net(clip[:, :seen], 1)[:, 0], rtol=0, atol=1e-9)


def test_the_teacher_feeds_the_truth_to_the_forecaster(net: EncoderForecaster, clip: torch.Tensor) -> None:
    predictions = predict_every_frame(net, clip, CONTEXT, torch.ones(2, 9, dtype=torch.bool)).frames
    state = None
    for frame in clip[:, :CONTEXT].unbind(dim=1):
        state = net.observe(frame, state)
    for time in range(CONTEXT, 8):
        state = net.feedback(clip[:, time], state)
        torch.testing.assert_close(predictions[:, time], net.next_frame(state), rtol=0, atol=1e-9)


def test_each_clip_has_its_own_teacher(net: EncoderForecaster, clip: torch.Tensor) -> None:
    none, every = torch.zeros(2, 9, dtype=torch.bool), torch.ones(2, 9, dtype=torch.bool)
    mixed = predict_every_frame(net, clip, CONTEXT, torch.stack([none[0], every[0]])).frames
    torch.testing.assert_close(mixed[0], predict_every_frame(net, clip, CONTEXT, none).frames[0])
    torch.testing.assert_close(mixed[1], predict_every_frame(net, clip, CONTEXT, every).frames[1])


def test_frames_before_the_clip_leave_no_converted_weights(small_net: EncoderForecaster) -> None:
    """PyTorch 2.8 would take weights that autocast converted without gradients for the step that learns."""
    net, kept = small_net, []
    observe = net.observe
    net.observe = lambda *given: kept.append(torch.is_autocast_cache_enabled()) or observe(*given)
    clips = torch.rand(1, 3, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        state = observe_back_and_forth(net, clips, 2)
        assert kept == [False, False]
        assert torch.is_autocast_cache_enabled()
        assert net.next_frame(state).dtype == torch.bfloat16
        predict_every_frame(net, clips, 2, torch.zeros(1, 3, dtype=torch.bool), state).frames.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    with torch.autocast("cpu", enabled=False):
        assert observe_back_and_forth(net, clips, 2)[0].dtype == torch.float32


def test_gradients_flow_through_own_predictions(net: EncoderForecaster, clip: torch.Tensor) -> None:
    first, last = ([] for _ in range(2))
    draw = net.readout.weight
    for length in (CONTEXT + 1, 9):
        net.zero_grad()
        predicted = predict_every_frame(net, clip[:, :length], CONTEXT, torch.zeros(2, length, dtype=torch.bool))
        gradient = torch.autograd.grad(predicted.frames[:, -1].sum(), draw)[0]
        (first if length == CONTEXT + 1 else last).append(gradient)
    # The last frame's gradient reaches the drawing of earlier frames too, so it is no longer that of one drawing.
    assert not torch.allclose(first[0], last[0])
