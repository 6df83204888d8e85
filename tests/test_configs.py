"""Every shipped config runs: one batch of training, one of validation."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from framepred.cli.lightning import TrainCLI
from framepred.cli.train import configs


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """IDX files with a few random images, where Fashion-MNIST would lie."""
    for name in ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        images = np.random.default_rng(0).integers(0, 256, (24, 28, 28), dtype=np.uint8)
        (tmp_path / name).write_bytes(gzip.compress(struct.pack(">4i", 0x803, 24, 28, 28) + images.tobytes()))
    return tmp_path


@pytest.mark.parametrize("name", configs())
def test_config_runs(name: str, fashion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [f"--config={configs()[name]}", "--trainer.fast_dev_run=1", "--trainer.accelerator=cpu"]
    if "fashion" in name:
        arguments.append(f"--data.init_args.root={fashion}")
    cli = TrainCLI(arguments)
    cli.start()
    assert cli.trainer.global_step == 1
