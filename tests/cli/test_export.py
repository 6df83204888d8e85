"""``framepred export`` as users call it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from framepred.models import FrameStack

Framepred = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--output", "model.pt"], "choose .onnx or .pt2"),
        (["--output", "model.onnx", "--size", "64"], "--size takes height x width in pixels"),
        (["--output", "model.onnx", "--size", "0x64"], "at least one pixel"),
        (["--output", "model.onnx", "--weights", "nosuch"], "There are no weights 'nosuch'"),
        (["--output", "model.onnx", "--weights", "moving-mnist-restore"], "there is no step to export"),
    ],
)
def test_errors_are_one_sentence(framepred: Framepred, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    code, out, err = framepred("export", *arguments)
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1
    assert out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_export_is_written_and_described(framepred: Framepred, tmp_path: Path) -> None:
    FrameStack(hidden_channels=[2], kernel_size=1, frames=1).save_pretrained(tmp_path / "weights")
    code, out, _ = framepred("export", "--weights", "weights", "--output", "model.pt2")
    assert code == 0
    assert out.count("largest difference from PyTorch over 30 steps") == 3
    assert "model.start.pt2" in out
    assert (tmp_path / "model.pt2").is_file()
