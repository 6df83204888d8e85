from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from framepred.errors import MediaError
from framepred.media.arrays import open_array

CLIPS = np.arange(2 * 6 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5, 6)  # (n, h, w, t), as SEVIR has it


def write(path: Path, **arrays: np.ndarray) -> Path:
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    else:
        store = zarr.open_group(path, mode="w")
        for name, array in arrays.items():
            store[name] = array
    return path


@pytest.mark.parametrize("suffix", [".h5", ".zarr"])
def test_frames_are_found_beside_lists_of_dates(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"events{suffix}", id=np.array([7, 8]), vil=CLIPS)
    array = open_array(path, "nhwt")
    assert array.shape == (2, 6, 1, 4, 5)
    assert np.array_equal(array[1:, 2:4][0, :, 0], CLIPS[1, ..., 2:4].transpose(2, 0, 1))


@pytest.mark.parametrize("suffix", [".h5", ".zarr"])
def test_several_arrays_of_frames_are_named(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"events{suffix}", id=np.array([7, 8]), ir=CLIPS, vil=CLIPS)
    with pytest.raises(MediaError, match=r"its arrays are: ir, vil\."):
        open_array(path)
