"""The commands as users type them: what they leave behind, and one sentence for what is wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from framepred.cli.main import main
from framepred.media.reading import read_clips


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    sys.argv = ["framepred", *map(str, arguments)]
    with pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr()
    return int(end.value.code or 0), told.out, told.err


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])


@pytest.fixture
def clip() -> Path:
    path = Path("clip.npy")
    np.save(path, np.random.default_rng(0).integers(0, 256, (12, 47, 59), dtype=np.uint8))
    return path


def test_help_and_version_do_not_import_torch() -> None:
    check = "import sys; from framepred.cli.main import app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_predict_any_size_and_any_horizon(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run(capsys, "predict", clip, "--frames", 13, "--output", "future.npy")
    assert code == 0
    assert np.load("future.npy").shape == (13, 1, 47, 59)
    assert run(capsys, "predict", clip)[0] == 0
    assert read_clips("clip-predicted.mp4").clips.shape[1] == 10


def test_data_then_evaluate_writes_a_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "data", "moving-mnist", "--output", "clips.npy", "--clips", 3)[0] == 0
    code, out, _ = run(
        capsys, "evaluate", "--weights", "baseline:last-frame", "--data", "clips.npy", "--output", "to", "--json"
    )
    assert code == 0
    card = json.loads(out)
    assert card == json.loads(Path("to/card.json").read_text())
    assert card["metrics"]["mse"]["value"] == card["baselines"]["last-frame"]["mse"] > 0


def test_weights_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "weights", "--json")
    assert code == 0
    cards = json.loads(out)
    assert {card["protocol"]["name"] for card in cards.values()} == {"openstl"}
    assert all(card["bytes"] > 0 for card in cards.values())


def write_text_as_video() -> str:
    Path("text.mp4").write_text("no video")
    return "text.mp4"


def write_array(values: np.ndarray) -> str:
    np.save("wrong.npy", values)
    return "wrong.npy"


@pytest.mark.parametrize(
    ("make", "extra", "expected"),
    [
        (lambda: "missing.mp4", [], "does not exist"),
        (lambda: Path("empty.mp4").touch() or "empty.mp4", [], "empty file"),
        (write_text_as_video, [], "text.mp4"),
        (lambda: write_array(np.zeros((3, 40, 40), np.uint8)), [], "lower context"),
        (lambda: write_array(np.zeros((40, 40), np.uint8)), [], "axes"),
        (lambda: write_array(np.full((12, 40, 40), np.nan)), [], "not finite"),
        (lambda: "clip.npy", ["--weights", "nosuch"], "There are no weights 'nosuch'"),
        (lambda: "clip.npy", ["--frames", 0], "--frames"),
        (lambda: "clip.npy", ["--output", "out.txt"], "out.txt"),
    ],
)
def test_wrong_input_gets_one_sentence(
    make: object, extra: list[object], expected: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make()
    before = set(Path.cwd().iterdir())
    code, out, err = run(capsys, "predict", source, *extra)
    assert code == 2
    assert expected in err
    assert "Traceback" not in err
    assert err.strip().count("\n") == 0
    assert out == ""
    assert set(Path.cwd().iterdir()) == before


OPTIONS_WITH_FILES = [
    ("predict", "clip.npy", "--weights"),
    ("export", "--output", "net.onnx", "--weights"),
    ("restore", "clip.npy", "--missing-file"),
    ("watch", "clip.npy", "--labels"),
    ("watch", "clip.npy", "--profile"),
    ("evaluate", "--truth", "clip.npy", "--predictions"),
    ("evaluate", "--weights", "baseline:blank", "--data"),
    ("train", "--config"),
    ("diagnose", "--config"),
    ("compare",),
    ("data", "moving-mnist", "--output", "new.npz", "--root"),
    ("stream",),
    ("predict",),
]


@pytest.mark.usefixtures("clip")
@pytest.mark.parametrize("place", ["nosuch", "folder", "text.txt"])
@pytest.mark.parametrize("command", OPTIONS_WITH_FILES, ids=" ".join)
def test_a_place_that_holds_something_else_gets_one_sentence_without_error_numbers(
    command: tuple[str, ...], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("folder").mkdir()
    Path("text.txt").write_text("hello")
    code, out, err = run(capsys, *command, place)
    if command[0] == "data" and place == "folder":  # embedded digits replace those that are missing there
        assert (code, err.count("\n")) == (0, 1)
        assert "in none of folder" in err
        return
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "Errno" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", [("evaluate", "--weights", "baseline:blank"), ("demo",)])
def test_results_never_go_where_a_file_lies(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("mine")
    for place in ("file", "file/new"):
        code, out, err = run(capsys, *command, "--output", place)
        assert (code, out) == (2, "")
        assert err.endswith("file is a file, not a folder; choose another place.\n")
        assert err.count("\n") == 1
    assert Path("file").read_text() == "mine"


def test_train_errors_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    Path("clip.txt").write_text("a sentence")
    for arguments, expected in [
        ((), "--config"),
        (("--config", "nosuch"), "There is no config nosuch"),
        (("--config", "clip.txt"), "clip.txt holds no settings by name"),
        (("--config", "smoke", "--ckpt_path", "last"), "no checkpoint"),
        (("--config", "smoke", "--data.init_args.horizon", 0), "at least 1 frame each, not 4 and 0"),
        (("--config", "smoke", "--data.init_args.nosuch", 0), "Option 'nosuch' is not accepted"),
        (("--config", "smoke", "--data.init_args.root", "nosuch"), "nosuch is not a folder"),
        (("--config", "smoke", "--trainer.default_root_dir", __file__), "test_commands.py"),
    ]:
        code, _, err = run(capsys, "train", *arguments)
        assert code == 2
        assert expected in err
        assert err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.ci
def test_train_prints_its_summary_and_nothing_else() -> None:
    arguments = ["train", "--config", "smoke", "--trainer.max_steps=1", "--trainer.limit_val_batches=1"]
    command = [sys.executable, "-m", "framepred.cli", *arguments, "--trainer.enable_progress_bar=false"]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    assert [line.split()[0] for line in told.stderr.splitlines()] == [
        "Trains", "data", "clips", "steps", "writes", "took", "The",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        (("watch", "film.npy", "--normal"), "input"),
        (("watch", "film.npy", "--events"), "output"),
        (("evaluate", "--data", "film.npy", "--output"), "output"),
        (("evaluate", "--root"), "input"),
        (("evaluate", "--truth", "film.npy", "--predictions"), "input"),
        (("evaluate", "--predictions", "film.npy", "--truth"), "input"),
        (("evaluate", "--predictions", "film.npy", "--truth", "film.npy", "--context"), "input"),
        (("evaluate", "--predictions", "film.npy", "--truth", "film.npy", "--context-frames"), "input"),
        (("demo", "--output"), "output"),
        (("diagnose", "--config", "smoke", "--output"), "output"),
        (("data", "moving-mnist", "--output", "a.mp4", "--root"), "input"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(
    framepred: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], subject: str
) -> None:
    np.save("film.npy", np.zeros((30, 16, 16), np.uint8))
    expected = f"The path of the {subject} is empty; name a file or a folder.\n"
    assert framepred(*arguments, "") == (2, "", expected)
    assert [path.name for path in Path.cwd().iterdir()] == ["film.npy"]
