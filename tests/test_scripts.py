"""The scripts that show the Python API, run as a researcher would."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


def run(folder: Path, name: str, *arguments: object) -> str:
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", ["train.py", "evaluate.py", "export_predictions.py"])
def test_scripts_are_short(name: str) -> None:
    assert len((SCRIPTS / name).read_text().splitlines()) < 40


def test_train_then_evaluate(tmp_path: Path) -> None:
    run(tmp_path, "train.py", "mine", "--steps", 1, "--validate-every", 1)
    told = run(tmp_path, "evaluate.py", "mine/checkpoints/best.ckpt", "--clips", 2)
    assert "protocol openstl" in told
    assert (tmp_path / "card.json").is_file()


def test_export_predictions(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "framepred.cli", "data", "moving-mnist", "--output", "clips.npy", "--clips", "2"],
        cwd=tmp_path,
        check=True,
    )
    run(tmp_path, "export_predictions.py", "clips.npy", "videos", "--horizon", 3)
    assert len(list((tmp_path / "videos").glob("*.mp4"))) == 2
