from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from framepred.errors import ClipError, ConfigError, MediaError
from framepred.media.arrays import AXES, array_frames, open_array, read_array

SIZES = {"n": 2, "t": 5, "c": 3, "h": 6, "w": 7}


def saved(path: Path, array: NDArray[Any]) -> Path:
    np.save(path, array)
    return path


def layouts() -> st.SearchStrategy[str]:
    return st.sets(st.sampled_from("nc")).flatmap(lambda more: st.permutations(["t", "h", "w", *more])).map("".join)


@given(layouts())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_any_order_of_axes_can_be_named(tmp_path: Path, layout: str) -> None:
    shape = tuple(SIZES[axis] for axis in layout)
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    clips = read_array(saved(tmp_path / "a.npy", array), layout=layout)
    assert clips.shape == tuple(SIZES[axis] if axis in layout else 1 for axis in AXES)
    place = dict.fromkeys(AXES, 0) | {"t": 3, "h": 2, "w": 6} | ({"c": 1} if "c" in layout else {})
    assert int(clips[tuple(place[axis] for axis in AXES)]) == array[tuple(place[axis] for axis in layout)]


@pytest.mark.parametrize(
    ("shape", "read"),
    [
        ((5, 6, 7), (1, 5, 1, 6, 7)),
        ((5, 6, 7, 3), (1, 5, 3, 6, 7)),
        ((5, 6, 7, 1), (1, 5, 1, 6, 7)),
        ((5, 6, 7, 4), (1, 5, 3, 6, 7)),
        ((5, 3, 6, 7), (1, 5, 3, 6, 7)),
        ((5, 1, 6, 7), (1, 5, 1, 6, 7)),
        ((2, 5, 3, 6, 7), (2, 5, 3, 6, 7)),
        ((2, 5, 6, 7, 3), (2, 5, 3, 6, 7)),
    ],
)
def test_shapes_that_tell_their_layout(tmp_path: Path, shape: tuple[int, ...], read: tuple[int, ...]) -> None:
    assert read_array(saved(tmp_path / "a.npy", np.zeros(shape, np.uint8))).shape == read


@pytest.mark.parametrize("shape", [(5, 3, 6, 3), (5, 6, 7, 8), (2, 5, 6, 7, 8), (2, 5, 3, 6, 1)])
def test_shapes_that_do_not_ask_for_the_layout(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ClipError, match=r"could be read in several ways; pass --layout, such as n?tchw or n?thwc"):
        open_array(saved(tmp_path / "a.npy", np.zeros(shape, np.uint8)))


@pytest.mark.parametrize("layout", ["thwx", "tthw", "hw", "bthw"])
def test_a_layout_must_be_an_order_of_axes(tmp_path: Path, layout: str) -> None:
    with pytest.raises(ConfigError, match=f"layout {layout} is no order of axes"):
        open_array(saved(tmp_path / "a.npy", np.zeros((5, 6, 7), np.uint8)), layout)


def test_a_layout_must_fit(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npy", np.zeros((5, 6, 7), np.uint8))
    with pytest.raises(ConfigError, match=r"names 4 axes but .*a\.npy has 3, \(5, 6, 7\)"):
        open_array(path, "thwc")


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (np.full((2, 3, 3), 7, np.uint8), torch.tensor(7, dtype=torch.uint8)),
        (np.full((2, 3, 3), 40000, ">u2"), torch.tensor(40000, dtype=torch.uint16)),
        (np.full((2, 3, 3), True), torch.tensor(255, dtype=torch.uint8)),
        (np.full((2, 3, 3), 0.25, np.float64), torch.tensor(0.25)),
        (np.full((2, 3, 3), 0.25, np.float16), torch.tensor(0.25)),
    ],
)
def test_types(tmp_path: Path, array: NDArray[Any], values: torch.Tensor) -> None:
    clips = read_array(saved(tmp_path / "a.npy", array))
    assert clips.dtype == values.dtype
    assert torch.equal(clips, values.expand(1, 2, 1, 3, 3))


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((2, 3, 3), np.int64), "holds int64 values; save them as uint8, uint16 or floats in"),
        (np.zeros((2, 3, 3), "U3"), "holds <U3 values"),
        (np.full((2, 3, 3), np.nan), "not finite"),
        (np.full((2, 3, 3), -np.inf), "not finite"),
        (np.linspace(-1, 255, 18).reshape(2, 3, 3), r"floats from -1 to 255 but they must lie in \[0, 1\]"),
        (np.zeros((3, 3), np.uint8), r"has 2 axes, \(3, 3\), but frames have 3 to 5"),
        (np.zeros((0, 3, 3), np.uint8), r"holds no frames"),
        (np.zeros((2, 0, 3), np.uint8), r"holds no frames"),
    ],
)
def test_arrays_that_are_no_clips(tmp_path: Path, array: NDArray[Any], sentence: str) -> None:
    with pytest.raises(ClipError, match=sentence):
        read_array(saved(tmp_path / "a.npy", array))


def test_five_channels_are_no_frame(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="has 5 channels as tchw but a frame has 1, 3 or 4"):
        open_array(saved(tmp_path / "a.npy", np.zeros((2, 5, 6, 7), np.uint8)), "tchw")


def test_transparency_is_laid_on_black(tmp_path: Path) -> None:
    array = np.full((2, 6, 7, 4), 200, np.uint8)
    array[..., 3] = 0
    array[1, ..., 3] = 255
    clips = read_array(saved(tmp_path / "a.npy", array))
    assert clips.unique(dim=1).tolist() == np.repeat([0, 200], 3 * 6 * 7).reshape(1, 2, 3, 6, 7).tolist()


def test_only_the_end_is_read(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(6, 1, 1) / 4 - 0.75  # the first are out of range
    assert read_array(saved(tmp_path / "a.npy", array), last=3).flatten().tolist() == [0, 0.25, 0.5]
    assert isinstance(open_array(tmp_path / "a.npy").base, np.memmap)


def test_frames_one_by_one(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (4, 6, 7, 3), dtype=np.uint8)
    frames = list(array_frames(saved(tmp_path / "a.npy", array)).frames)
    assert torch.equal(torch.stack(frames), torch.from_numpy(array).permute(0, 3, 1, 2))
    with pytest.raises(ClipError, match="holds 2 clips but one is wanted here"):
        array_frames(saved(tmp_path / "b.npy", np.zeros((2, 4, 1, 6, 7), np.uint8)))


@pytest.mark.parametrize("names", [["whatever"], ["labels", "frames"], ["clips", "labels"]])
def test_npz_with_an_obvious_array(tmp_path: Path, names: list[str]) -> None:
    arrays = {name: np.zeros((2, 2)) if name == "labels" else np.ones((2, 3, 3), np.uint8) for name in names}
    np.savez(tmp_path / "a.npz", **arrays)
    assert read_array(tmp_path / "a.npz").shape == (1, 2, 1, 3, 3)


def test_npz_without_lists_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(3), y=np.zeros(3))
    with pytest.raises(MediaError, match=r"one named frames or clips, but its arrays are: x, y\."):
        read_array(tmp_path / "a.npz")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_files_that_are_no_arrays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    objects = np.array([{}, {}, {}], dtype=object)
    np.save(path, objects) if suffix == ".npy" else np.savez(path, objects)
    damaged = {"objects": path.read_bytes(), "text": b"hello", "empty": b""}
    np.save(path, np.zeros((9, 9, 9))) if suffix == ".npy" else np.savez(path, np.zeros((9, 9, 9)))
    damaged["truncated"] = path.read_bytes()[:-2000]
    for content in damaged.values():
        path.write_bytes(content)
        with pytest.raises(MediaError, match="damaged or holds Python objects"):
            read_array(path)


def test_damage_inside_npz_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, np.random.default_rng(0).integers(0, 256, (9, 30, 30), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[3000:3100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(MediaError, match="damaged or holds Python objects"):
        read_array(path)
