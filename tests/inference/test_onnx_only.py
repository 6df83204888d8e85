"""An ONNX export predicts and streams by ONNX Runtime alone: PyTorch is not imported, and the results are the same."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import framepred
from framepred.cli.main import main
from framepred.errors import ClipError, WeightsError
from framepred.exporting.export import Export
from framepred.inference.onnx_only import OnnxForecaster, is_readable, predict_file, stream_file
from framepred.inference.watching.forecasting import network_forecast, onnx_forecast
from framepred.media.reading import read_clips
from framepred.media.writing import write_video
from video_zoo import ZOO

WITHOUT_TORCH = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "lightning"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refused())
import io, json
from contextlib import redirect_stderr, redirect_stdout
from framepred.cli.main import main
results = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["framepred", *arguments]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as end:
            results.append((end.code or 0, out.getvalue(), err.getvalue()))
print(json.dumps(results))
"""


def run_without_torch(folder: Path, *commands: list[str]) -> list[tuple[int, str, str]]:
    """Run commands in one process without PyTorch; return exit code, stdout and stderr of each."""
    process = [sys.executable, "-c", WITHOUT_TORCH, json.dumps(commands)]
    result = subprocess.run(process, capture_output=True, text=True, cwd=folder)
    assert (result.returncode, result.stderr) == (0, "")
    return [(code, out, err) for code, out, err in json.loads(result.stdout)]


@pytest.fixture(scope="module")
def weights(exported: Export) -> Path:
    return exported.files[1]


def film(channels: int) -> torch.Tensor:
    clip = torch.full((14, channels, 21, 30), 30, dtype=torch.uint8)
    for time in range(14):
        clip[time, :, 3:11, time : time + 8] = torch.tensor([220, 120, 60][:channels], dtype=torch.uint8)[:, None, None]
    return clip


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".npy", ".mp4"])
def test_predictions_equal_those_of_pytorch(weights: Path, tmp_path: Path, suffix: str, channels: int) -> None:
    source, output = tmp_path / f"clip{suffix}", tmp_path / f"future{suffix}"
    write_video(source, film(channels), fps=12.5)
    assert is_readable(source)
    said = predict_file(source, output, weights, context=6, frames=4, max_side=64)
    expected = framepred.predict(source, weights=weights, context=6, frames=4, blend=False, cuts=False)
    assert said == expected.describe(path=output)
    expected.save(tmp_path / f"expected{suffix}")
    found, wanted = (read_clips(tmp_path / f"{name}{suffix}").clips.int() for name in ("future", "expected"))
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= 1


def test_a_film_that_fades_in_from_black_is_streamed(weights: Path, tmp_path: Path) -> None:
    clip = film(3)
    clip[:4] = 0
    write_video(tmp_path / "fade.mp4", clip, fps=10)
    found = [step.mse for step in stream_file(tmp_path / "fade.mp4", weights, frames=2, max_side=64)]
    expected = [step.mse for step in framepred.stream(tmp_path / "fade.mp4", weights=weights, blend=False, cuts=False)]
    np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-3)


def test_what_a_viewer_should_know_of_a_file_is_said(weights: Path, tmp_path: Path) -> None:
    source = next(sample for sample in ZOO if sample.name == "dv-interlaced.mov").write(tmp_path)
    notes: list[str] = []
    predict_file(source, tmp_path / "out.npy", weights, context=2, frames=1, max_side=720, on_note=notes.append)
    interlaced, stretched = notes
    assert "is interlaced" in interlaced
    assert "has pixels 1.07 times as wide as high" in stretched


def test_commands_run_where_torch_cannot_be_imported(weights: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", film(1))
    plain = ["--weights", str(weights), "--no-blend", "--no-cuts"]

    predicted, (code, _, said), refused = run_without_torch(
        tmp_path,
        ["predict", "clip.mp4", *plain, "--output", "future.mp4"],
        ["stream", "clip.mp4", *plain, "--csv", "errors.csv", "--json"],
        ["predict", "clip.mp4", "--weights", str(weights)],
    )
    assert predicted == (0, "future.mp4: 10 frames of 30x22 at 10 a second\n", "")
    assert code == 0, said
    expected = framepred.stream(tmp_path / "clip.mp4", weights=weights, blend=False, cuts=False)
    rows = np.genfromtxt(tmp_path / "errors.csv", delimiter=",", names=True)
    mse = [float("nan") if step.mse is None else step.mse for step in expected]
    np.testing.assert_allclose(rows["mse"], mse, rtol=1e-3)
    assert refused[:2] == (2, "")
    assert refused[2].startswith("PyTorch is not installed; without it predict takes an .onnx export")
    assert refused[2].count("\n") == 1


@pytest.mark.parametrize("command", ["predict", "stream"])
def test_larger_frames_are_scaled_by_pytorch_and_refused_without_it(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    write_video(tmp_path / "clip.mp4", film(1))
    np.save(tmp_path / "clip.npy", film(1)[:, 0].numpy())
    monkeypatch.chdir(tmp_path)
    calls = [
        [command, source, "--weights", str(weights), "--no-blend", "--no-cuts", "--max-side", "16"]
        for source in ("clip.mp4", "clip.npy")
    ]
    for call in calls:
        monkeypatch.setattr("sys.argv", ["framepred", *call])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code, capsys.readouterr().err
    for code, _, said in run_without_torch(tmp_path, *calls):
        assert (code, said.count("\n")) == (2, 1)
        assert "at most 16 are predicted without PyTorch" in said
        assert "--max-side" in said


def test_commands_that_need_torch_say_so_where_it_is_missing(tmp_path: Path) -> None:
    np.save(tmp_path / "clip.npy", film(1).numpy())
    card = str(Path(framepred.__file__).parent / "models" / "weights" / "moving-mnist" / "card.json")
    works = [["--version"], ["--help"], ["evaluate", "--help"]]
    needs = [
        ["compare", card, card],
        ["data", "moving-mnist", "--output", "digits.npy"],
        ["demo"],
        ["diagnose", "--config", "moving_mnist_convlstm"],
        ["evaluate"],
        ["export", "--output", "model.onnx"],
        ["restore", "clip.npy", "--missing", "3"],
        ["train", "--config", "moving_mnist_convlstm"],
        ["weights"],
    ]
    results = run_without_torch(tmp_path, *works, *needs)
    assert [code for code, _, _ in results[: len(works)]] == [0] * len(works)
    for call, (code, found, said) in zip(needs, results[len(works) :], strict=True):
        assert (code, found, said.count("\n")) == (2, "", 1), call
        assert said.startswith("PyTorch is not installed, and this command needs it; install it"), call
    assert [path.name for path in tmp_path.iterdir()] == ["clip.npy"]


def test_frames_that_do_not_fit_are_refused(weights: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", film(1)[:3].numpy())
    with pytest.raises(ClipError, match="3 frames but a context of 6"):
        predict_file(tmp_path / "short.npy", tmp_path / "out.npy", weights, context=6, frames=1, max_side=64)
    with pytest.raises(ClipError, match="at most 16 are predicted without PyTorch"):
        predict_file(tmp_path / "short.npy", tmp_path / "out.npy", weights, context=2, frames=1, max_side=16)
    with pytest.raises(ClipError, match="at least 4 pixels"):
        OnnxForecaster(weights).observe(np.zeros((1, 1, 2, 9), np.float32))
    assert not (tmp_path / "out.npy").exists()


def test_other_sources_are_left_to_pytorch(tmp_path: Path) -> None:
    for name, array in {"deep": np.zeros((3, 8, 8), np.uint16), "unclear": np.zeros((3, 3, 3, 3), np.uint8)}.items():
        np.save(tmp_path / f"{name}.npy", array)
        assert not is_readable(tmp_path / f"{name}.npy")
    assert not is_readable(tmp_path)


def freezing(path: Path) -> None:
    """Write 15 s of noise over a texture, which stands still from 12 s on for two seconds."""
    random = np.random.default_rng(0)
    scene = np.kron(random.integers(60, 180, (8, 12)), np.ones((4, 4)))
    film = (scene + random.normal(0, 4, (150, 32, 48))).clip(0, 255).astype(np.uint8)
    film[120:140] = film[120]
    write_video(path, torch.from_numpy(film)[:, None], fps=10)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predictions_that_are_not_finite_are_refused(weights: Path, value: float) -> None:
    forecaster = OnnxForecaster(weights)
    state = forecaster.observe(np.zeros((1, 1, 24, 32), np.float32))
    state.predicted[0, 0, 3, 4] = value
    with pytest.raises(WeightsError, match="predicted NaN or infinite pixels"):
        forecaster.next_frame(state)


def test_watch_runs_where_torch_cannot_be_imported(weights: Path, tmp_path: Path) -> None:
    freezing(tmp_path / "film.mp4")
    options = ["watch", "film.mp4", "--false-alarms", "30", "--json"]
    files = ["--events", "out", "--csv", "a.csv", "--output", "a.mp4", "--labels", "labels.csv"]
    (tmp_path / "labels.csv").write_text("start,end\n12,14\n")
    (code, found, said), (other_code, exported, other_said), refused = run_without_torch(
        tmp_path,
        [*options, "--normal", "10", "--profile", "p.safetensors", *files],
        [*options, "--normal", "10", "--weights", str(weights)],
        [*options, "--weights", "natural-small"],
    )
    assert code == 0, said
    event, *_, result, end = map(json.loads, found.splitlines())
    assert (event["kind"], event["start"]) == ("freeze", pytest.approx(12, abs=0.2))
    assert (result["recall"], end["frames"]) == (1.0, 50)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"events.csv", "events.jsonl", "event-000001.mp4"}
    assert other_code == 0, other_said
    assert any(json.loads(line).get("start") == pytest.approx(12, abs=0.2) for line in exported.splitlines())
    assert (*refused[:2], refused[2].count("\n")) == (2, "", 1)
    assert refused[2].startswith("PyTorch is not installed; without it watch takes")


def test_an_export_forecasts_alike_with_and_without_pytorch(weights: Path) -> None:
    one, other = onnx_forecast(weights), network_forecast(framepred.load(str(weights)))
    for picture in np.random.default_rng(0).random((25, 3, 17, 22), dtype=np.float32):
        np.testing.assert_allclose(one.advance(picture), other.advance(picture), atol=1e-5)


def test_frames_of_a_varying_rate_have_their_own_times(weights: Path, tmp_path: Path) -> None:
    clip = film(1)
    times = [number / 10 if number < 9 else 0.9 + (number - 9) / 4 for number in range(len(clip))]
    write_video(tmp_path / "a.mp4", clip, 10, times=times)
    steps = stream_file(tmp_path / "a.mp4", weights, frames=2, max_side=64)
    assert [step.time for step in steps] == pytest.approx(times, abs=1e-3)
    notes: list[str] = []
    predict_file(
        tmp_path / "a.mp4", tmp_path / "b.mp4", weights, context=10, frames=2, max_side=64, on_note=notes.append
    )
    assert notes == [f"The frame rate of {tmp_path / 'a.mp4'} varies; its mean, 6.84, is written."]
