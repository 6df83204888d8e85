"""Labelled anomaly data sets are read in the layout in which they are distributed."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from framepred.inference.watching.labels import read_labels

DATASETS = Path(__file__).parents[1] / "datasets"


def ped2(folder: Path) -> str:
    for part, name in (("Train", "Train001"), ("Test", "Test001"), ("Test", "Test001_gt")):
        (folder / part / name).mkdir(parents=True)
        for number in range(1, 6):
            Image.new("L", (9, 6), 20 * number).save(folder / part / name / f"{number:03}.tif")
    (folder / "Test" / "UCSDped2.m").write_text("TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [2:3, 5];\n")
    return "Test001"


def avenue(folder: Path) -> str:
    (folder / "ground_truth_demo" / "testing_label_mask").mkdir(parents=True)
    masks = np.empty((1, 5), dtype=object)
    for frame in range(5):
        masks[0, frame] = np.full((4, 4), int(frame in (1, 2, 4)), dtype=np.uint8)
    savemat(folder / "ground_truth_demo" / "testing_label_mask" / "1_label.mat", {"volLabel": masks})
    return "01"


def shanghaitech(folder: Path) -> str:
    (folder / "testing" / "test_frame_mask").mkdir(parents=True)
    np.save(folder / "testing" / "test_frame_mask" / "01_0014.npy", np.array([0, 1, 1, 0, 1]))
    return "01_0014"


@pytest.mark.parametrize("make", [ped2, avenue, shanghaitech])
def test_labels_follow_from_the_layout_as_distributed(make, tmp_path: Path) -> None:
    name = make(tmp_path / "distributed")
    runpy.run_path(str(DATASETS / make.__name__ / "prepare.py"))["prepare"](tmp_path / "distributed", tmp_path / "out")
    labels = read_labels(tmp_path / "out" / "labels" / f"{name}.csv")(np.arange(5), np.arange(5) / 10)
    assert labels.tolist() == [False, True, True, False, True]
    assert "Layout" in (DATASETS / make.__name__ / "README.md").read_text()


def test_ped2_clips_become_arrays(tmp_path: Path) -> None:
    ped2(tmp_path / "distributed")
    runpy.run_path(str(DATASETS / "ped2" / "prepare.py"))["prepare"](tmp_path / "distributed", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "test").iterdir()] == ["Test001.npy"]
    clip = np.load(tmp_path / "out" / "normal" / "Train001.npy")
    assert clip.shape == (5, 6, 9)
    assert clip[:, 0, 0].tolist() == [20, 40, 60, 80, 100]
