"""The README's code: Python blocks run, command lines name commands and options that exist."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from framepred import write_video
from framepred.cli.main import app

README = (Path(__file__).parents[1] / "README.md").read_text()
LIGHTNING_OPTIONS = ("--config", "--weights", "--data.", "--model.", "--trainer.", "--ckpt_path")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [
    line.partition("#")[0].strip()
    for block in blocks("bash")
    for line in block.splitlines()
    if line.startswith("framepred ")
]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video("demo/clip.mp4", torch.randint(0, 256, (20, 1, 32, 32), dtype=torch.uint8))
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_name_what_exists(command: str) -> None:
    _, name, *arguments = shlex.split(command)
    options = [argument for argument in arguments if argument.startswith("--")]
    if name == "train":
        assert all(option.startswith(LIGHTNING_OPTIONS) for option in options)
        return
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert [option for option in options if option not in shown.output] == []
