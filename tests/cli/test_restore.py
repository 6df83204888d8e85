import io
import json
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import framepred as package
from framepred.media.fetching import fetched_file
from framepred.media.reading import read_clips
from framepred.media.writing import write_video
from framepred.models import BidirectionalForecaster

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    BidirectionalForecaster(hidden_channels=4, mixing_channels=4, reach=1).eval().save_pretrained(tmp_path / "weights")
    return tmp_path / "weights"


@pytest.fixture
def fading(tmp_path: Path) -> Path:
    """Twelve frames that brighten evenly, but for frames 4, 5 and 9, which are broken."""
    clip = np.broadcast_to(np.arange(12, dtype=np.uint8)[:, None, None] * 20, (12, 8, 10)).copy()
    clip[[4, 5, 9]] = 255
    np.save(tmp_path / "fading.npy", clip)
    return tmp_path / "fading.npy"


def test_broken_frames_are_rebuilt(framepred: Run, fading: Path, tmp_path: Path) -> None:
    code, out, _ = framepred("restore", fading, "--missing", "4,5,9", "--method", "linear", "--output", "whole.npy")
    assert code == 0
    assert "12 frames of 10x8, 3 of them rebuilt" in out
    assert np.load(tmp_path / "whole.npy")[:, 0, 0, 0].tolist() == [20 * time for time in range(12)]


@pytest.mark.parametrize(
    ("method", "shade"), [("last-frame", [60, 60, 160]), ("hopfield", [0, 0, 255]), ("linear", [80, 100, 180])]
)
def test_methods_by_name(framepred: Run, fading: Path, tmp_path: Path, method: str, shade: list[int]) -> None:
    assert framepred("restore", fading, "--missing", "4,5,9", "--method", method, "--output", "whole.npy")[0] == 0
    assert np.load(tmp_path / "whole.npy")[[4, 5, 9], 0, 0, 0].tolist() == shade


def test_the_output_is_named_after_the_source(framepred: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video("film.mp4", torch.zeros(8, 1, 16, 16), 10)
    stream = io.BytesIO(Path("film.mp4").read_bytes())
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(isatty=lambda: False, buffer=stream))
    options = ("--missing", 3, "--method", "linear")
    for source, stem in (("-", "stdin"), ("film.mp4", "film"), (Path("film.mp4").absolute().as_uri(), "film")):
        output = Path(f"{stem}-restored.mp4")
        code, out, err = framepred("restore", source, *options)
        assert code == 0, err
        assert out.startswith(f"{output}: 8 frames")
        output.unlink()
    fetched_file.cache_clear()


def test_the_network_rebuilds_what_its_weights_say(framepred: Run, fading: Path, weights: Path, tmp_path: Path) -> None:
    assert framepred("restore", fading, "--missing", "4-5,9", "--weights", weights, "--output", "whole.npy")[0] == 0
    clip = torch.from_numpy(np.load(fading)).view(1, 12, 1, 8, 10)
    missing = torch.tensor([time in (4, 5, 9) for time in range(12)])
    expected = package.load_restorer(weights).restore(clip, missing)[0].detach()
    assert np.abs(np.load(tmp_path / "whole.npy") / 255 - expected.numpy()).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("method", ["linear", "motion", "last-frame", "auto"])
@pytest.mark.parametrize("option", [["--max-side", "8"], ["--weights", "nosuch"]])
def test_options_of_the_network_are_refused_where_there_is_none(
    framepred: Run, fading: Path, method: str, option: list[str]
) -> None:
    code, _, err = framepred("restore", fading, "--missing", "4", "--method", method, *option)
    assert code == 2
    if option[0] == "--weights" and method == "auto":
        assert "There are no weights 'nosuch'" in err
    else:
        assert err == f"{option[0]} has no effect on --method {method}; leave it out.\n"


def test_a_raised_rate(framepred: Run, fading: Path, tmp_path: Path) -> None:
    code, out, _ = framepred(
        "restore", fading, "--missing", "4,5,9", "--upsample", 2, "--method", "linear", "--output", "slow.mp4"
    )
    assert code == 0
    assert "23 frames of 10x8, 14 of them rebuilt, at 20 a second" in out
    video = read_clips(tmp_path / "slow.mp4")
    assert video.fps == 20
    shades = video.clips[0].float().mean(dim=(1, 2, 3))
    torch.testing.assert_close(shades, torch.arange(23) * 10.0, atol=3, rtol=0)


def test_several_clips_at_once(framepred: Run, tmp_path: Path) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (3, 6, 1, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "clips.npy", clips)
    arguments = ["--missing", "2", "--method", "last-frame", "--output", "whole.npy"]
    assert framepred("restore", "clips.npy", *arguments)[0] == 0
    expected = clips.copy()
    expected[:, 2] = clips[:, 1]
    assert np.array_equal(np.load(tmp_path / "whole.npy"), expected)


@pytest.mark.parametrize("kind", ["mp4", "gif", "folder"])
def test_any_kind_of_file_in_and_out(framepred: Run, tmp_path: Path, kind: str) -> None:
    clip = torch.linspace(40, 200, 8).to(torch.uint8).view(8, 1, 1, 1).expand(8, 3, 16, 16)
    name = "seen" if kind == "folder" else f"seen.{kind}"
    package.write_video(tmp_path / name, clip, fps=5)
    code, _, _ = framepred(
        "restore", name, "--missing", "3", "--method", "linear", "--output", name.replace("seen", "whole")
    )
    assert code == 0
    whole = read_clips(tmp_path / name.replace("seen", "whole")).clips[0].float()
    assert len(whole) == 8
    torch.testing.assert_close(whole[3].mean(), (clip[2].float().mean() + clip[4].float().mean()) / 2, atol=3, rtol=0)


def test_the_default_output_is_named_after_the_input(framepred: Run, fading: Path, tmp_path: Path) -> None:
    assert framepred("restore", fading, "--missing", "4", "--method", "linear")[0] == 0
    assert (tmp_path / "fading-restored.mp4").is_file()


def test_another_method_beside(framepred: Run, fading: Path, tmp_path: Path) -> None:
    arguments = ["--missing", "4,5", "--method", "linear", "--beside", "last-frame", "--output", "both.npy"]
    assert framepred("restore", fading, *arguments)[0] == 0
    left, right = np.load(tmp_path / "both.npy")[:, 4, 0, 0, 0]
    assert (left, right) == (60, 80)


def test_a_score_beside_the_baselines(framepred: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "even.npy", np.broadcast_to(np.arange(9.0)[:, None, None] / 10, (9, 5, 4)))
    code, out, _ = framepred("restore", "even.npy", "--missing", "3-5", "--method", "linear", "--holdout")
    assert code == 0
    assert "3 frames, protocol openstl" in out
    linear, last = (next(line for line in out.splitlines() if name in line) for name in ("linear", "last-frame"))
    assert "0.00" in linear
    assert f"{20 * (0.01 + 0.04 + 0.09) / 3:.2f}" in last


def test_films_show_psnr_first_and_errors_per_pixel(framepred: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "film.npy", np.broadcast_to(np.arange(9.0)[:, None, None] / 10, (9, 70, 70)))
    _, out, _ = framepred("restore", "film.npy", "--missing", "4", "--method", "last-frame", "--holdout")
    assert out.index("psnr dB") < out.index("mse/pixel·10³")
    assert "20.00" in out  # dB of an error of 0.1
    assert "10.00" in out  # thousandths of its square


@pytest.mark.parametrize(
    ("missing", "found"),
    [
        ("0,11,5", "2 rebuilt frames at an end of the video have observed"),
        ("0,5", "1 rebuilt frame at an end of the video has observed"),
    ],
)
def test_frames_with_one_side_are_reported(framepred: Run, fading: Path, missing: str, found: str) -> None:
    _, _, told = framepred("restore", fading, "--missing", missing, "--method", "linear")
    assert f"{found} frames on one side only" in " ".join(told.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Say which frames are missing"),
        (["--missing", "12"], "There is no frame 12: the 12 frames are numbered 0 to 11"),
        (["--missing", "0-11"], "All 12 frames are missing"),
        (["--missing", "seven"], "'seven' names no frames"),
        (["--missing", "1-90"], "Frames 1 to 90 are 90 missing in a row"),
        (["--missing", "1-9", "--upsample", "9"], "89 at 9 times the frame rate"),
        (["--upsample", "66"], "must be an integer from 1 to 65, not 66"),
        (["--upsample", "0"], "--upsample"),
        (["--missing", "1", "--method", "magic"], "magic"),
        (["--missing", "1", "--weights", "nosuch"], "There are no weights 'nosuch'"),
        (["--upsample", "2", "--holdout"], "leave --upsample and --find out"),
        (["--missing", "1", "--output", "whole.xyz"], ".xyz"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    framepred: Run, fading: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    before = set(tmp_path.iterdir())
    method = [] if {"--weights", "--method"} & set(arguments) else ["--method", "linear"]
    code, out, told = framepred("restore", fading, *arguments, *method)
    assert (code, out) == (2, "")
    assert sentence in told
    assert len(told.strip().splitlines()) == 1
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", ["predict", "stream", "evaluate"])
def test_other_commands_refuse_weights_that_only_restore(
    framepred: Run, weights: Path, tmp_path: Path, command: str
) -> None:
    np.save(tmp_path / "even.npy", np.zeros((12, 8, 10), dtype=np.uint8))
    arguments = ["--data", "even.npy", "--context", 4, "--horizon", 2] if command == "evaluate" else ["even.npy"]
    code, out, told = framepred(command, *arguments, "--weights", weights)
    assert (code, out) == (2, "")
    assert "restore missing frames and cannot forecast" in told
    assert len(told.strip().splitlines()) == 1


def test_arguments_are_checked_before_torch_is_imported(fading: Path) -> None:
    script = (
        "import sys, json; sys.argv = json.loads(sys.argv[1])\n"
        "from framepred.cli.main import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)"
    )
    arguments = ["framepred", "restore", str(fading), "--missing", "seven"]
    done = subprocess.run([sys.executable, "-c", script, json.dumps(arguments)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "False\n")


def test_numbers_from_a_file_and_found_frames(framepred: Run, tmp_path: Path) -> None:
    clip = np.full((20, 16, 32), 40, np.uint8)
    for time in range(20):
        clip[time, 4:10, time : time + 8] = 220
    broken = clip.copy()
    broken[[6, 12]] = broken[[5, 11]]
    np.save(tmp_path / "broken.npy", broken)
    (tmp_path / "missing.txt").write_text("6\n12  # repeated\n")
    for option in (["--missing-file", "missing.txt"], ["--find"]):
        code, out, _ = framepred("restore", "broken.npy", *option, "--method", "linear", "--output", "whole.npy")
        assert code == 0
        assert out.startswith("whole.npy: 20 frames of 32x16, 2 of them rebuilt")
        assert not np.array_equal(np.load("whole.npy")[6, 0], broken[6])


def test_the_size_of_the_pictures_is_said(framepred: Run) -> None:
    np.save("odd.npy", np.zeros((12, 9, 13), np.uint8))
    cases: list[tuple[list[str], str]] = [
        ([], "13x9, padded to 14x10"),
        (["--beside", "linear"], "13x9 in a grid of 28x9, padded to 28x10"),
    ]
    np.save("wide.npy", np.zeros((12, 9, 31), np.uint8))
    assert "31x9 in a grid of 64x9" in framepred("restore", "wide.npy", "--missing", 4, "--beside", "linear")[1]
    for options, size in cases:
        code, out, _ = framepred("restore", "odd.npy", "--missing", 4, "--output", "a.mp4", *options)
        assert code == 0
        assert out == f"a.mp4: 12 frames of {size}, 1 of them rebuilt, at 10 a second\n"
        height, width = read_clips("a.mp4").clips.shape[-2:]
        assert f"{width}x{height}" in size
