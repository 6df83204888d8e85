"""One scale for all that weights read: the range of values that they were trained on, and what cards say of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray

import framepred
from framepred.data import VideoFolderData
from framepred.errors import ConfigError
from framepred.evaluation import Card, WeightsRecord
from framepred.inference.evaluate import evaluate_several
from framepred.inference.evaluation_data import ClipChoice, open_data
from framepred.inference.folders import predict_folder
from framepred.inference.onnx_only import is_readable
from framepred.media.ranges import ValueRange
from framepred.models import EncoderForecaster
from framepred.models.pretrained import load, set_value_range
from framepred.training.forecast_task import ForecastTask
from framepred.training.scoring import SplitClips, score_network

LAST = "baseline:last-frame"
RAIN = ValueRange(0, 200, filler=0)


def radar(peak: float, count: int = 16, seed: int = 0) -> NDArray[np.float32]:
    """Frames ``(t, h, w)`` of a shower that moves; its highest value is near ``peak``."""
    y, x = np.mgrid[:16, :16]
    places = [(seed + 2 + k / 3, 6 + k / 4) for k in range(count)]
    return np.stack([peak * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 20) for u, v in places]).astype(np.float32)


def save_npy(path: Path, clip: NDArray[np.generic]) -> Path:
    np.save(path.with_suffix(".npy"), clip)
    return path.with_suffix(".npy")


def save_tiff(path: Path, clip: NDArray[np.generic]) -> Path:
    tifffile.imwrite(path.with_suffix(".tif"), clip, photometric="minisblack")
    return path.with_suffix(".tif")


def save_pictures(path: Path, clip: NDArray[np.generic]) -> Path:
    path.mkdir()
    for number, frame in enumerate(clip):
        tifffile.imwrite(path / f"{number:02d}.tif", frame, photometric="minisblack")
    return path


def in_memory(_: Path, clip: NDArray[np.generic]) -> NDArray[np.generic]:
    return clip


Save = Callable[[Path, NDArray[np.generic]], Path | NDArray[np.generic]]
every_kind = pytest.mark.parametrize("save", [save_npy, save_tiff, save_pictures, in_memory])


def weights(net: EncoderForecaster, path: Path, known: ValueRange) -> Path:
    """Saved weights of a network that was trained on a range."""
    set_value_range(net, known)
    net.save_pretrained(path)
    return path


@pytest.fixture
def rain(small_net: EncoderForecaster, tmp_path: Path) -> Path:
    """Weights that were trained on 0 to 200 mm/h, NaN as 0."""
    return weights(small_net, tmp_path / "rain", RAIN)


@every_kind
@pytest.mark.parametrize("peak", [0.9, 150])
def test_a_dry_clip_is_read_on_the_scale_of_the_weights(rain: Path, tmp_path: Path, save: Save, peak: float) -> None:
    source = save(tmp_path / "clip", radar(peak))
    prediction = framepred.predict(source, weights=rain, frames=2, cuts=False)
    assert prediction.value_range == RAIN
    stated = framepred.predict(source, weights=rain, frames=2, cuts=False, value_range=RAIN)
    assert torch.equal(prediction.values, stated.values)
    assert any("also lie in [0, 1]" in note and "state the range 0,1" in note for note in prediction.notes) == (
        peak < 1
    )
    assert not any("also lie in" in note for note in stated.notes)
    (first, *_) = framepred.stream(source, weights=rain, frames=2, cuts=False)
    restored = framepred.restore(source, missing=[6], weights=rain, cuts=False)
    for frame in (first.frame, restored.frames[0]):
        torch.testing.assert_close(frame, torch.from_numpy(radar(peak)[:1] / 200))
    assert restored.value_range == RAIN


def test_a_folder_of_wet_and_dry_clips_is_evaluated_on_one_scale(rain: Path, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for number, peak in enumerate((150, 0.9)):
        save_npy(tmp_path / "clips" / f"{number}", radar(peak))
    choice = {"context": 3, "horizon": 3, "split": "all"}
    for data in (tmp_path / "clips", tmp_path / "clips" / "1.npy", radar(0.9)):
        card = framepred.evaluate(rain, data, **choice)  # type: ignore[arg-type]
        stated = framepred.evaluate(rain, data, value_range=RAIN, **choice)  # type: ignore[arg-type]
        assert card.data == stated.data
        assert card.data.value_range == (0, 200)
        assert card.metrics == stated.metrics
    found = predict_folder(tmp_path / "clips", tmp_path / "out", weights=str(rain), frames=2, context=3)
    assert {path.suffix for path in found.outputs} == {".npy"}


@pytest.mark.parametrize(("peak", "said"), [((0.5, 0.9), True), ((0.5, 150), False)])
def test_an_evaluation_says_where_all_values_also_lie_in_0_to_1(
    rain: Path, tmp_path: Path, peak: tuple[float, float], said: bool
) -> None:
    (tmp_path / "clips").mkdir()
    for number, highest in enumerate(peak):
        save_npy(tmp_path / "clips" / f"{number}", radar(highest))
    data = open_data(str(tmp_path / "clips"), ClipChoice(3, 3, 3, split="all", learned_range=load(rain).value_range))
    assert any("also lie in [0, 1]" in note for note in data.notes) == said


@every_kind
def test_bytes_are_scaled_as_training_scaled_them(small_net: EncoderForecaster, tmp_path: Path, save: Save) -> None:
    (tmp_path / "clips").mkdir()
    clip = radar(75).astype(np.uint8)
    save_npy(tmp_path / "clips" / "0", clip)
    trained = VideoFolderData(str(tmp_path / "clips"), 3, 3, value_range="0,80").scaled_range
    assert trained is not None
    net = load(weights(small_net, tmp_path / "weights", trained))
    source = save(tmp_path / "clip", clip)
    prediction = framepred.predict(source, weights=net, frames=2, cuts=False)
    stated = framepred.predict(source, weights=net, frames=2, cuts=False, value_range=(0, 80))
    assert torch.equal(prediction.values, stated.values)
    assert prediction.value_range == stated.value_range
    restored = framepred.restore(source, missing=[6], weights=net, cuts=False)
    assert restored.value_range == stated.value_range
    for data in (tmp_path / "clips", source):
        card = framepred.evaluate(net, data, context=3, horizon=3, split="all")
        assert card.data.value_range == (0, 80)


@pytest.mark.parametrize("stated", ["auto", "0,80"])
def test_bytes_that_training_did_not_scale_stay_bytes(tmp_path: Path, stated: str) -> None:
    """A range that ``auto`` found, or that was stated for floats only, is not one for bytes."""
    (tmp_path / "clips").mkdir()
    save_npy(tmp_path / "clips" / "0", radar(75))
    if stated == "auto":
        save_npy(tmp_path / "clips" / "1", radar(75).astype(np.uint8))
    trained = VideoFolderData(str(tmp_path / "clips"), 3, 3, value_range=stated).scaled_range
    assert trained is not None
    assert not trained.scales_bytes
    assert not ValueRange.from_json({"low": 0, "high": 80}).scales_bytes  # of an earlier version
    choice = ClipChoice(3, 3, 3, split="all", learned_range=trained)
    (tmp_path / "bytes").mkdir()
    save_npy(tmp_path / "bytes" / "0", radar(75).astype(np.uint8))
    for data in (str(tmp_path / "bytes"), str(tmp_path / "bytes" / "0.npy")):
        opened = open_data(data, choice)
        assert opened.record.value_range is None  # nothing was scaled
        assert next(iter(opened.batches)).context.dtype == torch.uint8
        scaled = open_data(data, replace(choice, learned_range=replace(trained, scales_bytes=True)))
        assert scaled.record.value_range == trained.limits
        assert next(iter(scaled.batches)).context.is_floating_point()


def test_bytes_that_an_export_scales_are_not_read_without_pytorch(tmp_path: Path) -> None:
    path = save_npy(tmp_path / "a", radar(75).astype(np.uint8))
    assert is_readable(path, {"low": 0, "high": 80})
    assert not is_readable(path, {"low": 0, "high": 80, "bytes": 1})


def with_range(known: ValueRange | None, channels: int = 1) -> EncoderForecaster:
    net = EncoderForecaster(channels=channels, hidden_channels=[4], kernel_size=3)
    set_value_range(net, known)
    return net


@pytest.mark.parametrize(
    "other", [ValueRange(-50, 1000, filler=0), ValueRange(0, 200), ValueRange(0, 200, filler=-1),
              replace(RAIN, scales_bytes=True)]
)  # fmt: skip
def test_weights_of_other_ranges_are_refused_together(tmp_path: Path, other: ValueRange) -> None:
    data, choice = str(save_npy(tmp_path / "a", radar(100))), ClipChoice(2, 3, 3)
    with pytest.raises(
        ConfigError, match=r"^The weights were trained on different ranges of values, 0 to 200 with NaN"
    ):
        evaluate_several([with_range(RAIN), with_range(other)], data, choice)
    cards = evaluate_several([with_range(RAIN), with_range(other)], data, replace(choice, value_range="0,150"))
    assert {card.data.value_range for card in cards} == {(0, 150)}
    same = evaluate_several([with_range(RAIN), with_range(replace(RAIN)), with_range(None), LAST], data, choice)
    assert {card.data.value_range for card in same} == {(0, 200)}


def test_weights_of_other_channels_are_refused_together() -> None:
    with pytest.raises(ConfigError, match=r"^The weights take frames of 2 and of 3 channels; name those of one number"):
        evaluate_several([with_range(None, 2), with_range(None, 3)], torch.rand(2, 6, 3, 16, 16), ClipChoice(2, 3, 3))


def config_of_run(root: Path, value_range: str) -> Path:
    arguments = f"root: {root}, context: 3, horizon: 3, value_range: '{value_range}', test_fraction: 0.5"
    path = root.parent / "config.yaml"
    path.write_text(f"data:\n  class_path: framepred.data.VideoFolderData\n  init_args: {{{arguments}}}\n")
    return path


@pytest.mark.parametrize("option", [{"value_range": "0,5"}, {"layout": "nthw"}, {"array_name": "rain"}])
def test_what_a_config_states_is_not_stated_again(option: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"states its own data, so {next(iter(option))} would have no effect"):
        framepred.evaluate(LAST, config_of_run(tmp_path / "clips", "0,200"), **option)  # type: ignore[arg-type]


@pytest.mark.parametrize("stated", ["auto", "0,90"])
def test_files_that_have_come_since_do_not_change_the_scale_of_a_run(tmp_path: Path, stated: str) -> None:
    root = tmp_path / "clips"
    root.mkdir()
    for number in range(4):
        save_npy(root / f"{number}", radar(80, seed=number))
    config = config_of_run(root, stated)
    trained = VideoFolderData(str(root), 3, 3, value_range=stated).scaled_range
    assert trained is not None
    net = with_range(ValueRange.from_json(trained.to_json()))
    before = framepred.evaluate(net, config)
    save_npy(root / "new", radar(600))
    assert framepred.evaluate(net, config).data.value_range == before.data.value_range == trained.limits


def card_of_file(save: Save) -> Callable[[Path], Card]:
    return lambda folder: framepred.evaluate(
        LAST, save(folder / "clip", radar(100)), context=3, horizon=3, value_range=RAIN
    )


def card_of_run(folder: Path) -> Card:
    (folder / "clips").mkdir()
    for number in range(4):
        save_npy(folder / "clips" / f"{number}", radar(100, seed=number))
    return framepred.evaluate(LAST, config_of_run(folder / "clips", "0,200,nan=0"))


def card_of_holdout(_: Path) -> Card:
    score = framepred.predict(radar(100), weights=LAST, frames=2, holdout=True, value_range=RAIN).score
    assert score is not None
    return score


def card_of_training(folder: Path) -> Card:
    save_npy(folder / "clip", radar(100, count=40))
    net = with_range(None)
    data = VideoFolderData(str(folder), 3, 3, value_range="0,200,nan=0", batch_size=2)
    task = ForecastTask(net, budget=1, loss=torch.nn.MSELoss())
    clips = SplitClips(task, data, "val")
    return score_network(task, net, clips, data_name="rain", weights=WeightsRecord("rain"), device=torch.device("cpu"))


@pytest.mark.parametrize(
    "card",
    [
        *map(card_of_file, [save_npy, save_tiff, save_pictures, in_memory]),
        card_of_run,
        card_of_holdout,
        card_of_training,
    ],
    ids=["npy", "tiff", "pictures", "memory", "run", "holdout", "training"],
)
def test_every_card_records_the_range_in_use(tmp_path: Path, card: Callable[[Path], Card]) -> None:
    assert card(tmp_path).data.value_range == (0, 200)


@every_kind
@pytest.mark.parametrize(
    ("limits", "said"), [((300, 400), "300 or below"), ((-9, -1), "-1 or above"), ((0, 200), None)]
)
def test_a_range_that_misses_all_values_is_said_wherever_they_are(
    tmp_path: Path, save: Save, limits: tuple[float, float], said: str | None
) -> None:
    clip = radar(100)
    clip[:, 0, 0] = np.nan
    source, stated = save(tmp_path / "clip", clip), ValueRange(*limits, filler=limits[0])
    notices: list[str] = []
    list(framepred.stream(source, weights=LAST, frames=1, value_range=stated, cuts=False, on_notice=notices.append))
    notes = [
        framepred.predict(source, weights=LAST, frames=1, value_range=stated, cuts=False).notes,
        open_data(source, ClipChoice(2, 3, 3, value_range=stated)).notes,
    ]
    for found in notes:
        assert any("are scaled to [0, 1]; others are clamped" in note for note in found)
        beyond = [note for note in found if "All values of" in note]
        assert [f"are {said}, so its frames" in note for note in beyond] == [True] * (said is not None)
    assert any("are scaled to [0, 1]; others are clamped" in note for note in notices)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_masked_arrays_keep_their_type_where_nothing_is_masked(dtype: type) -> None:
    clip = (radar(0.9) * (1 if dtype is np.float32 else 200)).astype(dtype)
    expected = framepred.predict(clip, weights=LAST, frames=1, cuts=False).frames
    found = framepred.predict(np.ma.masked_equal(clip, 255), weights=LAST, frames=1, cuts=False).frames
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)


@pytest.mark.parametrize("learned", [RAIN, ValueRange(0, 80, scales_bytes=True)])
def test_a_watch_reads_on_the_scale_of_its_weights(tmp_path: Path, learned: ValueRange) -> None:
    clip = np.random.default_rng(0).uniform(0, 75, (200, 16, 16))
    film = clip.astype(np.uint8 if learned.scales_bytes else np.float32)
    net = with_range(learned)
    for source in (film, save_npy(tmp_path / "film", film)):
        watching = framepred.watch(source, normal=15.0, weights=net)
        assert watching.profile.limits == learned.limits
        step = next(iter(watching.steps()))
        expected = (film[step.index] / np.float32(learned.high)).clip(0, 1)
        np.testing.assert_allclose(step.frame[0], expected, atol=1e-6)
        again = framepred.watch(source, normal=film, weights=net)
        assert again.profile.limits == learned.limits


@pytest.mark.parametrize("peaks", [(60000, 50000), (60000, 3000)], ids=["bright", "mixed"])
def test_weights_of_16_bits_read_a_dim_recording_on_the_scale_of_their_training(
    tmp_path: Path, peaks: tuple[int, int]
) -> None:
    (tmp_path / "bright").mkdir()
    for number, peak in enumerate(peaks):
        save_tiff(tmp_path / "bright" / str(number), radar(peak).astype(np.uint16))
    data = VideoFolderData(str(tmp_path / "bright"), 3, 2)
    assert data.scaled_range is not None
    assert data.scaled_range.limits == (0, 65535)
    net = EncoderForecaster(hidden_channels=[4], kernel_size=3).eval()
    set_value_range(net, data.scaled_range)
    dim = radar(3000).astype(np.uint16)
    path = save_tiff(tmp_path / "dim", dim)
    found, stated = (framepred.predict(path, weights=net, blend=False, value_range=one) for one in (None, "0,65535"))
    assert torch.equal(found.frames, stated.frames)
    assert framepred.evaluate(net, path, context=3, horizon=2).data.value_range == (0, 65535)
