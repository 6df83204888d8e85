import pytest
import torch

from framepred.models import EncoderForecaster
from framepred.training.rollout import predict_every_frame

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
