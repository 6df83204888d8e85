"""Every shipped config runs: one batch of training, one of validation."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dataset_folders import LAYOUTS
from framepred.training.config_files import configs
from framepred.training.configuration import TrainCLI


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder of four short arrays."""
    (tmp_path / "videos").mkdir()
    for number in range(4):
        frames = np.random.default_rng(number).integers(0, 256, (21, 30, 40), dtype=np.uint8)
        np.save(tmp_path / "videos" / f"{number}.npy", frames)
    return tmp_path / "videos"


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize("name", configs())
def test_config_runs(
    name: str,
    fashion_files: Path,
    videos: Path,
    ready_data_set: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [f"--config={configs()[name]}", "--trainer.fast_dev_run=1", "--trainer.accelerator=cpu"]
    context = 10 if name.endswith("_paths") else 3  # the path network reads ten positions
    arguments += [f"--data.init_args.context={context}", "--data.init_args.horizon=2", "--data.init_args.batch_size=1"]
    if "fashion" in name:
        arguments.append(f"--data.init_args.root={fashion_files}")
    if name == "natural_small":
        for split in ("train", "val"):
            (videos / split).mkdir()
            shutil.copy(videos / "0.npy", videos / split)
        arguments.append(f"--data.init_args.root={videos}")
    if "video_folder" in name:
        arguments.append(f"--data.init_args.root={videos}")
    if (dataset := name.removesuffix("_convlstm")) in LAYOUTS:
        arguments.append(f"--data.init_args.root={ready_data_set(dataset)}")
        arguments.append("--data.init_args.size=[32,32]")  # small frames take less time
        if " size: [" not in configs()[name].read_text():
            arguments.append("--data.init_args.fit=resize")
    cli = TrainCLI(arguments)
    cli.start()
    assert cli.trainer.global_step == 1
