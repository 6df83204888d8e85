"""The scripts that show the Python API, run as a researcher would."""

import ast
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import framepred
from framepred.data import NextWordData
from framepred.media.ranges import ValueRange
from framepred.models import EncoderForecaster
from framepred.models.pretrained import set_value_range

SCRIPTS = Path(__file__).parents[1] / "scripts"


def run(folder: Path, name: str, *arguments: object) -> str:
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.ci
def test_train_then_evaluate(tmp_path: Path) -> None:
    run(tmp_path, "train.py", "mine", "--steps", 1, "--validate-every", 1, "--validation-clips", 2)
    told = run(tmp_path, "evaluate.py", "mine/checkpoints/best.ckpt", "--clips", 2)
    assert "protocol openstl v1" in told
    assert (tmp_path / "card.json").is_file()


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("train.py", "finished", "finished holds a run already; resume it"),
        ("train.py", "new --root nosuch", "nosuch"),
        ("evaluate.py", "nope", "There are no weights 'nope'"),
        ("evaluate.py", "--clips 0", "clips must be between 1 and"),
        ("compare_protocols.py", "--clips 0", "clips must be at least 1"),
        ("export_predictions.py", "clips.npy to --context 21", "has 20 frames; --context asks for 21"),
        ("export_predictions.py", "clips.npy to --weights baseline:nope", "There is no baseline 'nope'"),
        ("next_word.py", "nope", "There are no weights 'nope'"),
        ("train_weights.py", "nope", "nope"),
        ("compare_cells.py", "--only nope", "nope"),
        ("benchmark.py", "error-budget --weights nope", "There are no weights 'nope'"),
    ],
)
def test_what_a_script_refuses_gets_one_sentence(
    name: str, arguments: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setattr(sys, "argv", [name, *arguments.split()])
    np.save("clips.npy", np.zeros((2, 20, 1, 8, 8), np.uint8))
    Path("finished/checkpoints").mkdir(parents=True)
    Path("finished/checkpoints/last.ckpt").touch()
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    assert isinstance(end.value.code, str)  # Python prints it and exits with 1
    assert sentence in end.value.code
    assert "\n" not in end.value.code


@pytest.mark.parametrize("weights", ["mine", "baseline:last-frame"])
def test_exported_predictions_are_those_of_predict(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of values on the scale that the network was trained on, and of baselines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    net = EncoderForecaster(hidden_channels=[4], kernel_size=3)
    set_value_range(net, ValueRange(0, 1000))
    net.save_pretrained("mine")
    frames = np.random.default_rng(0).integers(0, 1001, (1, 12, 1, 16, 16)).astype(np.uint16)
    np.save("clips.npy", frames)
    np.save("start.npy", frames[:, :8])
    written: list[Tensor] = []
    monkeypatch.setattr(framepred, "write_video", lambda _path, video, **_: written.append(video))
    script = runpy.run_path(str(SCRIPTS / "export_predictions.py"))
    script["main"](Path("clips.npy"), tmp_path, weights=weights, context=8, horizon=3)
    expected = framepred.predict("start.npy", weights=weights, frames=3, context=8, blend=False, cuts=False).frames
    torch.testing.assert_close(written[0], expected.view_as(written[0]))


@pytest.mark.slow
@pytest.mark.ci
def test_export_predictions(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "framepred.cli", "data", "moving-mnist", "--output", "clips.npy", "--clips", "2"],
        cwd=tmp_path,
        check=True,
    )
    run(tmp_path, "export_predictions.py", "clips.npy", "videos", "--horizon", 3)
    assert len(list((tmp_path / "videos").glob("*.mp4"))) == 2


@pytest.mark.slow
@pytest.mark.ci
def test_next_word_measures_a_network_beside_the_chain_of_pairs(tmp_path: Path) -> None:
    words = len(NextWordData().vocabulary)
    net = EncoderForecaster(
        words, hidden_channels=[4], kernel_size=1, stride=1, norm=False, motion=False, head="softmax"
    )
    net.save_pretrained(tmp_path / "untrained")
    lines = run(tmp_path, "next_word.py", "untrained").splitlines()
    chain, network = (float(line.split()[-1]) for line in lines[1:])
    assert 2 < chain < 3
    assert 0.8 * words < network < 1.5 * words  # it knows nothing: as if all were equally likely


@pytest.mark.slow
@pytest.mark.ci
def test_compare_cells_goes_on_from_its_file(tmp_path: Path) -> None:
    """Rows that are there are not measured again, and rows of another comparison are refused."""
    row = {"mse": [1.0] * 9 + [11.0], "latency": 0.002}
    learned = row | {"width": 8, "parameters": 1234, "macs": 5e9, "steps": 7, "minutes": 0.5}
    setting = {"minutes": 0.5, "clips": 3, "digits": "mnist-5k", "threads": 1}
    names = ["blank", "last frame", "Markov chain"]
    rows = dict.fromkeys(names, row) | {"Elman": learned}
    (tmp_path / "cells.json").write_text(json.dumps({"setting": setting, "rows": rows}))
    asked = ["compare_cells.py", "--clips", 3, "--only", "Elman", "--root", tmp_path]
    told = run(tmp_path, *asked, "--minutes", 0.5)
    assert "| Elman | 1.0 | 1.0 | 11.0 | 2.0 | 1,234 | 5.00 | 2 | 7 |" in told
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run(tmp_path, *asked, "--minutes", 0.6)
    assert "name another file with --output" in refused.value.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose .venv only notes down what it is asked to install."""
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for name, line in {"pip": f"echo pip from {binaries}", "python": 'echo "${@: -1}" >>installed'}.items():
        (binaries / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (binaries / name).chmod(0o755)
    (tmp_path / "pyproject.toml").write_text("version = 1")
    return tmp_path


def installed(clone: Path, *wanted: str) -> list[str]:
    """What is installed in the end, in order, when these environments are asked for one after the other."""
    script = f'set -eu; . {SCRIPTS / "environment.sh"}; for extras; do environment "$extras"; done'
    subprocess.run(["bash", "-c", script, "environment", *wanted], cwd=clone, check=True, capture_output=True)
    return (clone / "installed").read_text().split()


def test_what_is_installed_is_not_installed_again(clone: Path) -> None:
    assert installed(clone, "", "", "[dev]", "[dev]") == [".", ".[dev]"]


def test_extras_bring_the_bare_package(clone: Path) -> None:
    assert installed(clone, "[dev]", "", "[dev]") == [".[dev]"]


def test_another_pyproject_makes_every_environment_stale(clone: Path) -> None:
    installed(clone, "[dev]")
    (clone / "pyproject.toml").write_text("version = 2")
    assert installed(clone, "", "[dev]", "") == [".[dev]", ".", ".[dev]"]


@pytest.mark.slow
@pytest.mark.ci
def test_compare_protocols_prints_each_prediction_by_each_protocol(tmp_path: Path) -> None:
    lines = run(tmp_path, "compare_protocols.py", "--clips", 2, "--output", "protocols.png").splitlines()
    assert len(lines) == 2 + 3 * 3
    assert (tmp_path / "protocols.png").read_bytes().startswith(b"\x89PNG")


def test_dependencies_between_subpackages_are_counted() -> None:
    script = runpy.run_path(str(SCRIPTS / "count_structure.py"))
    code = (
        "from typing import TYPE_CHECKING\nimport torch\nfrom framepred.media.reading import read_video\n"
        "if TYPE_CHECKING:\n    from framepred.data import MovingMNIST\n"
        "def late():\n    from framepred.clips import Clip, Frame\n"
    )
    empty = ast.parse("")
    trees = {
        "framepred/media/reading.py": empty,
        "framepred/clips.py": empty,
        "framepred/models/__init__.py": ast.parse(code),
    }
    assert script["dependencies"](trees) == {("models", "media"), ("models", "clips")}
    assert script["exported_names"](ast.parse('__all__ = ["one", "two"]')) == ["one", "two"]


@pytest.mark.parametrize(
    ("argument", "said"), [("--help", "^0$"), ("nosuch", "Git cannot list a revision: fatal: .*nosuch")]
)
def test_the_structure_of_no_revision_is_not_counted(argument: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    main = runpy.run_path(str(SCRIPTS / "count_structure.py"))["main"]
    monkeypatch.setattr(sys, "argv", ["count_structure.py", argument])
    with pytest.raises(SystemExit) as ended:
        main()
    assert re.search(said, str(ended.value.code))


@pytest.mark.slow
@pytest.mark.ci
def test_cases_makes_its_material_and_says_what_comes_of_it(tmp_path: Path) -> None:
    row = run(tmp_path, "cases.py", "--only", "multipage", "--only", "false_cuts").splitlines()[-2:]
    assert "folder of six: exit 0, 6 predictions" in row[0]
    assert "pan: 0 cuts in 40 frames" in row[1]
    assert list(tmp_path.iterdir()) == []
