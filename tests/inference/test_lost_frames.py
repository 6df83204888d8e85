"""Frames, channels and clips of which nobody measured a pixel, in predictions, restored clips and streams."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import framepred
from framepred.baselines import LastFrame, LinearInterpolation, OpticalFlow
from framepred.baselines.lost_frames import forecast_measured, read_for_training
from framepred.clips import ClipBatch
from framepred.errors import ClipError
from framepred.evaluation import DataRecord, evaluate
from framepred.evaluation.formulas import frame_mse
from framepred.inference.adapt import adapt
from framepred.inference.blend_weights import fit_weights
from framepred.inference.networks import open_forecaster
from framepred.inference.stream import StreamStep
from framepred.inference.training_windows import split_past
from framepred.models import EncoderForecaster
from framepred.training import ForecastTask, RestoreTask, TeacherForcing
from framepred.training.rollout import predict_every_frame

RANGE = "0,200,nan=0"
LAST = {"value_range": RANGE, "weights": "baseline:last-frame"}


def rain(frames: int = 16, ahead: int = 0) -> NDArray[np.float32]:
    """A shower of 120 that drifts over (t, 24, 32) pixels."""
    rows, columns = np.mgrid[:24, :32]
    times = np.arange(ahead, ahead + frames)[:, None, None]
    shower = np.exp(-((columns - 6 - times) ** 2 + (rows - 9 - 0.4 * times) ** 2) / 25)
    return (120 * shower).astype(np.float32)


def without(clip: NDArray[np.float32], *lost: int) -> NDArray[np.float32]:
    clip = clip.copy()
    clip[list(lost)] = np.nan
    return clip


def two_channels(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """One clip (1, t, 2, h, w), whose second channel is the first one upside down."""
    return np.stack([clip, clip[:, ::-1]], axis=1)[None].copy()


@pytest.mark.parametrize("lost", [(6,), (5, 6), (8,), (0, 1, 2, 6)])
@pytest.mark.parametrize("method", ["linear", "motion"])
def test_nothing_is_rebuilt_from_a_lost_frame(lost: tuple[int, ...], method: str) -> None:
    restored = framepred.restore(without(rain(), *lost), missing=[7], method=method, value_range=RANGE)
    expected = framepred.restore(rain(), missing=[7, *lost], method=method, value_range=RANGE)
    assert restored.rebuilt == (7,)
    torch.testing.assert_close(restored.frames[7], expected.frames[7])
    assert restored.frames.isnan().flatten(1).all(dim=1).nonzero().flatten().tolist() == list(lost)


def test_a_held_out_frame_is_scored_as_beside_a_frame_that_is_missing_too() -> None:
    scores = [
        framepred.restore(clip, missing=missing, method="linear", holdout=True, value_range=RANGE).score
        for clip, missing in ((without(rain(), 6), [7]), (without(rain(), 6), [6, 7]))
    ]
    assert scores[0].mse == pytest.approx(scores[1].mse)


def test_frames_inserted_beside_a_lost_one_come_from_the_frames_around_it() -> None:
    restored = framepred.restore(without(rain(), 6), upsample=2, method="linear", value_range=RANGE).frames[:, 0]
    before, after = (torch.from_numpy(rain()[number] / 200) for number in (5, 7))
    torch.testing.assert_close(restored[11], before.lerp(after, 0.25))
    torch.testing.assert_close(restored[13], before.lerp(after, 0.75))
    assert restored[12].isnan().all()


def test_a_lost_channel_is_rebuilt_from_its_other_frames() -> None:
    clip = two_channels(rain())
    clip[0, 5, 1] = np.nan
    frames = framepred.restore(clip, missing=[6], layout="ntchw", value_range=RANGE).frames
    assert (frames[6] * 200 - torch.from_numpy(two_channels(rain())[0, 6])).abs().max() < 5
    assert frames[5, 1].isnan().all()
    clip[0, :, 1] = np.nan
    frames = framepred.restore(clip, missing=[6], layout="ntchw", value_range=RANGE).frames
    assert (frames[6, 0] * 200 - torch.from_numpy(rain()[6])).abs().max() < 5
    assert frames[:, 1].isnan().all()


def test_a_clip_without_any_pixel_does_not_keep_the_others_from_being_restored() -> None:
    clips = np.stack([rain(), np.full_like(rain(), np.nan)])[:, :, None]
    frames = framepred.restore(clips, missing=[6], method="linear", value_range=RANGE).frames
    torch.testing.assert_close(
        frames[0], framepred.restore(rain(), missing=[6], method="linear", value_range=RANGE).frames
    )
    assert frames[1].isnan().all()


@pytest.mark.parametrize("weights", ["baseline:last-frame", "baseline:optical-flow", "natural-small"])
def test_a_forecast_does_not_depend_on_the_other_clips(weights: str) -> None:
    clips = [without(rain(), 15), rain(ahead=3), without(rain(ahead=1), 13, 14, 15), without(rain(ahead=2), 9)]
    options = {"frames": 3, "value_range": RANGE, "weights": weights, "blend": False}
    together = framepred.predict(np.stack(clips)[:, :, None], **options)
    for clip, frames in zip(clips, together.frames, strict=True):
        torch.testing.assert_close(framepred.predict(clip, **options).frames, frames, atol=1e-5, rtol=0)
    assert any("2 of the 4 clips in the array end with frames without" in note for note in together.notes)


@pytest.mark.parametrize("lost", [(11,), (10, 11), (8,), (7, 10)])
def test_a_held_out_forecast_goes_across_lost_frames(lost: tuple[int, ...]) -> None:
    found, whole = (
        framepred.predict(clip, frames=4, holdout=True, value_range=RANGE, weights="baseline:optical-flow")
        for clip in (without(rain(), *lost), rain())
    )
    assert (found.frames - whole.frames).abs().max() < 0.05
    alone = framepred.predict(without(rain(12), *lost), frames=4, value_range=RANGE, weights="baseline:optical-flow")
    torch.testing.assert_close(found.frames, alone.frames)
    said = [note for note in found.notes if "without a measured pixel before those held out" in note]
    assert len(said) == (11 in lost)


def test_a_lost_frame_of_the_past_changes_a_blended_forecast_little() -> None:
    truth = torch.from_numpy(rain(24)[21:] / 200)
    errors = [
        float((framepred.predict(clip, frames=3, value_range=RANGE).frames[:, 0] - truth).square().mean())
        for clip in (rain(21), without(rain(21), 0, 1, 18), without(rain(21), 15, 16))
    ]
    assert max(errors[1:]) < errors[0] + 2e-5


def test_a_channel_that_is_lost_in_the_last_frame_keeps_what_was_measured() -> None:
    clip = two_channels(rain())
    clip[0, -1, 1] = np.nan
    frames = framepred.predict(clip, frames=2, layout="ntchw", **LAST).frames
    assert (frames[:, 0] * 200 - torch.from_numpy(rain()[-1])).abs().max() < 1e-3
    assert (frames[:, 1] * 200 - torch.from_numpy(rain()[-2, ::-1].copy())).abs().max() < 1e-3


def test_a_pixel_that_the_context_lacks_is_missing_in_a_held_out_forecast() -> None:
    clip = rain()
    clip[:12, :4] = np.nan
    prediction = framepred.predict(clip, frames=4, holdout=True, **LAST)
    assert prediction.values[..., :4, :].isnan().all()
    assert not prediction.values[..., 4:, :].isnan().any()


def streamed(clip: NDArray[np.float32], weights: str = "baseline:last-frame") -> list[StreamStep]:
    return list(framepred.stream(clip, frames=2, weights=weights, value_range=RANGE, layout="tchw"))


@pytest.mark.parametrize("weights", ["baseline:optical-flow", "natural-small"])
def test_a_stream_begins_at_its_first_measured_frame(weights: str) -> None:
    clip = np.concatenate([np.full_like(rain(2), np.nan), rain(8)])[:, None]
    whole, late = streamed(clip[2:], weights), streamed(clip, weights)
    assert [step.mse for step in late] == [None, None, *(step.mse for step in whole)]
    torch.testing.assert_close(late[-1].future, whole[-1].future)


def test_a_stream_goes_on_where_a_channel_is_lost() -> None:
    clip = two_channels(rain())[0]
    whole = streamed(clip)
    dead, once = clip.copy(), clip.copy()
    dead[:, 1] = once[8, 1] = np.nan
    steps = streamed(dead)
    for step, expected in zip(steps, whole, strict=True):
        torch.testing.assert_close(step.future[:, 0], expected.future[:, 0])
    assert [step.mse for step in steps[1:]] == pytest.approx([step.mse for step in streamed(clip[:, :1])[1:]])
    flashed = streamed(once)[8]
    torch.testing.assert_close(flashed.future[:, 0], whole[8].future[:, 0])
    torch.testing.assert_close(flashed.future[:, 1], whole[7].future[:, 1])


def test_training_windows_show_no_lost_frame() -> None:
    past = torch.from_numpy(rain(30)[:, None] / 200)
    lost = past.clone()
    lost[[0, 8, 20, 27]] = torch.nan
    training, windows = split_past(lost, 5, 3, filler=0.0)
    assert training.pieces == split_past(past, 5, 3)[0].pieces
    assert (training.frames[1:] - past[1:]).abs().max() < 0.05
    assert not windows.context.isnan().any()
    assert windows.target.isnan().any()


def test_a_channel_that_is_never_measured_is_no_truth_and_hides_no_other(small_net: EncoderForecaster) -> None:
    clip = torch.from_numpy(two_channels(rain(40))[0] / 200)
    clip[:, 1] = torch.nan
    windows, validation = split_past(clip, 4, 3, False, 0.0)
    assert windows.crops(np.random.default_rng(0), 4, 16, False).target[:, :, 1].isnan().all()
    assert validation.target[:, :, 1].isnan().all()
    alone, both = (
        adapt(small_net, frames, steps=1, context=4, horizon=3, filler=0.0) for frames in (clip[:, :1], clip)
    )
    assert both.baseline_errors == pytest.approx(alone.baseline_errors)
    assert min(both.baseline_errors.values()) > 0
    weights = [fit_weights([OpticalFlow(), LastFrame()], [frames], 4, 3, filler=0.0) for frames in (clip[:, :1], clip)]
    torch.testing.assert_close(*weights)


def cut(lost: tuple[int, ...], context: int = 8) -> ClipBatch:
    """Two clips of 12 frames, of which the first one lacks some frames."""
    clips = torch.from_numpy(np.stack([without(rain(12), *lost), rain(12, ahead=2)])[:, :, None] / 200)
    return ClipBatch.cut(clips, context, 0.0)


LOST_IN_CONTEXT = [(7,), (6, 7), (4,), (0, 1), (3, 7)]


@pytest.mark.parametrize("lost", LOST_IN_CONTEXT)
@pytest.mark.parametrize("weights", ["baseline:optical-flow", "natural-small"])
def test_an_evaluation_reads_lost_frames_as_a_prediction_does(lost: tuple[int, ...], weights: str) -> None:
    context, target, filler = cut(lost)
    net = open_forecaster(weights).net
    found = forecast_measured(net, context, 4, filler)
    for clip, frames in zip(context, found, strict=True):
        alone = framepred.predict(clip * 200, frames=4, context=8, value_range=RANGE, weights=weights, blend=False)
        torch.testing.assert_close(frames.clamp(0, 1), alone.frames, atol=1e-4, rtol=0)
    card = evaluate(net, [cut(lost)], data=DataRecord("rain"))
    assert card.per_clip["mse"] == pytest.approx(frame_mse(found, target).mean(dim=1).tolist())
    assert card.evidence is not None
    example = card.evidence.examples()[0]
    torch.testing.assert_close(example.prediction, found[example.number].clamp(0, 1))


@pytest.mark.parametrize("lost", LOST_IN_CONTEXT)
def test_a_validation_reads_lost_frames_as_an_evaluation_does(
    lost: tuple[int, ...], small_net: EncoderForecaster
) -> None:
    task, batch = ForecastTask(small_net.eval(), 10, nn.MSELoss()), cut(lost)
    torch.testing.assert_close(task.validation_step(batch), forecast_measured(small_net, batch.context, 4, 0.0))


@pytest.mark.parametrize("lost", LOST_IN_CONTEXT)
@pytest.mark.parametrize("tbptt_steps", [None, 3])
def test_training_goes_across_lost_frames(
    lost: tuple[int, ...], tbptt_steps: int | None, small_net: EncoderForecaster
) -> None:
    """Without a teacher, the last predictions of a training step are those of an evaluation."""
    shown: list[Tensor] = []
    task = ForecastTask(
        small_net.eval(), 10, nn.MSELoss(), teacher_forcing=TeacherForcing(0.0), tbptt_steps=tbptt_steps
    )
    task.log = lambda *_, **__: None
    task.loss.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0].detach()))
    batch = cut(lost)
    task.training_step(batch)
    predicted = torch.cat(shown, dim=1)[:, -4:].clamp(0, 1)
    torch.testing.assert_close(predicted, forecast_measured(small_net, batch.context, 4, 0.0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("after", [9, 10])
def test_a_teacher_shows_no_lost_frame(after: int, small_net: EncoderForecaster) -> None:
    teacher, batch = torch.ones(2, 12, dtype=torch.bool), cut((after,))
    read, lost = read_for_training(batch.clips, 8, 0.0)
    found = predict_every_frame(small_net, read, 8, teacher, lost=lost).frames
    teacher[0, after] = False
    expected = predict_every_frame(small_net, batch.filled().clips, 8, teacher).frames
    torch.testing.assert_close(found, expected)


class Recording(LinearInterpolation):
    """Keeps the clip that it fills."""

    def fill(self, clip: Tensor, missing: Tensor) -> Tensor:
        self.clip, self.missing = clip, missing
        self.scale = nn.Parameter(torch.ones(()))
        return super().fill(clip, missing) * self.scale


@pytest.mark.parametrize("lost", [(4,), (3,), (10,), (1, 9)])
def test_restorers_learn_from_no_lost_frame(lost: tuple[int, ...]) -> None:
    net, batch = Recording(), cut(lost)
    task = RestoreTask(net, 10, nn.MSELoss())
    task.log = lambda *_, **__: None
    task.training_step(batch)
    whole = torch.from_numpy(rain(12)[:, None] / 200)[~net.missing]
    assert (net.clip[0, ~net.missing] - whole).abs().max() < 0.2  # an empty frame is 0.6 off, a repeated one 0.11
    context, target, _ = task.validation_batch(batch)
    assert not context.isnan().any()
    torch.testing.assert_close(target, batch.clips[:, 4:8], equal_nan=True)


def test_a_predictor_that_ignores_the_horizon_is_refused_across_lost_frames() -> None:
    context, _, filler = cut((7,))
    with pytest.raises(ClipError, match=r"not 1 clips of 5 frames; it must heed the horizon"):
        forecast_measured(lambda clips, _: clips[:, :4], context, 4, filler)
