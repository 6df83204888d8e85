"""Gray films with more than 8 bits in the commands: what goes in as values comes out as values."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from framepred.inference.onnx_only import is_readable
from video_zoo import THERMAL, moving_spot, write_values

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def thermal(tmp_path: Path) -> Path:
    """A thermal film."""
    return write_values(tmp_path / "thermal.mkv", moving_spot(*THERMAL))


def test_a_prediction_and_a_restoration_have_the_values_of_the_film(
    thermal: Path, tmp_path: Path, framepred: Run
) -> None:
    values = moving_spot(*THERMAL)
    code, _, error = framepred("predict", thermal, "--output", tmp_path / "a.npy", "--context", 8, "--frames", 4)
    assert code == 0, error
    assert "The values 0 to 16383 of thermal.mkv are scaled to [0, 1]" in error
    predicted = np.load(tmp_path / "a.npy")
    assert predicted.dtype == np.uint16
    assert THERMAL[0] - 50 < predicted.min() < THERMAL[0] + 50 < THERMAL[1] - 100 < predicted.max() < THERMAL[1] + 50
    for output in ("b.npy", "pictures"):
        code, _, error = framepred(
            "restore", thermal, "--missing", "11", "--method", "linear", "--output", tmp_path / output
        )
        assert code == 0, error
    restored = np.load(tmp_path / "b.npy")[:, 0]
    pictures = np.stack([cv2.imread(str(file), -1) for file in sorted((tmp_path / "pictures").glob("*.png"))])
    known = [number for number in range(24) if number != 11]
    assert np.array_equal(restored[known], values[known])
    assert np.array_equal(pictures[known], values[known])
    assert abs(restored[11].astype(int) - values[11]).max() < 100


def test_watch_plays_values_with_their_range(tmp_path: Path, framepred: Run) -> None:
    film = write_values(tmp_path / "thermal.mkv", moving_spot(*THERMAL, frames=240))
    assert not is_readable(film)
    table = tmp_path / "a.csv"
    code, _, error = framepred("watch", film, "--normal", 8.5, "--range", "7000,9000", "--csv", table)
    assert code == 0, error
    assert len(table.read_text().splitlines()) == 1 + 240 - 213  # frames of the first 8.5 s are normal
