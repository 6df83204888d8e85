"""predict as it is typed: clips of any kind, folders of them, views, adapting."""

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from framepred.media.opencv import cv2
from framepred.media.reading import read_clips, read_video
from framepred.media.writing import write_video
from framepred.visualization.error_map import error_view

Run = Callable[..., tuple[int, str, str]]


def film(count: int = 12, channels: int = 3, height: int = 21, width: int = 27, level: int = 40) -> torch.Tensor:
    """A bright square that wanders over a gray ground."""
    clip = torch.full((count, channels, height, width), level, dtype=torch.uint8)
    for time in range(count):
        clip[time, :, 3:8, time : time + 6] = torch.tensor([200, 120, 60][:channels], dtype=torch.uint8)[:, None, None]
    return clip


def test_size_colour_and_rate_stay(framepred: Run) -> None:
    for channels, height, width in ((3, 32, 48), (1, 21, 27), (3, 7, 40), (3, 40, 5)):
        write_video("clip.mp4", film(channels=channels, height=height, width=width), fps=12.5)
        code, out, err = framepred("predict", "clip.mp4", "--frames", 3)
        assert code == 0, err
        found, read = read_clips("clip-predicted.mp4"), read_clips("clip.mp4")
        assert found.clips.shape[1] == 3
        assert found.clips.shape[3:] == read.clips.shape[3:]
        assert found.fps == 12.5
        assert (
            out == f"clip-predicted.mp4: 3 frames of {read.clips.shape[-1]}x{read.clips.shape[-2]} at 12.5 a second\n"
        )


def test_the_size_in_the_file_is_said_where_it_is_another(framepred: Run) -> None:
    Path("films").mkdir()
    np.save("films/odd.npy", np.zeros((12, 33, 47), np.uint8))
    np.save("four.npy", np.zeros((4, 12, 1, 33, 47), np.uint8))
    quick = ("--weights", "baseline:last-frame", "--no-blend", "--frames", 3)
    single, padded = "3 frames of 47x33 at 10 a second\n", "3 frames of 47x33, padded to 48x34, at 10 a second\n"
    for source, output, said in (
        ("films/odd.npy", "odd.mp4", padded),
        ("films/odd.npy", "odd.gif", single),
        ("films/odd.npy", "odd", single),
        ("films/odd.npy", "odd.npy", single),
        ("four.npy", "future.npy", single),
        ("four.npy", "future.mp4", "3 frames of 47x33 in a grid of 96x68 at 10 a second\n"),
    ):
        assert framepred("predict", source, *quick, "--output", output) == (0, f"{output}: {said}", "")
        if output.endswith(".mp4"):
            height, width = read_video(output).shape[-2:]
            assert f" {width}x{height}" in said
    assert framepred("predict", "films", *quick, "--output", "out")[1] == f"out/odd-predicted.mp4: {padded}"


def test_a_line_of_pixels_is_refused_in_one_sentence(framepred: Run) -> None:
    np.save("line.npy", np.zeros((12, 1, 40), np.uint8))
    code, out, err = framepred("predict", "line.npy", "--weights", "moving-mnist-convlstm", "--output", "future.npy")
    assert (code, out) == (2, "")
    assert err == "Frames must be at least 4 pixels high and wide for these weights, not 1x40; enlarge them.\n"


def test_a_line_of_pixels_is_predicted_by_weights_that_pad(framepred: Run) -> None:
    np.save("line.npy", np.zeros((12, 1, 40), np.uint8))
    code, out, err = framepred("predict", "line.npy", "--weights", "moving-mnist", "--output", "future.npy")
    assert (code, err) == (0, "")
    assert out.startswith("future.npy: 10 frames of 40x1")
    assert np.load("future.npy").shape == (10, 1, 1, 40)


def test_16_bits_stay_in_arrays_and_pictures(framepred: Run) -> None:
    np.save("deep.npy", film(channels=1)[:, 0].numpy().astype(np.uint16) * 257)
    assert framepred("predict", "deep.npy", "--frames", 2, "--output", "deep-future.npy")[0] == 0
    assert np.load("deep-future.npy").dtype == np.uint16
    Path("pictures").mkdir()
    for number, frame in enumerate(film()):
        cv2.imwrite(f"pictures/{number}.png", frame.permute(1, 2, 0).numpy().astype(np.uint16) * 257)
    assert framepred("predict", "pictures", "--frames", 2, "--output", "future")[0] == 0
    assert [path.name for path in sorted(Path("future").iterdir())] == ["0000.png", "0001.png"]
    assert cv2.imread("future/0000.png", cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_a_variable_rate_is_said(framepred: Run) -> None:
    with av.open("uneven.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate((0, 40, 160, 200, 320, 360, 480, 520, 640, 680, 800, 840)):
            picture = av.VideoFrame.from_ndarray(film(height=32, width=32)[number].permute(1, 2, 0).numpy().copy())
            picture.pts, picture.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    code, _, err = framepred("predict", "uneven.mp4", "--frames", 2)
    assert code == 0
    assert "The frame rate of uneven.mp4 varies; its mean, 13.1, is written." in err
    assert read_clips("uneven-predicted.mp4").fps == pytest.approx(13.1, abs=0.1)


def test_scene_cuts_are_said_unless_turned_off(framepred: Run) -> None:
    write_video("cut.npy", torch.cat([film(8, level=180), film(5, level=20)]))
    known = ["predict", "cut.npy", "--frames", 2, "--weights", "baseline:last-frame", "--output", "one.npy"]
    assert "scene cut 5 frames before what is predicted" in framepred(*known)[2]
    assert framepred(*known, "--no-cuts")[2] == ""


def test_views(framepred: Run) -> None:
    write_video("clip.npy", film())
    known = ["predict", "clip.npy", "--context", 6, "--frames", 4]
    assert framepred(*known, "--holdout", "--output", "plain.npy")[0] == 0
    code, out, _ = framepred(*known, "--view", "error", "--output", "error.npy")
    assert code == 0
    assert "last-frame" in out
    expected = error_view(film()[8:], torch.from_numpy(np.load("plain.npy")))
    np.testing.assert_array_equal(np.load("error.npy"), expected)
    assert framepred(*known, "--view", "side-by-side", "--output", "both.npy")[0] == 0
    assert len(np.load("both.npy")) == 10


def test_adapting_says_what_it_gained(framepred: Run) -> None:
    write_video("clip.npy", film(24, width=40))
    code, _, err = framepred("predict", "clip.npy", "--context", 4, "--frames", 3, "--adapt", 1, "--output", "a.npy")
    assert code == 0, err
    assert err.startswith(("Adapted in ", "Training gained nothing in "))
    assert "last frame" in err
    assert "optical flow" in err


def test_values_of_a_stated_range_come_back(framepred: Run) -> None:
    np.save("celsius.npy", np.full((12, 8, 8), -7, np.float32))
    known = ["predict", "celsius.npy", "--weights", "baseline:last-frame", "--frames", 1, "--output", "future.npy"]
    assert framepred(*known)[0] == 2
    assert framepred(*known, "--range=-20,30")[0] == 0
    np.testing.assert_allclose(np.load("future.npy"), -7, atol=1e-4)


def test_blending_can_be_turned_off(framepred: Run) -> None:
    write_video("clip.npy", film(20))
    for option in ("--blend", "--no-blend"):
        assert framepred("predict", "clip.npy", "--frames", 2, option, "--output", f"{option[2:]}.npy")[0] == 0
    assert not np.array_equal(np.load("blend.npy"), np.load("no-blend.npy"))


def folder_of_clips() -> Path:
    folder = Path("clips")
    (folder / "deep").mkdir(parents=True)
    write_video(folder / "one.mp4", film(height=20, width=28))
    write_video(folder / "one.npy", film())
    write_video(folder / "deep" / "it's gray ü.mp4", film(channels=1, height=16, width=30))
    write_video(folder / "frames", film())
    return folder


def test_a_folder_of_clips_gives_a_folder(framepred: Run) -> None:
    folder_of_clips()
    code, out, err = framepred("predict", "clips", "--frames", 2, "--weights", "baseline:last-frame")
    assert code == 0, err
    written = {str(path.relative_to("clips-predicted")) for path in Path("clips-predicted").rglob("*.mp4")}
    assert written == {
        "one.mp4-predicted.mp4", "one.npy-predicted.mp4", "frames-predicted.mp4", "deep/it's gray ü-predicted.mp4",
    }  # fmt: skip
    assert out.count("2 frames of") == 4
    code, _, err = framepred("predict", "clips", "--frames", 2)
    assert code == 2
    assert "name a new or empty folder" in err


def test_every_clip_of_a_folder_has_a_result_of_its_own(framepred: Run) -> None:
    Path("clips").mkdir()
    for name, width in (("x.mp4", 20), ("x.gif", 24), ("x.mp4.mov", 28), ("x.mov.mp4", 32)):
        write_video(
            Path("clips/draft.gif" if name.endswith("gif") else "clips/draft.mp4"), film(height=20, width=width)
        )
        Path("clips/draft.gif" if name.endswith("gif") else "clips/draft.mp4").rename(Path("clips") / name)
    code, _, err = framepred("predict", "clips", "--frames", 2, "--weights", "baseline:last-frame")
    assert code == 0, err
    written = {path.name: read_clips(path).clips.shape[-1] for path in Path("clips-predicted").iterdir()}
    assert written == {
        "x.mp4-predicted.mp4": 20,
        "x.gif-predicted.mp4": 24,
        "x.mp4.mov-predicted.mp4": 28,
        "x.mov-predicted.mp4": 32,
    }


def test_measured_values_of_a_folder_stay_values(framepred: Run) -> None:
    Path("radar").mkdir()
    clip = np.random.default_rng(0).normal(10, 20, (14, 17, 21)).astype(np.float32)
    clip[:, :3] = np.nan
    np.save("radar/a.npy", clip)
    options = ["--range=-32,65,nan=-32", "--frames", 2, "--weights", "baseline:last-frame", "--output", "out"]
    code, out, err = framepred("predict", "radar", *options)
    assert code == 0, err
    assert out == "out/a-predicted.npy: 2 frames of 21x17 at 10 a second\n"
    predicted = np.load("out/a-predicted.npy")[:, 0]
    assert np.isnan(predicted[:, :3]).all()
    np.testing.assert_allclose(predicted[0, 3:], clip[-1, 3:].clip(-32, 65), atol=1e-4)


def test_a_bad_file_stops_all_or_is_left_out(framepred: Run) -> None:
    (folder_of_clips() / "text.mp4").write_text("no video")
    arguments = ["predict", "clips", "--frames", 2, "--weights", "baseline:last-frame"]
    code, out, err = framepred(*arguments)
    assert code == 2
    assert err.count("\n") == 1
    assert "text.mp4" in err
    assert "--skip-broken" in err
    assert out == ""
    assert sorted(path.name for path in Path().iterdir()) == ["clips"]
    code, out, err = framepred(*arguments, "--skip-broken")
    assert code == 0
    assert "left out: clips/text.mp4" in err
    assert out.count("2 frames of") == 4


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_seconds_are_checked(framepred: Run, seconds: str) -> None:
    write_video("clip.npy", film())
    code, _, err = framepred("predict", "clip.npy", f"--adapt={seconds}")
    assert code == 2
    assert "positive number of seconds" in err


def test_what_cannot_be_adapted_to(framepred: Run) -> None:
    write_video("short.npy", film())
    write_video("many.npy", torch.stack([film(), film()]))
    for name, sentence in (("short", "adapting needs 10 + 10"), ("many", "holds 2 clips but one is wanted")):
        code, out, err = framepred("predict", f"{name}.npy", "--adapt", 1)
        assert code == 2
        assert sentence in err
        assert out == ""
        assert not Path(f"{name}-predicted.mp4").exists()


@pytest.mark.slow
def test_two_processes_of_torchrun_predict_a_folder_as_one(tmp_path: Path) -> None:
    for number in range(5):
        write_video(tmp_path / f"clips/{number}.npy", film(channels=1, level=20 * number))
    arguments = ["-m", "framepred.cli", "predict", str(tmp_path / "clips"), "--weights", "baseline:optical-flow"]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    lines = []
    for name, prefix in (("one", []), ("two", launch)):
        command = [sys.executable, *prefix, *arguments, "--output", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        lines.append(done.stdout.replace(str(tmp_path / name), ""))
    assert lines[0] == lines[1]
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert len(one) == 5
    assert one == two


def test_leaving_out_broken_files_is_for_folders(framepred: Run) -> None:
    np.save("clip.npy", np.zeros((12, 8, 8), np.uint8))
    code, _, err = framepred("predict", "clip.npy", "--skip-broken")
    assert code == 2
    assert err == "--skip-broken is for folders of clips, and clip.npy is one clip; leave it out.\n"
