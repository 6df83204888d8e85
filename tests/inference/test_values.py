"""Values, channels and names of arrays, from the file through the network and back, in every call that reads files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import framepred
from framepred.data import VideoFolder
from framepred.errors import ClipError, DataError
from framepred.evaluation import Card
from framepred.inference.folders import predict_folder
from framepred.inference.networks import NamedForecaster, open_forecaster
from framepred.inference.sinks import VideoSink, record
from framepred.media.ranges import ValueRange
from framepred.models import EncoderForecaster
from framepred.models.pretrained import load, set_value_range

LAST = "baseline:last-frame"


def camera(white: int = 4095, count: int = 14) -> NDArray[np.uint16]:
    """Frames ``(t, h, w)`` of a moving ramp from 0 to ``white``, as a camera of fewer than 16 bits writes them."""
    ramp = np.linspace(0, white, 24 + count).round().astype(np.uint16)
    return np.stack([np.tile(ramp[time : time + 24], (16, 1)) for time in range(count)])


def save_pictures(path: Path, frames: NDArray[np.uint16]) -> Path:
    path.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{number:02d}.png")
    return path


def save_tiff(path: Path, frames: NDArray[np.uint16]) -> Path:
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path.with_suffix(".tif"), save_all=True, append_images=others)
    return path.with_suffix(".tif")


def save_array(path: Path, frames: NDArray[np.uint16]) -> Path:
    np.save(path.with_suffix(".npy"), frames)
    return path.with_suffix(".npy")


def save_hdf5(path: Path, frames: NDArray[np.uint16]) -> Path:
    with pytest.importorskip("h5py").File(path.with_suffix(".h5"), "w") as file:
        file["frames"] = frames
    return path.with_suffix(".h5")


Save = Callable[[Path, NDArray[np.uint16]], Path]
every_kind = pytest.mark.parametrize("save", [save_pictures, save_tiff, save_array, save_hdf5])


@every_kind
def test_12_bits_in_16_are_no_black_film_and_come_back_exactly(tmp_path: Path, save: Save) -> None:
    frames = camera()
    prediction = framepred.predict(save(tmp_path / "clip", frames), weights=LAST, frames=2, cuts=False)
    assert prediction.frames.max() > 0.8
    assert any("values 0 to 4095 of" in note for note in prediction.notes)
    prediction.save(tmp_path / "future.npy")
    found = np.load(tmp_path / "future.npy")
    assert found.dtype == np.uint16
    assert np.array_equal(found[:, 0], frames[[-1, -1]])
    prediction.save(tmp_path / "future")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "future" / "0000.png")), frames[-1])


@every_kind
def test_16_bits_in_full_stay_as_they_are(tmp_path: Path, save: Save) -> None:
    prediction = framepred.predict(save(tmp_path / "clip", camera(65535)), weights=LAST, frames=2, cuts=False)
    assert prediction.frames.dtype == torch.uint16
    assert prediction.value_range is None


def test_a_clip_that_uses_little_of_its_range_is_noted(tmp_path: Path) -> None:
    dim = (camera() // 256 + 100).astype(np.uint8)
    path = save_pictures(tmp_path / "dim", dim)  # type: ignore[arg-type]
    assert any("uses only the values 1" in note for note in framepred.predict(path, weights=LAST, cuts=False).notes)


@pytest.fixture
def radar(small_net: EncoderForecaster, tmp_path: Path) -> Path:
    """Weights of a network that was trained on -32 to 60 dBZ."""
    set_value_range(small_net, ValueRange(-32, 60))
    small_net.save_pretrained(tmp_path / "radar")
    return tmp_path / "radar"


def test_weights_keep_their_range(radar: Path, tmp_path: Path) -> None:
    dbz = np.linspace(-20, 40, 14 * 16 * 16).reshape(14, 16, 16).astype(np.float32)
    prediction = framepred.predict(dbz, weights=radar, frames=2, cuts=False)
    assert prediction.value_range == ValueRange(-32, 60)
    np.save(tmp_path / "dbz.npy", dbz)
    from_file = framepred.predict(tmp_path / "dbz.npy", weights=radar, frames=2, cuts=False)
    assert torch.equal(from_file.values, prediction.values)
    scaled = framepred.predict((dbz + 32) / 92, weights=load(radar), frames=2, cuts=False, value_range=(0, 1))
    torch.testing.assert_close(scaled.frames, prediction.frames, atol=1e-5, rtol=0)
    assert scaled.value_range == ValueRange(0, 1)
    assert framepred.predict((dbz * 0 + 9).astype(np.uint8), weights=radar, frames=2).value_range is None
    stated = framepred.predict(dbz, weights=radar, frames=2, cuts=False, value_range=ValueRange(-40, 60))
    assert stated.value_range == ValueRange(-40, 60)


def test_evaluation_uses_the_range_and_channels_of_the_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = EncoderForecaster(channels=2, hidden_channels=[4], kernel_size=3)
    set_value_range(net, ValueRange(0, 30))
    folder = tmp_path / "grids"
    folder.mkdir()
    for number in range(3):
        np.save(folder / f"{number}.npy", np.random.default_rng(number).uniform(0, 30, (12, 2, 16, 16)))
    for data in (folder, folder / "0.npy"):
        card = framepred.evaluate(net, data, context=3, horizon=3, split="all")
        assert card.data.size == (2, 16, 16)
        assert card.data.value_range == (0, 30)
        assert Card.from_json(card.to_json()).data.value_range == (0, 30)
    found = predict_folder(folder, tmp_path / "future", weights=NamedForecaster(net, open_forecaster(LAST).record))
    assert [path.suffix for path in found.outputs] == [".npy"] * 3
    assert np.load(tmp_path / "future" / "0-predicted.npy").shape == (10, 2, 16, 16)


def test_a_video_of_two_channels_is_refused_before_it_is_begun(tmp_path: Path) -> None:
    grids = torch.rand(6, 2, 16, 16)
    steps = framepred.stream(grids, weights=LAST, frames=2, layout="tchw")
    with pytest.raises(ClipError, match="Pictures have 1 or 3 channels but the frames have 2"):
        list(record(steps, [VideoSink(tmp_path / "a.mp4", 10, 2)]))
    assert not (tmp_path / "a.mp4").exists()


def test_an_array_is_chosen_by_its_name_in_every_call(tmp_path: Path) -> None:
    rain, heat = (np.random.default_rng(seed).random((14, 16, 16), np.float32) for seed in (0, 1))
    path = tmp_path / "grids" / "weather.npz"
    path.parent.mkdir()
    np.savez(path, rain=rain, heat=heat, time=np.arange(14))
    with pytest.raises(framepred.errors.MediaError, match=r"name one of its arrays: rain \(14, 16, 16\), heat"):
        framepred.predict(path, weights=LAST)
    prediction = framepred.predict(path, weights=LAST, frames=2, array_name="heat", cuts=False)
    assert np.array_equal(prediction.frames[0, 0].numpy(), heat[-1])
    restored = framepred.restore(path, missing=[3], method="linear", array_name="heat", cuts=False)
    assert np.array_equal(restored.frames[0, 0].numpy(), heat[0])
    (first, *_) = framepred.stream(path, weights=LAST, frames=2, array_name="heat")
    assert np.array_equal(first.frame[0].numpy(), heat[0])
    assert framepred.evaluate(LAST, path, context=3, horizon=3, array_name="heat").data.clips == 2
    clip = VideoFolder(path.parent, 5, array_name="heat")[0]
    assert np.array_equal(clip[:, 0].numpy(), heat[:5])


@pytest.mark.parametrize("value_range", ["auto", "0,1"])
def test_nan_in_a_late_frame_is_found_before_training(tmp_path: Path, value_range: str) -> None:
    frames = np.random.default_rng(0).random((20, 8, 8), np.float32)
    frames[15, 5, 6] = np.nan
    np.save(tmp_path / "a.npy", frames)
    with pytest.raises(DataError, match=r"a\.npy holds values that are not finite .* at frame 15, row 5, column 6"):
        VideoFolder(tmp_path, 10, value_range=value_range)


def test_nan_is_read_as_a_stated_value_and_put_back(tmp_path: Path, small_net: EncoderForecaster) -> None:
    dbz = np.linspace(-20, 40, 14 * 16 * 16).reshape(14, 16, 16).astype(np.float32)
    dbz[:, :3] = np.nan  # outside the coverage
    dbz[4, 8, 8] = np.nan  # a pixel that was not measured once
    np.save(tmp_path / "radar.npy", dbz)
    with pytest.raises(ClipError, match="state a range of values and what NaN is read as, such as -32,60,nan=-32"):
        framepred.predict(tmp_path / "radar.npy", value_range=ValueRange(-32, 60))
    stated = ValueRange(-32, 60, filler=-32)
    for source in (tmp_path / "radar.npy", dbz):
        prediction = framepred.predict(source, weights=small_net, frames=2, cuts=False, value_range=stated)
        assert prediction.frames.isfinite().all()
        prediction.save(tmp_path / "future.npy")
        missing = np.isnan(np.load(tmp_path / "future.npy"))
        assert missing[:, :, :3].all()
        assert not missing[:, :, 3:].any()
    (tmp_path / "events").mkdir()
    for number in range(3):
        np.save(tmp_path / "events" / f"{number}.npy", dbz)
    card = framepred.evaluate(LAST, tmp_path / "events", context=3, horizon=3, split="all", value_range=stated)
    assert card.metrics["mse"].value >= 0


def test_infinity_is_never_filled() -> None:
    clip = np.zeros((12, 8, 8), np.float32)
    clip[0, 0, 0] = np.inf
    with pytest.raises(ClipError, match="not finite"):
        framepred.predict(clip, weights=LAST, value_range=ValueRange(0, 1, filler=0))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    "source", [None, 0, b"clip.mp4", [torch.zeros(1, 8, 8)], torch.zeros(9, 1, 8, 8, device="meta")]
)
def test_what_is_neither_path_nor_array_is_refused_in_one_sentence(source: object) -> None:
    with pytest.raises(ClipError, match=r"^Frames are a path, a NumPy array or a PyTorch tensor, not a .*\.$"):
        framepred.predict(source, weights=LAST, frames=1, context=3)  # type: ignore[arg-type]


def test_masked_values_are_missing_ones() -> None:
    values = np.linspace(0, 30, 6 * 8 * 8).reshape(6, 8, 8)
    masked = np.ma.masked_where(np.arange(8) < np.full((6, 8, 8), 2), values)
    with pytest.raises(ClipError, match="not finite"):
        framepred.predict(masked, weights=LAST, frames=1, context=3, value_range=ValueRange(0, 30))
    found = framepred.predict(
        masked, weights=LAST, frames=1, context=3, cuts=False, value_range=ValueRange(0, 30, filler=0)
    ).values
    assert found[..., :2].isnan().all()
    assert not found[..., 2:].isnan().any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.bool])
def test_tensors_of_every_type_of_unit_values_are_read(dtype: torch.dtype) -> None:
    clip = (torch.arange(6 * 8 * 8).reshape(6, 8, 8) % 2).to(dtype).requires_grad_(dtype.is_floating_point)
    found = framepred.predict(clip, weights=LAST, frames=1, context=3, cuts=False)
    assert found.frames.float().unique().tolist() in ([0, 1], [0, 255])


@pytest.mark.parametrize(
    "frames",
    [torch.rand(12, 1, 24, 24).to(torch.float8_e4m3fn), torch.rand(12, 1, 24, 24, dtype=torch.complex64).conj()],
    ids=["float8", "lazy conjugate"],
)
def test_numbers_that_numpy_does_not_have_are_refused_in_one_sentence(frames: torch.Tensor) -> None:
    with pytest.raises(ClipError, match=r"^Frames of the type torch\.\w+ cannot be read; convert them to uint8"):
        framepred.predict(frames, weights=LAST, frames=1, context=3)
