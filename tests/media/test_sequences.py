from pathlib import Path

import pytest
from PIL import Image

from framepred.media.formats import frame_files
from framepred.media.reading import read_clips
from framepred.media.sequences import missing_numbers, sequence_notes, series


def paths(*names: str) -> list[Path]:
    return [Path(name) for name in names]


@pytest.mark.parametrize(
    ("names", "missing", "indices"),
    [
        (["1.png", "2.png", "4.png"], [3], [2]),
        (["img_000.png", "img_010.png", "img_040.png", "img_050.png"], [20, 30], [2, 3]),
        ([f"a{n}.png" for n in range(5)], [], []),
        (["a1b1.png", "a1b2.png", "a1b4.png", "a1b5.png"], [3], [2]),
        (["1.png", "2.png", "900.png"], [], []),  # more missing than there: no count
        (["3.png", "11.png", "16.png", "31.png"], [], []),  # no common step
        (["20240101.png", "20240102.png", "20240105.png"], [], []),  # dates
        (["a.png", "b.png"], [], []),
        (["7.png"], [], []),
        ([], [], []),
    ],
)
def test_missing_numbers(names: list[str], missing: list[int], indices: list[int]) -> None:
    gaps = missing_numbers(paths(*names))
    assert [gap.number for gap in gaps] == missing
    assert [gap.index for gap in gaps] == indices


def test_huge_numbers_are_quick() -> None:
    assert missing_numbers(paths("1.png", "2.png", "9999999.png")) == []


def test_series() -> None:
    two = [f"cam{camera}_{number:03}.png" for camera in (1, 2) for number in range(4)]
    assert series(paths(*two)) == {"cam1_#": 4, "cam2_#": 4}
    assert series(paths("000.jpg", "000_thumb.jpg", "001.jpg", "001_thumb.jpg")) == {"#": 2, "#_thumb": 2}
    days = [f"2024-01-0{day}_{hour:02}.png" for day in (1, 2) for hour in range(3)]
    assert series(paths(*days)) == {}


def test_gaps_and_series_are_noted_when_a_folder_is_read(tmp_path: Path) -> None:
    for number in (0, 1, 2, 5):
        Image.new("L", (8, 8), 60 * number % 256).save(tmp_path / f"{number}.png")
    (note,) = read_clips(tmp_path).notes
    assert "lacks 2 of 6 numbered pictures: number 3, 4 (frame 3,4 of the complete series" in note
    for number in range(3):
        Image.new("L", (8, 8)).save(tmp_path / f"right_{number}.png")
    (note,) = sequence_notes(tmp_path, frame_files(tmp_path))
    assert "holds 2 numbered series, # (4 files), right_# (3 files)" in note
