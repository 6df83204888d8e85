"""The call that predicts: sources, results, cuts, channels, ranges, and what it costs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import framepred
from framepred.errors import ClipError, ConfigError
from framepred.evaluation.formulas import frame_mse
from framepred.inference import adapt as adapting
from framepred.inference.predict import SCORE_SIDE
from framepred.inference.scaling import ScaledForecaster
from framepred.models import EncoderForecaster


def film(count: int = 14, channels: int = 3, level: int = 40) -> Tensor:
    """A bright square that crosses a gray ground."""
    clip = torch.full((count, channels, 20, 36), level, dtype=torch.uint8)
    for time in range(count):
        clip[time, :, 3:9, time : time + 6] = 200
    return clip


def test_paths_arrays_and_tensors_give_the_same(tmp_path: Path, small_net: EncoderForecaster) -> None:
    np.save(tmp_path / "clip.npy", film())
    sources = [tmp_path / "clip.npy", str(tmp_path / "clip.npy"), film(), film().numpy(), film().permute(0, 2, 3, 1)]
    first, *others = (framepred.predict(source, weights=small_net, frames=3).frames for source in sources)
    assert (first.shape, first.dtype) == ((3, 3, 20, 36), torch.uint8)
    assert all(torch.equal(first, other) for other in others)


def test_held_out_frames_are_scored_as_they_are_saved(small_net: EncoderForecaster) -> None:
    prediction = framepred.predict(film(), weights=small_net, frames=4, context=6, holdout=True)
    assert prediction.score is not None
    assert prediction.target is not None
    assert torch.equal(prediction.target, film()[-4:])
    assert torch.equal(prediction.context, film()[4:10])
    expected = frame_mse(prediction.frames[None] / 255, prediction.target[None] / 255).mean()
    assert prediction.score.metrics["mse"].value == pytest.approx(float(expected), rel=1e-4)
    assert {"last-frame", "optical-flow"} <= set(prediction.score.baselines)
    assert framepred.predict(film(), weights=small_net, frames=4).score is None


@pytest.mark.parametrize("max_side", [512, 16])
def test_a_still_clip_is_predicted_exactly(small_net: EncoderForecaster, max_side: int) -> None:
    still = torch.randint(0, 256, (1, 3, 20, 36), dtype=torch.uint8).expand(12, -1, -1, -1)
    frames = framepred.predict(still, weights=small_net, frames=3, max_side=max_side).frames
    assert torch.equal(frames, still[:3])


def test_without_blending_the_network_predicts_alone(small_net: EncoderForecaster) -> None:
    alone = framepred.predict(film(channels=1), weights=small_net, frames=2, blend=False).frames
    expected = small_net.eval()(film(channels=1)[None, -10:], 2)[0]
    torch.testing.assert_close(alone / 255, expected.detach(), atol=0.5 / 255 + 1e-6, rtol=0)
    assert not torch.equal(framepred.predict(film(channels=1), weights=small_net, frames=2).frames, alone)


def with_cut(before: int, after: int) -> Tensor:
    noise = torch.randint(0, 256, (2, 1, 20, 36), dtype=torch.uint8)
    return torch.cat([noise[:1].expand(before, -1, -1, -1), noise[1:].expand(after, -1, -1, -1)])


def test_only_frames_after_a_cut_are_used(small_net: EncoderForecaster) -> None:
    prediction = framepred.predict(with_cut(8, 5), weights=small_net, frames=2)
    assert len(prediction.context) == 5
    assert "scene cut 5 frames before" in " ".join(prediction.notes)
    without = framepred.predict(with_cut(8, 5), weights=small_net, frames=2, cuts=False)
    assert (len(without.context), without.notes) == (10, ())


def test_clips_have_cuts_of_their_own(small_net: EncoderForecaster) -> None:
    clips = torch.stack([with_cut(8, 5), film(13, channels=1)])
    together = framepred.predict(clips, weights=small_net, frames=2, blend=False)
    assert "1 of the 2 clips in the array has a scene cut" in " ".join(together.notes)
    for clip, frames in zip(clips, together.frames, strict=True):
        assert torch.equal(framepred.predict(clip, weights=small_net, frames=2, blend=False).frames, frames)


def test_a_cut_among_held_out_frames_is_noted(small_net: EncoderForecaster) -> None:
    prediction = framepred.predict(with_cut(12, 6), weights=small_net, frames=6, context=6, holdout=True)
    assert "among the frames held out" in " ".join(prediction.notes)


def test_arrays_have_as_many_channels_as_the_weights(tmp_path: Path) -> None:
    net = EncoderForecaster(channels=2, hidden_channels=[4], kernel_size=3)
    grid = np.random.default_rng(0).random((14, 8, 10, 2), dtype=np.float32)
    np.save(tmp_path / "grid.npy", grid)
    prediction = framepred.predict(tmp_path / "grid.npy", weights=net, frames=3, holdout=True)
    assert (prediction.frames.shape, prediction.frames.dtype) == ((3, 2, 8, 10), torch.float32)
    prediction.save(tmp_path / "future.npy")
    assert np.load(tmp_path / "future.npy").shape == (3, 2, 8, 10)
    with pytest.raises(ClipError, match=r"\.npy"):
        prediction.save(tmp_path / "future.mp4")
    assert not (tmp_path / "future.mp4").exists()


def test_values_beyond_0_and_1_are_refused_or_scaled_and_restored(tmp_path: Path, small_net: EncoderForecaster) -> None:
    celsius = np.linspace(-20, 10, 14, dtype=np.float32)[:, None, None].repeat(12, 1).repeat(12, 2)
    with pytest.raises(ClipError, match="-20 to 10"):
        framepred.predict(celsius, weights=small_net)
    prediction = framepred.predict(celsius, weights="baseline:last-frame", frames=2, value_range="auto")
    prediction.save(tmp_path / "future.npy")
    np.testing.assert_allclose(np.load(tmp_path / "future.npy"), 10, atol=1e-4)


def test_large_frames_are_scored_at_a_bounded_size() -> None:
    large = film(12, channels=1).repeat(1, 1, 20, 20)
    prediction = framepred.predict(large, weights="baseline:last-frame", frames=2, holdout=True)
    assert prediction.score is not None
    assert max(prediction.score.data.size or (0,)) == SCORE_SIDE
    assert prediction.frames.shape[-2:] == large.shape[-2:]


def test_views_and_panel(tmp_path: Path, small_net: EncoderForecaster) -> None:
    prediction = framepred.predict(film(), weights=small_net, frames=3, context=5, holdout=True)
    prediction.side_by_side(tmp_path / "both.npy")
    prediction.error(tmp_path / "error.npy")
    prediction.panel(tmp_path / "panel.png")
    assert len(np.load(tmp_path / "both.npy")) == 8
    assert np.load(tmp_path / "error.npy").shape[:2] == (3, 3)
    assert (tmp_path / "panel.png").stat().st_size > 0
    blind = framepred.predict(film(), weights=small_net, frames=3)
    with pytest.raises(ConfigError, match="holdout=True"):
        blind.error(tmp_path / "none.npy")


def test_adapting_gets_all_but_the_held_out_frames(
    monkeypatch: pytest.MonkeyPatch, small_net: EncoderForecaster
) -> None:
    given: list[Tensor] = []
    real = adapting.adapt

    def spy(net: torch.nn.Module, past: Tensor, **arguments: object) -> adapting.AdaptationResult:
        given.append(past)
        return real(net, past, **arguments | {"seconds": None, "steps": 1})  # type: ignore[arg-type]

    monkeypatch.setattr(adapting, "adapt", spy)
    clip = film(30, channels=1)
    for holdout in (True, False):
        found = framepred.predict(clip, weights=small_net, frames=3, context=4, adapt=1, holdout=holdout)
        assert "in 1 steps" in found.notes[-1]
    assert torch.equal(given[0], clip[:27])
    assert torch.equal(given[1], clip)


@pytest.mark.parametrize("side", [16, 256])
def test_adapting_without_a_blend_averages_mirror_images(side: int, small_net: EncoderForecaster) -> None:
    clip = film(30, channels=1)
    adapted = adapting.adapt(small_net, clip, steps=5, context=4, horizon=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapting, "adapt", lambda *_, **__: adapted)
        found = framepred.predict(clip, weights=small_net, frames=3, context=4, max_side=side, adapt=1, blend=False)
    expected = ScaledForecaster(adapted.mean, side)(clip[None, -4:], 3)[0]
    torch.testing.assert_close(found.frames.float() / 255, expected.clamp(0, 1), atol=1 / 255, rtol=0)
    assert "the blend has" not in found.notes[-1]


def test_progress_is_reported(small_net: EncoderForecaster) -> None:
    told: list[tuple[str, float]] = []
    framepred.predict(film(), weights=small_net, frames=4, on_progress=lambda *share: told.append(share))
    assert told == [("predicting", number / 4) for number in range(5)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"frames": 0}, "frames must be at least 1"),
        ({"context": 0}, "context must be at least 1"),
        ({"adapt": 0}, "adapt must be a positive number"),
        ({"device": "nowhere"}, "no device 'nowhere'"),
        ({"weights": "baseline:nosuch"}, "no baseline 'nosuch'"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        framepred.predict(film(), **arguments)  # type: ignore[arg-type]


def test_a_clip_that_is_too_short_is_refused(small_net: EncoderForecaster) -> None:
    with pytest.raises(ClipError, match="has 14 frames but a context of 10 and 9 held-out frames are asked for"):
        framepred.predict(film(), weights=small_net, frames=9, holdout=True)
    with pytest.raises(ClipError, match="has 14 frames but a context of 14 and 1 held-out frame are asked for"):
        framepred.predict(film(), weights=small_net, context=14, frames=1, holdout=True)
    with pytest.raises(ClipError, match="has 1 frame but a context of 10 is asked for; lower context"):
        framepred.predict(film()[:1], weights=small_net)


def test_several_clips_are_not_adapted_to(small_net: EncoderForecaster) -> None:
    with pytest.raises(ClipError, match="holds 2 clips but one is wanted"):
        framepred.predict(torch.stack([film(), film()]), weights=small_net, adapt=1)


def test_predicting_imports_neither_torchmetrics_nor_lightning() -> None:
    """Their import takes longer than a prediction with its score."""
    check = (
        "import sys, torch, framepred; clip = torch.zeros(14, 1, 16, 16, dtype=torch.uint8); "
        "framepred.predict(clip, weights='baseline:last-frame', frames=2, holdout=True); "
        "print({'torchmetrics', 'torchvision', 'lightning', 'scipy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.usefixtures("unchecked_shapes")
def test_integers_of_numpy_are_taken() -> None:
    clip = torch.rand(12, 1, 8, 8)
    found = framepred.predict(clip, frames=np.int64(3), context=np.uint8(4), weights="baseline:last-frame")
    assert found.frames.shape == (3, 1, 8, 8)
    steps = list(framepred.stream(clip, frames=np.int32(2), weights="baseline:last-frame"))
    assert steps[-1].future.shape[0] == 2


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("wrong", [1.5, "3", None, np.float32(2)])
def test_numbers_of_frames_are_integers(wrong: object) -> None:
    clip = torch.rand(12, 1, 8, 8)
    with pytest.raises(ConfigError, match="frames must be an integer, not"):
        framepred.predict(clip, frames=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="frames must be an integer, not"):
        framepred.stream(clip, frames=wrong)  # type: ignore[arg-type]
