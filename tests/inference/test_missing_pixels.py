"""Pixels that nobody measured, which files hold as NaN, in losses, scores, baselines and predictions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import framepred
from framepred.baselines import BASELINES, LastFrame
from framepred.clips import ClipBatch
from framepred.data import VideoFolder, VideoFolderData
from framepred.errors import ClipError, DataError
from framepred.evaluation import PROTOCOLS, Card, ClipAverage, DataRecord, evaluate
from framepred.evaluation.formulas import FrameFormula, frame_mse
from framepred.inference.prediction import Prediction
from framepred.inference.saved_clips import SavedClips
from framepred.media.ranges import ValueRange
from framepred.models import BidirectionalForecaster, EncoderForecaster
from framepred.training import ForecastTask, RestoreTask, TeacherForcing

SIDE, COVERED = 32, 20
"""Sides of the frames and of the part, at the left, that is measured: SSIM needs windows within it."""

FORMULAS = {f"{name} {key}": one.formula for name, p in PROTOCOLS.items() for key, one in p.measures.items()}
every_formula = pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS.keys())


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def masked(clips: Tensor) -> Tensor:
    """The clips with NaN in the columns that are not covered."""
    outside = torch.arange(clips.shape[-1]) >= COVERED
    return clips.masked_fill(outside, torch.nan)


@every_formula
@pytest.mark.parametrize("ignored", [0.0, 1.0, torch.nan])
def test_a_formula_measures_the_covered_part_alone(formula: FrameFormula, ignored: float) -> None:
    pred, target = noise(2, 3, 2, SIDE, SIDE), noise(2, 3, 2, SIDE, SIDE + 1)[..., :SIDE]
    expected = formula(pred[..., :COVERED], target[..., :COVERED])
    per_pixel = expected.mean() > 10 and formula(pred, target).mean() > expected.mean() * 1.2  # sums grow with pixels
    pred[..., COVERED:] = ignored
    found = formula(pred, masked(target))
    torch.testing.assert_close(found, expected * (SIDE / COVERED if per_pixel else 1.0))


@every_formula
def test_a_broken_prediction_of_a_measured_pixel_shows(formula: FrameFormula) -> None:
    pred, target = noise(1, 2, 1, SIDE, SIDE), masked(noise(1, 2, 1, SIDE, SIDE))
    pred[0, 0, 0, 3, 3] = torch.nan
    assert formula(pred, target).isnan().tolist() == [[True, False]]
    average = ClipAverage(formula)
    average.update(pred, target)
    assert np.isnan(average.score().value)


@every_formula
def test_frames_and_clips_of_which_nothing_is_known_do_not_count(formula: FrameFormula) -> None:
    pred, target = noise(3, 2, 1, SIDE, SIDE), noise(3, 2, 1, SIDE, SIDE + 2)[..., :SIDE]
    target[0], target[1, 1] = torch.nan, torch.nan
    values = formula(pred, target)
    assert values.isnan().tolist() == [[True, True], [False, True], [False, False]]
    average = ClipAverage(formula)
    average.update(pred, target)
    found = average.score()
    assert found.value == pytest.approx(((values[1, 0] + values[2].mean()) / 2).item())
    assert found.lead_times == pytest.approx((values[1:, 0].mean().item(), ((values[1, 0] + values[2, 1]) / 2).item()))
    assert average.latest.isnan().tolist() == [True, False, False]


def scored(clips: Tensor, filler: float | None, names: tuple[str, ...] = tuple(BASELINES)) -> Card:
    baselines = {name: BASELINES[name]() for name in names}
    batches = [ClipBatch.cut(part, 3, filler) for part in clips.split(2)]
    return evaluate(LastFrame(), batches, data=DataRecord("radar"), baselines=baselines)


def test_scores_of_network_and_baselines_leave_missing_pixels_out(tmp_path: Path) -> None:
    clips = noise(4, 6, 1, SIDE, SIDE)
    clips[..., COVERED:] = 0.25
    whole, part = scored(clips, None), scored(masked(clips), 0.25)
    assert part.notes == ("37.50% of the pixels to predict are missing (NaN) and were left out.",)
    assert part.data.sha256 != whole.data.sha256
    known = clips[:, 3:, ..., :COVERED].square().sum(dim=(2, 3, 4)).mean().item()
    assert part.baselines["blank"]["mse"] == pytest.approx(known * SIDE / COVERED, rel=1e-6)
    assert part.baselines["last-frame"]["mse"] > whole.baselines["last-frame"]["mse"] * 1.5
    part.write(tmp_path / "card.json")
    assert Card.read(tmp_path / "card.json").metrics == part.metrics
    part.report(tmp_path / "report.html")


def test_a_filler_changes_no_score_where_nothing_is_missing() -> None:
    clips = noise(4, 6, 1, SIDE, SIDE)
    assert scored(clips, 0.5).metrics == scored(clips, None).metrics


def test_one_clip_without_truth_changes_no_score() -> None:
    clips = noise(4, 6, 1, SIDE, SIDE)
    lost = clips.clone()
    lost[3] = torch.nan
    found, expected = (scored(part, 0.5, ("blank",)).metrics["mse"].value for part in (lost, clips[:3]))
    assert found == pytest.approx(expected)


def test_nan_without_a_filler_is_refused() -> None:
    with pytest.raises(DataError, match="NaN"):
        scored(masked(noise(2, 6, 1, SIDE, SIDE)), None)


@pytest.mark.parametrize("kept", [True, False])
def test_saved_predictions_of_missing_pixels_are_ignored(kept: bool) -> None:
    truth, context = masked(noise(3, 4, 1, SIDE, SIDE)), masked(noise(3, 5, 1, SIDE, SIDE))
    guess = noise(3, 4, 1, SIDE, SIDE)
    predictions = guess if kept else masked(guess)
    card = framepred.evaluate(predictions=predictions, truth=truth, context_frames=context)
    assert card.metrics["mse"].value == pytest.approx(frame_mse(guess, truth).mean().item())
    assert card.baselines["last-frame"]["mse"] > 0


Step = Callable[[ClipBatch], Tensor]


def forecast_step(net: EncoderForecaster, **arguments: Any) -> Step:
    return _quiet(ForecastTask(net, 10, nn.MSELoss(), teacher_forcing=TeacherForcing(0.5), **arguments))


def _quiet(task: Any) -> Step:
    task.log = lambda *_, **__: None
    return task.training_step


@pytest.mark.parametrize("tbptt_steps", [None, 2])
def test_missing_pixels_give_no_loss_and_no_gradient(small_net: EncoderForecaster, tbptt_steps: int | None) -> None:
    step, clips = forecast_step(small_net, tbptt_steps=tbptt_steps), noise(2, 6, 1, SIDE, SIDE)
    gradients = []
    for filler in (0.0, 1.0):  # where the whole future is missing, only the context is learned
        small_net.zero_grad()
        lost = clips.clone()
        lost[:, 1:] = torch.nan
        loss = step(ClipBatch.cut(lost, 3, filler))
        loss.backward()
        assert loss == 0
        gradients.append([parameter.grad for parameter in small_net.parameters() if parameter.grad is not None])
    assert all(not gradient.any() for found in gradients for gradient in found)


@pytest.mark.parametrize("tbptt_steps", [None, 2])
def test_the_loss_is_that_of_measured_pixels(small_net: EncoderForecaster, tbptt_steps: int | None) -> None:
    step, clips = forecast_step(small_net, tbptt_steps=tbptt_steps), noise(2, 6, 1, SIDE, SIDE)
    clips[..., COVERED:] = 0.25
    whole, part = step(ClipBatch.cut(clips, 3)), step(ClipBatch.cut(masked(clips), 3, 0.25))
    assert 0 < part < whole
    assert torch.equal(step(ClipBatch.cut(clips, 3, 0.25)), whole)


def test_restoring_learns_from_measured_pixels_alone() -> None:
    net = BidirectionalForecaster(hidden_channels=4, mixing_channels=4, reach=1)
    step = _quiet(RestoreTask(net, 10, nn.L1Loss()))
    clips = noise(2, 6, 1, SIDE, SIDE)
    clips[..., COVERED:] = 0.25
    assert 0 < step(ClipBatch.cut(masked(clips), 3, 0.25)) < step(ClipBatch.cut(clips, 3))


def radar(frames: int) -> NDArray[np.float32]:
    """Rain in dBZ, ``(t, h, w)``, NaN outside the coverage."""
    return masked(noise(frames, SIDE, SIDE) * 92 - 32).numpy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        np.save(tmp_path / f"{number}.npy", radar(8 + number))
    return tmp_path


def test_data_modules_keep_missing_pixels_and_data_sets_fill_them(folder: Path) -> None:
    data = VideoFolderData(str(folder), 3, 3, batch_size=2, value_range="-32,60,nan=-9")
    data.setup("fit")
    batch = next(iter(data.val_dataloader()))
    assert batch.filler == pytest.approx(23 / 92)
    assert batch.clips.isnan().float().mean() == pytest.approx(1 - COVERED / SIDE)
    assert not batch.filled().clips.isnan().any()
    (clip, *_) = VideoFolder(folder, 6, value_range="-32,60,nan=-9")
    assert clip[..., COVERED:].unique().tolist() == pytest.approx([23 / 92])


def test_evaluating_a_file_and_a_folder_leaves_missing_pixels_out(folder: Path) -> None:
    values = ValueRange(-32, 60, filler=-9)
    for source in (folder, folder / "5.npy"):
        card = framepred.evaluate(
            "baseline:last-frame", source, clips=3, context=3, horizon=3, split="all", value_range=values
        )
        assert card.notes[0].startswith("37.50% of the pixels")


def test_held_out_frames_are_scored_where_they_are_measured(folder: Path) -> None:
    prediction = framepred.predict(
        folder / "5.npy", weights="baseline:blank", frames=3, holdout=True, value_range=ValueRange(-32, 60, filler=60)
    )
    assert prediction.score is not None
    assert prediction.target is not None
    known = prediction.target[..., :COVERED].square().mean().item()
    assert prediction.score.metrics["mse"].value / SIDE**2 == pytest.approx(known, rel=1e-5)
    assert np.isnan(prediction.values.numpy()).mean() == pytest.approx(1 - COVERED / SIDE)


def counts(path: Path, frames: int) -> NDArray[np.uint16]:
    """Whole numbers in NetCDF, ``(t, h, w)``, of which one pixel of the third frame was not written."""
    values = np.random.default_rng(0).integers(0, 100, (frames, SIDE, SIDE)).astype(np.uint16)
    with h5py.File(path, "w") as file:
        file.attrs["_NCProperties"] = "version=2,netcdf=4.9.2,hdf5=1.14.3"
        file["counts"] = values
        file["counts"][2, 4, 5] = 65535
    return values


def test_whole_numbers_that_lack_after_the_first_frame_stay_missing(tmp_path: Path) -> None:
    values = counts(tmp_path / "a.nc", 6).astype(float)
    values[2, 4, 5] = np.nan
    known = ValueRange(0, 100, filler=0)
    restored = framepred.restore(tmp_path / "a.nc", missing=[3], method="linear", cuts=False, value_range=known)
    restored.save(tmp_path / "restored.npy")
    np.testing.assert_array_equal(np.delete(np.load(tmp_path / "restored.npy")[:, 0], 3, 0), np.delete(values, 3, 0))
    prediction = Prediction(
        torch.zeros(2, 1, 1, 2), torch.zeros(1, 1, 1, 2), None, 1, None, (), ValueRange(0, 100, whole=True),
        missing=torch.tensor([[[True, False]]]),
    )  # fmt: skip
    assert prediction.values.isnan().flatten().tolist() == [True, False] * 2


def test_whole_numbers_that_lack_are_found_before_training(tmp_path: Path) -> None:
    counts(tmp_path / "a.nc", 6)
    with pytest.raises(DataError, match="not finite"):
        VideoFolder(tmp_path, 2, value_range=(0, 100))
    clips = VideoFolder(tmp_path, 2, value_range=ValueRange(0, 100, filler=50))
    assert clips[1][0, 0, 4, 5] == 0.5


def test_saved_clips_of_whole_numbers_do_not_lack_any(tmp_path: Path) -> None:
    """One clip would be scaled by its type and the next one not."""
    counts(tmp_path / "a.nc", 6)
    with pytest.raises(ClipError, match="uint16 values, and some are missing"):
        SavedClips(tmp_path / "a.nc")[0]


def test_a_forecast_goes_across_last_frames_without_a_measured_pixel(tmp_path: Path) -> None:
    """A lost radar scan is neither a scene cut nor an empty sky."""
    scene = nn.functional.interpolate(noise(1, 1, 6, 20), (SIDE, 4 * SIDE), mode="bicubic")[0].clamp(0, 1)
    clip = torch.stack([scene[..., 60 - time : 60 - time + SIDE] for time in range(33)]).numpy() * 2000 - 1000
    lost = clip[:30].copy()
    lost[[15, 24, 28, 29]] = np.nan
    prediction = framepred.predict(lost, frames=3, value_range="-1000,1000,nan=-1000")
    assert prediction.frames.shape == (3, 1, SIDE, SIDE)
    assert any("ends with 2 frames without a measured pixel" in note for note in prediction.notes)
    once = framepred.predict(lost[:29], frames=3, value_range="-1000,1000,nan=-1000")
    assert any("ends with 1 frame without a measured pixel" in note for note in once.notes)
    assert not any("scene cut" in note for note in prediction.notes)
    longer = framepred.predict(clip[:28], frames=5, value_range="-1000,1000,nan=-1000").frames[2:]
    truth = (torch.from_numpy(clip[30:]).float() + 1000) / 2000
    assert (prediction.frames - truth).square().mean() < 1.5 * (longer - truth).square().mean() + 1e-4
    prediction.save(tmp_path / "a.npy")
    assert np.isfinite(np.load(tmp_path / "a.npy")).all()
    everything = framepred.predict(np.full_like(clip[:12], np.nan), frames=2, value_range="-1000,1000,nan=-1000")
    assert everything.frames.shape == (2, 1, SIDE, SIDE)
