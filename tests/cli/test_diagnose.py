"""framepred diagnose, as users type it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from framepred.models import EncoderForecaster

Run = Callable[..., tuple[int, str, str]]


def test_a_plot_and_its_numbers(framepred: Run) -> None:
    code, out, _ = framepred("diagnose", "--config", "smoke", "--output", "here")
    assert code == 0
    assert out.splitlines()[-2:] == ["here/gradient-flow.png", "here/gradient-flow.json"]
    assert "layer 1: cell" in out
    assert Image.open("here/gradient-flow.png").size == (800, 500)
    found = json.loads(Path("here/gradient-flow.json").read_text())
    assert [memory["name"] for memory in found["memories"]] == ["layer 1: hidden", "layer 1: cell"]
    assert [len(memory["norms"]) for memory in found["memories"]] == [7, 7]
    assert set(found["thresholds"]) == {"vanishing", "explosion", "underflow"}


def test_trained_weights_and_longer_clips(framepred: Run) -> None:
    torch.manual_seed(5)
    EncoderForecaster(hidden_channels=[8], kernel_size=3, stride=4).save_pretrained("mine")
    norms = []
    for extra in ([], ["--weights", "mine"]):
        code, _, err = framepred("diagnose", "--config", "smoke", "--data.init_args.context=9", *extra)
        assert code == 0, err
        memories = json.loads(Path("diagnosis/gradient-flow.json").read_text())["memories"]
        norms.append(memories[0]["norms"])
    assert len(norms[0]) == len(norms[1]) == 12
    assert norms[0] != norms[1]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (["--config", "nosuch"], "There is no config nosuch"),
        (["--config", "smoke", "--weights", "nosuch"], "There are no weights 'nosuch'"),
        (["--config", "smoke", "--data.init_args.context=0"], "context and horizon must be at least 1"),
        (["--config", "smoke", "--ckpt_path", "last"], "to diagnose a checkpoint, give it with --weights."),
        (["--config", "smoke", "--ckpt_path=a.ckpt"], "to diagnose a checkpoint, give it with --weights."),
        (["--config", "stack.yaml"], "FrameStack has no recurrent state"),
    ],
)
def test_errors_are_one_sentence(framepred: Run, extra: list[str], expected: str) -> None:
    smoke = (Path(__file__).parents[2] / "configs/smoke.yaml").read_text()
    start, end = smoke.index("    class_path: framepred.models"), smoke.index("  loss:")
    Path("stack.yaml").write_text(f"{smoke[:start]}    class_path: framepred.models.FrameStack\n{smoke[end:]}")
    code, out, err = framepred("diagnose", *extra)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert expected in err
    assert not Path("diagnosis").exists()


def test_what_cannot_be_diagnosed_gets_one_sentence(framepred: Run) -> None:
    for extra, expected in (
        (["--weights", ""], "The name of the weights is empty"),
        (["--model.loss.init_args.reduction=none"], "a loss must be one number"),
    ):
        code, _, err = framepred("diagnose", "--config", "smoke", *extra)
        assert (code, err.count("\n")) == (2, 1), err
        assert expected in err
    code, _, err = framepred("diagnose", "--config", "moving_mnist_paths")
    assert (code, err.count("\n")) == (2, 1), err
    assert "trains a path network on simulated paths" in err


def test_a_network_that_reads_its_memory_without_derivatives_is_refused(framepred: Run) -> None:
    code, _, err = framepred("diagnose", "--config", "smoke", "--weights", "moving-mnist")
    assert code == 2
    assert "No gradient of the last prediction reaches the memory of TrackingForecaster" in err
