"""A folder of one's own, trained on and scored without a line of code."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from framepred import evaluate
from framepred.cli.main import main
from framepred.media.reading import read_video

Run = Callable[..., tuple[int, str, str]]
TINY = ("--config", "video_folder_convlstm", "--data.init_args.root", "my videos",
        "--model.net.init_args.hidden_channels=[4]",
        "--data.init_args.size=[16,16]", "--data.init_args.context=3", "--data.init_args.horizon=2",
        "--trainer.max_steps=2", "--trainer.val_check_interval=2", "--trainer.enable_progress_bar=false",
        "--trainer.accelerator=cpu", "--trainer.default_root_dir=run")  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in a folder that holds ``my videos``: eight arrays of 12 frames."""
    monkeypatch.chdir(tmp_path)
    Path("my videos").mkdir()
    for number in range(8):
        frames = np.random.default_rng(number).integers(0, 256, (12, 20, 24), dtype=np.uint8)
        np.save(f"my videos/[red] {number}.npy", frames)

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["framepred", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    return command


@pytest.mark.filterwarnings("ignore")  # Lightning's advice, which the command hides from users
def test_train_says_first_what_it_trains_on_then_its_test_split_is_scored(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my videos/[empty].mp4").touch()
    code, out, err = run("train", *TINY)
    assert (code, out) == (2, "")
    assert err == (
        "my videos/[empty].mp4 is an empty file of 0 bytes; copy or record it again, "
        "or set skip_broken to leave such files out.\n"
    )
    code, _, err = run("train", *TINY, "--skip-broken")
    assert code == 0
    lines = [line.strip() for line in err.splitlines()]
    said = next(
        number for number, line in enumerate(lines) if line.startswith("data     8 files in my videos: train 5")
    )
    assert lines[said + 2] == "left out 1 files that cannot be used:"
    assert lines[said + 3] == "my videos/[empty].mp4 is an empty file of 0 bytes; copy or record it again."

    weights = ("--weights", "run/checkpoints/best.ckpt", "--json")
    code, out, _ = run("evaluate", *weights, "--data", "run/config.yaml")
    assert code == 0
    data = json.loads(out)["data"]
    assert (data["name"], data["split"], data["clips"]) == ("my videos", "test", 4)
    assert (data["context"], data["horizon"], data["size"]) == (3, 2, [1, 16, 16])

    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    code, _, err = run("evaluate", "--weights", "baseline:blank", "--data", "../run/config.yaml")
    assert code == 2
    assert "are in my videos, seen from the folder in which the training was started, which does not exist" in err


ON_FOLDER = ("--data", "my videos", "--context", 3, "--horizon", 2, "--json")


def notes_on(run: Run, weights: str, *options: object) -> list[str]:
    """What the card says of training, and not of poor predictions."""
    code, out, _ = run("evaluate", "--weights", weights, *ON_FOLDER, *options)
    assert code == 0
    return [note for note in json.loads(out).get("notes", []) if "was trained on" in note]


@pytest.mark.filterwarnings("ignore")  # Lightning's advice, which the command hides from users
def test_files_that_a_run_trained_on_are_noted_on_the_card(run: Run) -> None:
    """Training takes all files but one, so the two of the default test split are among them."""
    whole = ("--data.init_args.val", "[[]red] 1.npy", "--data.init_args.test_fraction=0")
    assert run("train", *TINY, *whole)[0] == 0
    best = "run/checkpoints/best.ckpt"
    (note,) = notes_on(run, best)
    assert note.startswith(f"{best} was trained on 2 of these 2 files, so its scores are too good;")
    assert notes_on(run, best, "--split", "all")[0].startswith(f"{best} was trained on 7 of these 8 files")
    assert notes_on(run, best, "--split", "train") == []
    Path("my videos").rename("moved")
    (note,) = notes_on(run, best, "--data", "moved")
    assert note.startswith(f"Whether {best} was trained on any of these files is not known")


@pytest.mark.filterwarnings("ignore")
def test_files_that_a_run_left_for_the_test_get_no_note(run: Run) -> None:
    assert run("train", *TINY)[0] == 0
    assert notes_on(run, "run/checkpoints/best.ckpt") == []
    assert notes_on(run, "moving-mnist") == notes_on(run, "baseline:last-frame") == []


@pytest.mark.parametrize(
    "data",
    [
        "class_path: strange_module.X\n  init_args: {}",
        "class_path: framepred.data.VideoFolderData\n  init_args: {root: a, val: {class_path: strange_module.X}}",
        "class_path: framepred.data.VideoFolderData",
        "just text",
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_config_beside_weights_imports_nothing(run: Run, monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    assert run("train", *TINY)[0] == 0
    Path("strange_module.py").write_text("from pathlib import Path\nPath('imported').touch()\nclass X: pass\n")
    Path("run/config.yaml").write_text(f"data:\n  {data}\n")
    monkeypatch.syspath_prepend(Path.cwd())
    assert "is not known" in notes_on(run, "run/checkpoints/best.ckpt")[0]
    assert not Path("imported").exists()


def test_of_callables_it_is_not_known_what_they_were_trained_on(run: Run) -> None:
    def repeat(context: Tensor, horizon: int) -> Tensor:
        return context[:, -1:].expand(-1, horizon, -1, -1, -1)

    card = evaluate(repeat, "my videos", context=3, horizon=2)
    assert [note for note in card.notes if note.startswith("Whether repeat was trained on any of these files")]


@pytest.mark.filterwarnings("ignore")
def test_parts_of_a_file_that_is_divided_along_time_are_told_apart(run: Run) -> None:
    for path in sorted(Path("my videos").iterdir())[2:]:
        path.unlink()
    long = np.random.default_rng(0).integers(0, 256, (40, 20, 24), dtype=np.uint8)
    np.save("my videos/[red] 0.npy", long)
    np.save("my videos/[red] 1.npy", long[::-1])
    assert run("train", *TINY)[0] == 0
    assert notes_on(run, "run/checkpoints/best.ckpt") == []
    assert "on 2 of these 2 files" in notes_on(run, "run/checkpoints/best.ckpt", "--split", "all")[0]


@pytest.mark.parametrize(("split", "files"), [("test", 2), ("val", 1), ("train", 5), ("all", 8)])
def test_a_folder_is_scored_by_split(run: Run, split: str, files: int) -> None:
    code, out, err = run(
        "evaluate", "--weights", "baseline:last-frame", "--data", "my videos", "--context", 3, "--horizon", 2,
        "--split", split, "--json",
    )  # fmt: skip
    assert code == 0
    assert f"{files} of 8 files in my videos (split {split})" in err
    data = json.loads(out)["data"]
    assert (data["split"], data["clips"], data["size"]) == (split, 2 * files, [1, 20, 24])


def test_few_clips_are_spread_over_the_files(run: Run) -> None:
    arguments = ("evaluate", "--weights", "baseline:last-frame", "--context", 3, "--horizon", 2, "--json")
    _, out, err = run(*arguments, "--data", "my videos", "--split", "all", "--clips", 4)
    assert json.loads(out)["data"]["clips"] == 4
    assert "4 of 16 clips are scored, evenly spread (clips)." in err


@pytest.mark.parametrize(
    ("data", "extra", "sentence"),
    [
        (
            "my videos",
            ["--horizon", 3, "--context", 10],
            "0.npy has 12 frames but one clip spans 13; use a shorter clip",
        ),
        ("nothing", [], "nothing does not exist; check the path."),
        ("empty", [], "The folder empty holds no videos, arrays or pictures that make a clip; put some in it"),
        ("gone.yaml", [], "gone.yaml does not exist; check the path."),
        (
            "text.yaml",
            [],
            "text.yaml names no data to test on; give the config.yaml that lies in the folder of a run.",
        ),
        ("wrong.yaml", [], "wrong.yaml names no data to test on"),
    ],
)
def test_what_cannot_be_scored_gets_one_sentence(run: Run, data: str, extra: list[object], sentence: str) -> None:
    Path("empty").mkdir()
    Path("text.yaml").write_text("words")
    Path("wrong.yaml").write_text("data: {class_path: framepred.data.VideoFolderData, init_args: {nosuch: 1}}")
    code, out, err = run("evaluate", "--weights", "baseline:last-frame", "--data", data, *extra)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_a_folder_must_be_named(run: Run) -> None:
    code, _, err = run("train", *(part for part in TINY if part not in ("--data.init_args.root", "my videos")))
    assert code == 2
    assert err.splitlines()[-1] == "root is not set; set it to the folder that holds the videos."


def test_generated_clips_can_be_a_folder_of_files(run: Run) -> None:
    code, out, _ = run("data", "moving-mnist", "--output", "made/clip.npy", "--clips", 3, "--length", 5, "--apart")
    assert code == 0
    assert out.startswith("made/clip-NNNN.npy: 3 clips of 5 frames 64x64")
    assert run("data", "moving-mnist", "--output", "all.npy", "--clips", 3, "--length", 5)[0] == 0
    for number, clip in enumerate(np.load("all.npy")):
        assert np.array_equal(np.load(f"made/clip-{number:04}.npy"), clip)


@pytest.mark.parametrize("apart", [True, False])
def test_the_size_of_generated_clips_in_the_file_is_said(run: Run, apart: bool) -> None:
    clips = ("--clips", 3, "--length", 2, "--height", 33, "--width", 47, *["--apart"] * apart)
    code, out, _ = run("data", "moving-mnist", "--output", "clip.mp4", *clips)
    assert code == 0
    height, width = read_video("clip-0000.mp4" if apart else "clip.mp4").shape[-2:]
    expected = "47x33, padded to 48x34" if apart else "47x33 in a grid of 96x68"
    assert f"3 clips of 2 frames {expected}, test digits of " in out
    assert f"{width}x{height}" in expected
