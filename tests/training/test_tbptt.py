"""Truncated backpropagation through time has the gradients of the truncated graph."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from framepred.clips import ClipBatch
from framepred.errors import ConfigError
from framepred.models import EncoderForecaster
from framepred.training import ForecastTask, TeacherForcing
from framepred.training.rollout import Predicted, predict_every_frame, truncated

CONTEXT, STEPS = 4, 3


@pytest.fixture
def net() -> EncoderForecaster:
    return EncoderForecaster(hidden_channels=[4, 3], kernel_size=3, share_weights=False).double()


@pytest.fixture
def taught() -> torch.Tensor:
    return torch.rand(2, 9) < 0.5


def loss_of_detached_graph(net: EncoderForecaster, clip: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """Return the loss over one graph in which the state is detached before each chunk."""
    state, last, errors = None, clip[:, 0], []
    for time in range(8):
        if time in (3, 6):
            state, last = tuple(part.detach() for part in state), last.detach()
        if time < CONTEXT:
            state = net.observe(clip[:, time], state)
        else:
            state = net.feedback(torch.where(taught[:, time, None, None, None], clip[:, time], last), state)
        last = net.next_frame(state)
        errors.append((last - clip[:, time + 1]).square().mean())
    return torch.stack(errors).mean()


def pixels(predicted: Predicted, target: torch.Tensor) -> torch.Tensor:
    return nn.functional.mse_loss(predicted.frames, target)


def gradients(net: EncoderForecaster, loss: torch.Tensor) -> list[torch.Tensor]:
    net.zero_grad()
    loss.backward()
    return [parameter.grad.clone() for parameter in net.parameters()]


def test_gradients_are_those_of_the_graph_loss_of_detached_graph(
    net: EncoderForecaster, clip: torch.Tensor, taught: torch.Tensor
) -> None:
    by_hand = loss_of_detached_graph(net, clip, taught)
    loss, errors = truncated(net, pixels, clip, CONTEXT, taught, STEPS)
    torch.testing.assert_close(loss, by_hand, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients(net, loss), gradients(net, by_hand), rtol=1e-10, atol=1e-15)
    # Truncation changes gradients and no prediction.
    whole = predict_every_frame(net, clip, CONTEXT, taught).frames
    torch.testing.assert_close(errors, (whole - clip[:, 1:]).square().sum(dim=(2, 3, 4)), rtol=1e-12, atol=0)
    uncut = gradients(net, nn.functional.mse_loss(whole, clip[:, 1:]))
    assert not torch.allclose(gradients(net, loss_of_detached_graph(net, clip, taught))[0], uncut[0], rtol=1e-3)


@pytest.mark.parametrize("steps", [8, 100])
def test_a_chunk_as_long_as_the_clip_changes_nothing(
    net: EncoderForecaster, clip: torch.Tensor, taught: torch.Tensor, steps: int
) -> None:
    whole = nn.functional.mse_loss(predict_every_frame(net, clip, CONTEXT, taught).frames, clip[:, 1:])
    expected = gradients(net, whole)
    loss, _ = truncated(net, pixels, clip, CONTEXT, taught, steps)
    torch.testing.assert_close(gradients(net, loss), expected, rtol=1e-10, atol=1e-15)


def test_gradients_are_scaled_and_accumulated(net: EncoderForecaster, clip: torch.Tensor, taught: torch.Tensor) -> None:
    once = gradients(net, truncated(net, pixels, clip, CONTEXT, taught, STEPS)[0])
    for _ in range(2):  # as gradient accumulation over batches does it
        (truncated(net, pixels, clip, CONTEXT, taught, STEPS)[0] / 2).backward()
    twice = [parameter.grad for parameter in net.parameters()]
    torch.testing.assert_close(twice, [2 * gradient for gradient in once])


def test_unused_parameters_get_no_gradient(net: EncoderForecaster, clip: torch.Tensor) -> None:
    seen_only = torch.zeros(2, CONTEXT, dtype=torch.bool)
    truncated(net, pixels, clip[:, :CONTEXT], CONTEXT - 1, seen_only, 2)[0].backward()
    assert all(parameter.grad is None for parameter in net.forecaster.parameters())
    assert all(parameter.grad is not None for parameter in net.encoder.parameters())


def test_mixed_precision_has_nearly_the_same_gradients(
    net: EncoderForecaster, clip: torch.Tensor, taught: torch.Tensor
) -> None:
    net, clip = net.float(), clip.float()
    expected = gradients(net, truncated(net, pixels, clip, CONTEXT, taught, STEPS)[0])
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = truncated(net, pixels, clip, CONTEXT, taught, STEPS)
    found = gradients(net, loss)
    assert all(gradient.dtype == torch.float32 for gradient in found)
    for one, other in zip(found, expected, strict=True):
        assert nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.97


def test_the_task_truncates(small_net: EncoderForecaster) -> None:
    batch = ClipBatch.cut(torch.rand(2, 9, 1, 8, 8), CONTEXT)
    losses = {}
    for steps in (None, STEPS):
        task = ForecastTask(small_net, 10, nn.MSELoss(), teacher_forcing=TeacherForcing(0.0), tbptt_steps=steps)
        task.log = task.log_dict = lambda *_, **__: None
        losses[steps] = task.training_step(batch)
    torch.testing.assert_close(losses[None], losses[STEPS])
    uncut, cut = (gradients(small_net, loss) for loss in losses.values())
    assert not torch.allclose(uncut[0], cut[0], rtol=1e-3)


def test_chunks_without_frames_are_refused(small_net: EncoderForecaster) -> None:
    with pytest.raises(ConfigError, match="tbptt_steps must be at least 1 frame"):
        ForecastTask(small_net, 10, nn.MSELoss(), tbptt_steps=0)


def test_scaled_float16_is_refused(small_net: EncoderForecaster) -> None:
    task = ForecastTask(small_net, 10, nn.MSELoss(), tbptt_steps=STEPS)
    for precision in ("32-true", "bf16-mixed"):
        task.trainer = SimpleNamespace(precision=precision)
        task.on_fit_start()
    task.trainer = SimpleNamespace(precision="16-mixed")
    with pytest.raises(ConfigError, match="use bf16-mixed"):
        task.on_fit_start()
