from pathlib import Path

import numpy as np
import pytest

from framepred.data.cache import cache_folder, write_array


def test_the_cache_is_framepreds_own(empty_cache: Path) -> None:
    assert cache_folder() == empty_cache


def test_a_kept_array_comes_back(tmp_path: Path) -> None:
    write_array(np.arange(3), tmp_path / "new" / "folder" / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "folder" / "a.npy"), [0, 1, 2])


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: object, array: np.ndarray) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_array(np.arange(3), tmp_path / "a.npy")
    assert list(tmp_path.iterdir()) == []
