"""Files are the same where all their bytes are; the hash that decides whether a run may be resumed reads less."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from framepred.data import VideoFolder
from framepred.evaluation import WeightsRecord
from framepred.inference.trained_files import training_notes


def save_film(path: Path, seed: int) -> None:
    """A film of noise whose first and last frames are black, and longer than what identifies a file."""
    film = np.random.default_rng(seed).integers(0, 256, (12, 300, 300), dtype=np.uint8)
    film[[0, -1]] = 0
    path.parent.mkdir(exist_ok=True)
    np.save(path, film)


@pytest.mark.parametrize(("seeds", "count"), [((8, 9), 0), ((0, 9), 1), ((0, 1), 2)])
def test_files_that_begin_and_end_alike_are_others(tmp_path: Path, seeds: tuple[int, int], count: int) -> None:
    for number in range(3):
        save_film(tmp_path / "trained" / f"{number}.npy", number)
    for number, seed in enumerate(seeds):
        save_film(tmp_path / "others" / f"{number}.npy", seed)
    sizes = {"context": 2, "horizon": 2, "val_fraction": 0, "test_fraction": 0}
    stated = {"class_path": "framepred.data.VideoFolderData", "init_args": {"root": str(tmp_path / "trained"), **sizes}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"data": stated}))
    weights = tmp_path / "best.ckpt"
    weights.touch()
    notes = training_notes(WeightsRecord(str(weights), sha256="0" * 64), None, VideoFolder(tmp_path / "others", 4))
    assert [note.partition(", so")[0] for note in notes] == (
        [f"{weights} was trained on {count} of these 2 files"] if count else []
    )
