"""The call that restores: sources, methods, scores, files; what it finds by itself."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageSequence
from torch import Tensor

import framepred
from framepred.baselines import LinearInterpolation
from framepred.clips import Clip, Future
from framepred.errors import ClipError, ConfigError
from framepred.inference.damage import Dropped, find_dropped
from framepred.inference.missing import read_missing
from framepred.inference.restore import ScaledRestorer
from framepred.media.frame_times import frame_times, intact_times
from framepred.media.images import encode_png
from framepred.models import BidirectionalForecaster
from framepred.restorer import Missing
from video_zoo import write_codec


@pytest.fixture
def fading() -> Tensor:
    """Twelve frames that brighten evenly."""
    return (torch.arange(12, dtype=torch.uint8) * 20).view(12, 1, 1, 1).expand(12, 1, 8, 10).clone()


def moving(count: int = 30) -> Tensor:
    """A bright square that crosses a gray ground."""
    clip = torch.full((count, 1, 32, 48), 40, dtype=torch.uint8)
    for time in range(count):
        clip[time, :, 8:20, time : time + 12] = 220
    return clip


@pytest.mark.parametrize("missing", [[4, 5, 9], "4-5,9"])
def test_missing_frames_are_rebuilt(fading: Tensor, missing: list[int] | str) -> None:
    broken = fading.clone()
    broken[[4, 5, 9]] = 255
    restoration = framepred.restore(broken, missing=missing, method="linear")
    assert torch.equal(restoration.frames, fading)
    assert (restoration.rebuilt, restoration.count, restoration.notes) == ((4, 5, 9), 12, ())


def test_a_score_for_each_method(fading: Tensor) -> None:
    restoration = framepred.restore(fading, missing=[3, 4, 5], method="linear", compare=["last-frame"], holdout=True)
    linear, last = restoration.scores.values()
    assert restoration.score == linear
    assert linear.mse == pytest.approx(0, abs=1e-6)
    assert last.mse == pytest.approx(80 * ((20 / 255) ** 2 + (40 / 255) ** 2 + (60 / 255) ** 2) / 3, rel=1e-4)
    assert framepred.restore(fading, missing=[3], method="linear").score is None


def test_files_hold_what_frames_holds(fading: Tensor, tmp_path: Path) -> None:
    restoration = framepred.restore(fading, missing=[4], method="linear", compare=["last-frame"])
    restoration.save(tmp_path / "whole.npy")
    assert np.array_equal(np.load(tmp_path / "whole.npy"), restoration.frames)
    restoration.save(tmp_path / "both.npy", beside="last-frame")
    assert np.load(tmp_path / "both.npy")[:, 4, 0, 0, 0].tolist() == [60, 80]
    with pytest.raises(ConfigError, match="hopfield is not among the methods"):
        restoration.save(tmp_path / "both.npy", beside="hopfield")


def test_several_clips_have_scenes_of_their_own() -> None:
    still = torch.full((20, 1, 8, 8), 50, dtype=torch.uint8)
    cut = torch.cat([still[:10], still[10:] + 180])
    frames = framepred.restore(torch.stack([still, cut]), missing=[9, 10], method="linear").frames
    assert torch.equal(frames, torch.stack([still, cut]))


def test_repeats_freezes_and_damage_are_found() -> None:
    clip = moving()
    broken = clip.clone()
    broken[6] = broken[5]
    broken[12:15] = broken[11]
    broken[20] = 0
    restoration = framepred.restore(broken, find=True, method="linear")
    assert restoration.rebuilt == (6, 12, 13, 14, 20)
    assert restoration.count == 30


@pytest.mark.parametrize(
    "clip", [moving(), torch.full((30, 1, 8, 8), 90, dtype=torch.uint8), torch.cat([moving(15), 255 - moving(15)])]
)
def test_what_is_intact_is_left_alone(clip: Tensor) -> None:
    restoration = framepred.restore(clip, find=True, method="linear")
    assert restoration.rebuilt == ()
    assert torch.equal(restoration.frames, clip)


def test_gaps_in_the_numbers_of_pictures_are_filled(tmp_path: Path) -> None:
    for number, frame in enumerate(moving(12)):
        if number not in (4, 5):
            (tmp_path / f"frame{number:03}.png").write_bytes(encode_png(frame))
    restoration = framepred.restore(tmp_path, find=True, method="linear")
    assert (restoration.count, restoration.rebuilt) == (12, (4, 5))
    (note,) = restoration.notes
    assert note.endswith("of the complete series, counted from 0); 2 frames are inserted there and rebuilt.")
    (note,) = framepred.restore(tmp_path, missing=[2], method="linear").notes
    assert note.endswith("it is read as if nothing were missing.")


def test_a_gap_that_is_too_long_to_fill_is_read_as_if_nothing_were_missing(tmp_path: Path) -> None:
    for number, frame in enumerate(moving(160)):
        if number not in range(40, 105):
            (tmp_path / f"frame{number:03}.png").write_bytes(encode_png(frame))
    restoration = framepred.restore(tmp_path, find=True, method="linear", cuts=False)
    assert restoration.count == 95
    assert restoration.notes[0].endswith("it is read as if nothing were missing.")


def test_numbers_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "missing.txt").write_text("# dropped\n7, 8\n12-15  # a run\n\n")
    assert read_missing(tmp_path / "missing.txt") == {7, 8, 12, 13, 14, 15}
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ConfigError, match="names no frames"):
        read_missing(tmp_path / "empty.txt")


@pytest.mark.parametrize("line", ["x", "7 8", "5-2", "3, -1"])
def test_a_line_that_names_no_frames_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "missing.txt").write_text(f"# dropped\n7\n\n{line}  # wrong\n9\n")
    with pytest.raises(ConfigError, match=r"missing\.txt, line 4: '?.+ names no frames; write numbers and ranges"):
        read_missing(tmp_path / "missing.txt")


def test_values_of_the_source_are_restored_in_files(tmp_path: Path) -> None:
    celsius = torch.arange(12.0).view(12, 1, 1, 1).expand(12, 1, 8, 8) - 20
    restoration = framepred.restore(celsius, missing=[5], method="linear", value_range="auto", cuts=False)
    restoration.save(tmp_path / "whole.npy")
    np.testing.assert_allclose(np.load(tmp_path / "whole.npy"), celsius, atol=1e-4)


RADAR = {"value_range": "-32,60,nan=-32", "cuts": False}


def radar(frames: int = 30) -> np.ndarray:
    """Drifting rain in dBZ, float32 (t, 24, 32); a corner is never measured."""
    rows, columns = np.mgrid[:24, :32]
    rain = np.stack([30 * np.sin((columns - 0.7 * time) / 5) * np.cos(rows / 7) + 14 for time in range(frames)])
    rain[:, :6, :5] = np.nan
    return rain.astype(np.float32)


@pytest.mark.parametrize("method", ["motion", "linear", "last-frame", "auto"])
@pytest.mark.parametrize("kind", ["array", "file"])
def test_pixels_that_were_not_measured_stay_missing(method: str, kind: str, tmp_path: Path) -> None:
    film = radar()
    film[12, 10:14, 10:14] = np.nan  # measured before and after
    film[19, 20:, 20:] = np.nan  # on one side of a gap
    np.save(tmp_path / "a.npy", film)
    source = film if kind == "array" else tmp_path / "a.npy"
    restored = framepred.restore(source, missing=[5, 6, 20], method=method, **RADAR)
    restored.save(tmp_path / "b.npy")
    found = np.load(tmp_path / "b.npy").reshape(film.shape)
    expected = film.copy()
    expected[[5, 6, 20]] = radar()[[5, 6, 20]]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(restored.frames[:, 0].isnan().numpy(), np.isnan(expected))
    kept = [number for number in range(30) if number not in (5, 6, 20)]
    np.testing.assert_allclose(found[kept], film[kept], atol=1e-4)


def test_what_is_not_measured_does_not_bleed_into_rebuilt_frames() -> None:
    """Read as -32 dBZ, a corner that is not measured spoils the pixels beside it by up to 7 dB."""
    rows, columns = np.mgrid[:48, :64]
    film = np.stack([30 * np.sin((columns - 1.5 * time) / 5) * np.cos(rows / 7) + 14 for time in range(30)])
    film[:, :12, :10] = np.nan
    rebuilt = 92 * framepred.restore(film, missing=[5, 6, 7], method="motion", **RADAR).frames[5:8, 0].numpy() - 32
    error = np.abs(rebuilt - film[5:8]).max(axis=0)
    assert max(error[:12, 10:14].max(), np.nanmax(error[12:16, :14])) < 3


def test_a_frame_without_a_measured_pixel_is_found() -> None:
    film = radar()
    film[9] = np.nan
    restored = framepred.restore(film, find=True, method="linear", **RADAR)
    assert restored.rebuilt == (9,)
    np.testing.assert_array_equal(restored.frames[9, 0].isnan().numpy(), np.isnan(film[8]))


def test_missing_pixels_are_left_out_of_scores_and_shown_as_the_filler(tmp_path: Path) -> None:
    film = radar()
    whole = np.where(np.isnan(film), -32, film)
    scores = [
        framepred.restore(clip, missing=[5], method="last-frame", holdout=True, value_range="-32,60,nan=-32").score
        for clip in (film, whole)
    ]
    share = np.isnan(film[5]).mean()
    assert scores[0].mse == pytest.approx(scores[1].mse / (1 - share), rel=1e-4)
    restored = framepred.restore(film, missing=[5], method="linear", **RADAR)
    restored.save(tmp_path / "pictures")
    assert framepred.read_video(tmp_path / "pictures")[0, 0, 0, 0] == 0


@pytest.mark.parametrize("source", ["a.mp4", "a.gif"])
@pytest.mark.parametrize(("factor", "suffix"), [(1, ".mp4"), (2, ".mp4"), (1, ".gif")])
def test_frames_keep_times_that_vary(source: str, factor: int, suffix: str, tmp_path: Path) -> None:
    film, times = moving(12), [number * 0.04 if number < 6 else 0.2 + (number - 5) * 0.12 for number in range(12)]
    framepred.write_video(tmp_path / source, film, fps=25, times=times)
    restored = framepred.restore(tmp_path / source, missing=[3], upsample=factor, method="linear")
    restored.save(tmp_path / f"b{suffix}")
    assert "keep their times" in " ".join(restored.notes)
    wanted = np.interp(np.arange(11 * factor + 1) / factor, range(12), times)
    if suffix == ".mp4":
        assert intact_times(tmp_path / "b.mp4").seconds == pytest.approx(wanted, abs=1e-3)
    else:
        with Image.open(tmp_path / "b.gif") as picture:
            durations = [frame.info["duration"] / 1000 for frame in ImageSequence.Iterator(picture)]
        assert np.cumsum(durations)[:-1] == pytest.approx(wanted[1:], abs=0.011)


@pytest.mark.parametrize("source", ["a.gif", "a.png", "a.webp"])
@pytest.mark.parametrize("output", ["b.gif", "b.mp4"])
def test_the_last_frame_of_an_animation_is_held_as_long(source: str, output: str, tmp_path: Path) -> None:
    first, *others = [Image.fromarray(frame[0].numpy()) for frame in moving(6)]
    first.save(tmp_path / source, save_all=True, append_images=others, duration=[100] * 5 + [3000])
    framepred.restore(tmp_path / source, missing=[2], method="linear").save(tmp_path / output)
    times = frame_times(tmp_path / output)
    assert times is not None
    assert times.seconds == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert times.last_duration == pytest.approx(3)


def test_a_restored_film_says_what_a_gif_cannot_keep(tmp_path: Path) -> None:
    times = [*(number / 60 for number in range(10)), *(1 + number / 5 for number in range(4))]
    framepred.write_video(tmp_path / "a.mp4", moving(14), times=times, last_duration=0.5)
    restored = framepred.restore(tmp_path / "a.mp4", missing=[3], method="linear")
    assert restored.notes[-1].endswith("keep their times, but a .gif shows each for at least 20 ms.")
    restored.save(tmp_path / "a.gif")
    found = frame_times(tmp_path / "a.gif")
    assert found is not None
    assert found.seconds[10:] == pytest.approx(times[10:], abs=0.01)
    assert found.last_duration == pytest.approx(0.5)


@pytest.mark.parametrize("fps", [25, 30, 10])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_film_whose_dropped_frames_are_found_gets_its_rate_back(fps: int, suffix: str, tmp_path: Path) -> None:
    times = [round(1000 * number / fps) for number in range(60) if number not in (20, 21, 40)]
    path = write_codec(tmp_path / f"a{suffix}", times=times)
    restored = framepred.restore(path, find=True, method="linear")
    assert {20, 21, 40} <= set(restored.rebuilt)
    assert restored.fps == pytest.approx(fps, rel=1e-3)
    assert not any("varies" in note for note in restored.notes)


@pytest.mark.parametrize("fps", [24, 30, 60000 / 1001, 60, 120])
@pytest.mark.parametrize("gaps", [[60], [30], [11], [2, 15], [1, 1, 1, 20]], ids=str)
def test_gaps_are_counted_in_time_stamps_of_milliseconds(fps: float, gaps: list[int], tmp_path: Path) -> None:
    missing = {30 * place + lost for place, gap in enumerate(gaps, start=1) for lost in range(gap)}
    times = [round(1000 * number / fps) for number in range(200) if number not in missing]
    dropped = find_dropped(write_codec(tmp_path / "a.mkv", codec="ffv1", size=(16, 16), times=times))
    assert dropped.numbers == missing
    assert dropped.fps == pytest.approx(fps, rel=1e-3)


@pytest.mark.parametrize("pause", [10.5, 3.4, 0.4])
def test_pauses_of_no_whole_number_of_frames_are_no_gaps(pause: float, tmp_path: Path) -> None:
    times = [round(1000 * (number + pause * (number >= 20)) / 30) for number in range(60)]
    assert find_dropped(write_codec(tmp_path / "a.mkv", codec="ffv1", size=(16, 16), times=times)) == Dropped()


def test_large_frames_are_shrunk_for_the_network_and_keep_their_detail() -> None:
    class Watched(LinearInterpolation):
        def fill(self, clip: Clip, missing: Missing) -> Future:
            self.size = clip.shape[-2:]
            return super().fill(clip, missing) + 0.25

    clip, missing = torch.rand(1, 3, 1, 30, 60) / 2, torch.tensor([False, True, False])
    inner = Watched()
    restored = ScaledRestorer(inner, 20).eval().restore(clip, missing)
    assert tuple(inner.size) == (10, 20)
    torch.testing.assert_close(restored[:, 1], clip[:, ::2].mean(dim=1) + 0.25)


def test_small_frames_pass_unchanged() -> None:
    net = BidirectionalForecaster(hidden_channels=4, mixing_channels=4).eval()
    clip, missing = torch.rand(1, 4, 1, 9, 12), torch.tensor([False, True, True, False])
    assert torch.equal(ScaledRestorer(net, 12).eval().restore(clip, missing), net.restore(clip, missing))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "Nothing is to be done"),
        ({"missing": [-1]}, "integers from 0 on, not -1"),
        ({"missing": [1], "method": "magic"}, "There is no method 'magic'"),
        ({"upsample": 66}, "must be an integer from 1 to 65, not 66"),
        ({"upsample": 2, "holdout": True}, "leave upsample and find out"),
        ({"missing": range(2, 90)}, "65 missing in a row"),
        ({"missing": 3}, "several numbers or a text, not 3"),
        ({"missing": [number == 3 for number in range(12)]}, "numbers, not a mask"),
        ({"missing": np.arange(12) == 3}, "numbers, not a mask"),
        ({"missing": torch.arange(12) == 3}, "numbers, not a mask"),
    ],
)
def test_arguments_are_checked(fading: Tensor, arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        framepred.restore(fading, **{"method": "linear"} | arguments)  # type: ignore[arg-type]


def test_weights_that_forecast_do_so_from_both_sides(fading: Tensor) -> None:
    by_name = framepred.restore(fading, missing=[3], weights="moving-mnist-convlstm")
    net = framepred.load("moving-mnist-convlstm")
    assert by_name.methods == ("bidirectional",)
    assert torch.equal(by_name.frames, framepred.restore(fading, missing=[3], weights=net).frames)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("output", ["out.npy", "out.npz", "pngs"])
@pytest.mark.parametrize(
    ("dtype", "stated"),
    [(np.float32, "-32,60,nan=-32"), (np.float64, "-32,60,nan=-32"), (np.uint16, "0,4095"), (np.int32, "0,255")],
)
def test_observed_values_are_kept_also_beyond_the_range(
    tmp_path: Path, dtype: type, stated: str, output: str, in_memory: bool
) -> None:
    random = np.random.default_rng(0)
    clip = random.normal(100, 90, (9, 13, 17)).clip(0).astype(dtype)
    clip[1, 2, 3] = 5000
    if np.issubdtype(dtype, np.floating):
        clip = clip - 50
        clip[2, :4] = np.nan
    np.save(tmp_path / "a.npy", clip)
    restored = framepred.restore(
        clip if in_memory else tmp_path / "a.npy", missing=[4], upsample=2, method="linear", value_range=stated
    )
    restored.save(tmp_path / output)
    known = [index for index in range(9) if index != 4]
    if output == "pngs":
        pictures = sorted((tmp_path / output).iterdir())
        found = np.stack([np.asarray(Image.open(picture)) for picture in pictures])[::2]
        if np.issubdtype(dtype, np.integer):
            assert np.array_equal(found[known], clip[known])
        return
    stored = np.load(tmp_path / output)
    found = (stored if output == "out.npy" else stored["frames"])[::2, 0]
    assert np.array_equal(found[known], clip[known].astype(found.dtype), equal_nan=True)
    assert not np.array_equal(found[4], clip[4].astype(found.dtype), equal_nan=True)


def test_values_of_a_frame_that_is_rebuilt_in_another_clip_are_kept(tmp_path: Path) -> None:
    clips = np.stack([moving().numpy()[:, 0], moving().numpy()[::-1, 0]]).astype(np.float64) / 3
    clips[0, 10] = clips[0, 9]
    clips[1] *= 2  # up to 147
    restored = framepred.restore(clips, find=True, method="linear", value_range=(0, 100), layout="nthw")
    restored.save(tmp_path / "a.npy")
    found = np.load(tmp_path / "a.npy")[:, :, 0]
    assert restored.rebuilt == (10,)
    assert np.array_equal(found[1], clips[1])
    assert not np.array_equal(found[0, 10], clips[0, 10])


@pytest.mark.parametrize("in_memory", [True, False])
def test_booleans_are_black_and_white_or_zero_and_one_again_by_a_range(tmp_path: Path, in_memory: bool) -> None:
    clip = np.random.default_rng(0).random((5, 6, 7)) < 0.5
    np.save(tmp_path / "a.npy", clip)
    source = clip if in_memory else tmp_path / "a.npy"
    for stated, white in ((None, 255), ((0, 1), 1)):
        framepred.restore(source, missing=[3], method="linear", value_range=stated).save(tmp_path / "b.npy")
        found = np.load(tmp_path / "b.npy")[:, 0]
        assert found.dtype == np.uint8
        assert np.array_equal(found[[0, 1, 2, 4]], clip[[0, 1, 2, 4]] * white)
        assert set(np.unique(found[3])) <= set(range(white + 1))


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.float64])
@pytest.mark.parametrize("way", ["plain", "masked", "NetCDF"])
def test_observed_values_that_float32_does_not_hold_are_kept(tmp_path: Path, dtype: type, way: str) -> None:
    clip = np.random.default_rng(0).integers(2**24, 2**31 - 1, (5, 6, 7)).astype(dtype)
    lost = np.zeros(clip.shape, bool)
    lost[1, :2] = way != "plain"
    source: Path | np.ndarray = np.ma.array(clip, mask=lost) if way == "masked" else clip
    if way == "NetCDF":
        source = tmp_path / "a.nc"
        with h5py.File(source, "w") as file:
            file.create_dataset("v", data=np.where(lost, 0, clip)).attrs["_FillValue"] = dtype(0)
    restored = framepred.restore(source, missing=[3], method="linear", value_range=f"0,{2**31},nan=0", layout="thw")
    restored.save(tmp_path / "a.npy")
    found = np.load(tmp_path / "a.npy")[[0, 1, 2, 4], 0]
    assert np.array_equal(found, np.where(lost, np.nan, clip)[[0, 1, 2, 4]], equal_nan=True)


@pytest.mark.parametrize(
    ("values", "stated", "levels"),
    [
        (np.linspace(0, 1, 240), "0,1", 200),  # whole numbers would leave two
        (np.linspace(250.0, 320.0, 240), "250,320", 200),
        (np.arange(0.0, 4096, 17), "0,4095", 241),  # whole numbers are exact
        (np.linspace(0, 255.9, 240), "0,256,nan=0", 200),
    ],
)
def test_floats_keep_their_levels_in_pictures(tmp_path: Path, values: np.ndarray, stated: str, levels: int) -> None:
    clip = np.tile(values, (4, 3, 1))
    framepred.restore(clip, missing=[2], method="linear", value_range=stated).save(tmp_path / "pngs")
    picture = np.asarray(Image.open(sorted((tmp_path / "pngs").iterdir())[0]))
    assert len(np.unique(picture)) >= levels


@pytest.mark.parametrize("content", [np.nan, np.inf, 999.0])
@pytest.mark.parametrize("stated", [None, "0,1", "auto"])
@pytest.mark.parametrize("in_memory", [True, False])
def test_what_missing_frames_hold_is_not_looked_at(
    tmp_path: Path, content: float, stated: str | None, in_memory: bool
) -> None:
    clip = (moving().numpy() / 255).astype(np.float32)
    expected = framepred.restore(clip, missing=[0, 7, 8], method="linear", value_range=stated).frames
    clip[[0, 7, 8]] = content
    np.save(tmp_path / "a.npy", clip)
    source = clip if in_memory else tmp_path / "a.npy"
    found = framepred.restore(source, missing=[0, 7, 8], method="linear", value_range=stated).frames
    assert torch.equal(found, expected)


@pytest.mark.parametrize("content", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("stated", [None, "0,1", "auto"])
@pytest.mark.parametrize("kind", ["stack", "folder"])
def test_what_missing_pictures_hold_is_not_looked_at(
    tmp_path: Path, content: float, stated: str | None, kind: str
) -> None:
    clip = (moving(12).numpy() / 255).astype(np.float32)[:, 0]
    expected = framepred.restore(clip, missing=[0, 7], method="linear", value_range=stated).frames
    clip[[0, 7]] = content
    source = tmp_path / ("a.tif" if kind == "stack" else "pictures")
    if kind == "folder":
        source.mkdir()
        for number, frame in enumerate(clip):
            tifffile.imwrite(source / f"{number}.tif", frame)
    else:
        tifffile.imwrite(source, clip, photometric="minisblack")
    restored = framepred.restore(source, missing=[0, 7], method="linear", value_range=stated)
    torch.testing.assert_close(restored.frames, expected)
    restored.save(tmp_path / "b.npy")
    np.testing.assert_allclose(np.delete(np.load(tmp_path / "b.npy")[:, 0], [0, 7], 0), np.delete(clip, [0, 7], 0))


def test_broken_pictures_that_are_to_be_rebuilt_are_not_read(tmp_path: Path) -> None:
    """Also beside a number that the folder lacks, which is inserted."""
    for number in (0, 1, 2, 4, 5, 6, 7, 8):
        tifffile.imwrite(tmp_path / f"{number}.tif", np.full((8, 8), 20 * number, np.uint8))
    (tmp_path / "5.tif").write_bytes((tmp_path / "5.tif").read_bytes()[:40])
    restored = framepred.restore(tmp_path, missing=[5], find=True, method="linear", cuts=False)
    assert restored.frames[:, 0, 0, 0].tolist() == list(range(0, 180, 20))
    assert restored.rebuilt == (3, 5)


def test_scores_leave_out_what_is_not_measured() -> None:
    clips = torch.stack([moving(12), moving(12).flip(3)]).float() / 255
    whole = framepred.restore(clips, missing=[3, 4, 5], method="linear", holdout=True).score
    clips[0, 4] = torch.nan
    clips[:, 5, :, :4] = torch.nan
    lost = framepred.restore(clips, missing=[3, 4, 5], method="linear", holdout=True, value_range="0,1,nan=0").score
    assert whole is not None
    assert lost is not None
    assert lost.mse == pytest.approx(whole.mse, rel=0.3)
    assert lost.psnr == pytest.approx(whole.psnr, rel=0.1)
    clips[:, 3:6] = torch.nan
    with pytest.raises(ClipError, match="No pixel of the held-out frames was measured in them"):
        framepred.restore(clips, missing=[3, 4, 5], method="linear", holdout=True, value_range="0,1,nan=0").save(
            "a.npy"
        )


@pytest.mark.parametrize("method", ["linear", "last-frame", "motion"])
def test_scores_leave_out_what_is_not_rebuilt_but_count_the_rest_of_the_frame(method: str) -> None:
    clip = torch.full((14, 1, 16, 16), 0.5)
    clip[5], clip[9] = 0.75, 1
    holed = clip.clone()
    holed[[4, 6], 0, 0, 0] = torch.nan
    missing = [5, 9]
    whole = framepred.restore(clip, missing=missing, method=method, holdout=True, cuts=False).score
    lost = framepred.restore(
        holed, missing=missing, method=method, holdout=True, cuts=False, value_range="0,1,nan=0"
    ).score
    assert whole is not None
    assert lost is not None
    assert (lost.frames, lost.psnr) == (whole.frames, pytest.approx(whole.psnr))
    assert lost.mse == pytest.approx(whole.mse)


def test_a_score_counts_the_frames_that_have_one() -> None:
    clips = torch.full((2, 14, 1, 16, 16), 0.5)
    clips[:, 5] = torch.nan
    clips[0, 9] = torch.nan
    score = framepred.restore(
        clips, missing=[5, 9, 11], method="linear", holdout=True, cuts=False, value_range="0,1,nan=0"
    ).score
    assert score is not None
    assert (score.frames, score.mse) == (2, 0)


@pytest.mark.parametrize("length", [1, 2, 3, 6])
@pytest.mark.parametrize("level", [0, 255])
def test_dropouts_of_several_frames_are_rebuilt_whole(length: int, level: int) -> None:
    clip = moving().repeat(1, 3, 1, 1)
    broken = clip.clone()
    broken[12 : 12 + length] = level
    restoration = framepred.restore(broken, find=True, method="linear")
    assert restoration.rebuilt == tuple(range(12, 12 + length))
    assert (restoration.frames.float().mean(dim=(1, 2, 3)) - clip.float().mean(dim=(1, 2, 3))).abs().max() < 2


def test_a_dropout_that_is_too_long_to_rebuild_stays() -> None:
    clip = torch.cat([moving(36), moving(36), moving(36), moving(42)])
    clip[30:130] = 0
    assert framepred.restore(clip, find=True, method="linear").rebuilt == ()


def test_a_still_shot_between_others_is_no_dropout() -> None:
    clip = moving(60)
    clip[30:] = 255 - clip[30:]
    clip[30:40] = 150  # a title, after which another scene begins
    assert framepred.restore(clip, find=True, method="linear").rebuilt == ()


def test_observed_values_of_several_clips_are_kept_beside_another_method(tmp_path: Path) -> None:
    clips = np.random.default_rng(0).normal(0, 40, (2, 7, 1, 8, 9)).astype(np.float32)
    restored = framepred.restore(clips, missing=[3], method="linear", compare=["last-frame"], value_range="-32,60")
    restored.save(tmp_path / "a.npy", beside="last-frame")
    found = np.load(tmp_path / "a.npy")
    known = [0, 1, 2, 4, 5, 6]
    assert np.array_equal(found[:, known], np.concatenate([clips, clips])[:, known])


@pytest.mark.parametrize("channels", [2, 5])
@pytest.mark.parametrize("method", ["motion", "minterpolate", "linear"])
def test_any_number_of_channels_is_restored(channels: int, method: str) -> None:
    clip = torch.arange(12.0).view(12, 1, 1, 1).expand(12, channels, 24, 32) / 20
    restored = framepred.restore(clip, missing=[5, 6], method=method, layout="tchw")
    assert restored.frames.shape == clip.shape
    assert torch.allclose(restored.frames[5:7], clip[5:7], atol=0.03)


@pytest.mark.usefixtures("unchecked_shapes")
def test_frame_numbers_of_numpy_are_taken() -> None:
    clip = torch.arange(12.0).view(12, 1, 1, 1).expand(12, 1, 8, 8) / 20
    for missing in (np.flatnonzero(np.arange(12) == 5), [np.int64(5)], [torch.tensor(5)]):
        assert framepred.restore(clip, missing=missing, method="linear").rebuilt == (5,)
    assert framepred.restore(clip, upsample=np.int64(2), method="linear").count == 23


@pytest.mark.usefixtures("unchecked_shapes")
def test_frame_numbers_and_factors_are_integers() -> None:
    clip = torch.arange(12.0).view(12, 1, 1, 1).expand(12, 1, 8, 8) / 20
    for wrong in (np.float64(5), "5", -1):
        with pytest.raises(ConfigError, match="Missing frames are integers from 0 on"):
            framepred.restore(clip, missing=[wrong], method="linear")  # type: ignore[list-item]
    with pytest.raises(ConfigError, match=r"must be an integer from 1 to 65, not 1\.5"):
        framepred.restore(clip, upsample=1.5, method="linear")  # type: ignore[arg-type]
