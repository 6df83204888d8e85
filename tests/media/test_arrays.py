import gc
import io
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from framepred.media.ranges import ValueRange
from framepred.media.reading import open_frames, read_clips

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
    clips, _ = read_array(saved(tmp_path / "a.npy", array), layout=layout)
    assert clips.shape == tuple(SIZES[axis] if axis in layout else 1 for axis in AXES)
    place = dict.fromkeys(AXES, 0) | {"t": 3, "h": 2, "w": 6} | ({"c": 1} if "c" in layout else {})
    assert int(clips[tuple(place[axis] for axis in AXES)]) == array[tuple(place[axis] for axis in layout)]


@pytest.mark.parametrize(
    ("shape", "read"),
    [
        ((5, 6, 7), (1, 5, 1, 6, 7)),
        ((5, 6, 7, 3), (1, 5, 3, 6, 7)),
        ((5, 6, 7, 1), (1, 5, 1, 6, 7)),
        ((5, 6, 7, 4), (1, 5, 4, 6, 7)),
        ((5, 4, 6, 7), (1, 5, 4, 6, 7)),
        ((5, 3, 6, 7), (1, 5, 3, 6, 7)),
        ((5, 1, 6, 7), (1, 5, 1, 6, 7)),
        ((2, 5, 3, 6, 7), (2, 5, 3, 6, 7)),
        ((2, 5, 6, 7, 3), (2, 5, 3, 6, 7)),
    ],
)
def test_shapes_that_tell_their_layout(tmp_path: Path, shape: tuple[int, ...], read: tuple[int, ...]) -> None:
    assert read_array(saved(tmp_path / "a.npy", np.zeros(shape, np.uint8)))[0].shape == read


@pytest.mark.parametrize("shape", [(5, 3, 6, 3), (5, 6, 7, 8), (2, 5, 6, 7, 8), (2, 5, 3, 6, 1)])
def test_shapes_that_do_not_ask_for_the_layout(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ClipError, match=r"layout is not certain: .*; state the layout, such as n?tchw or n?thwc"):
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
    clips, _ = read_array(saved(tmp_path / "a.npy", array))
    assert clips.dtype == values.dtype
    assert torch.equal(clips, values.expand(1, 2, 1, 3, 3))


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((2, 3, 3), np.int64), "holds int64 values, whose range is unknown; state it"),
        (np.zeros((2, 3, 3), "U3"), "holds <U3 values; save numbers"),
        (np.full((2, 3, 3), np.nan), "not finite"),
        (np.full((2, 3, 3), -np.inf), "not finite"),
        (
            np.linspace(-1, 255, 18).reshape(2, 3, 3),
            r"floats from -1 to 255 but without a stated range they must lie in \[0, 1\]; state it, such as -1,255",
        ),
        (np.zeros((3, 3), np.uint8), r"has 2 axes, \(3, 3\), but frames have 3 to 5"),
        (np.zeros((0, 3, 3), np.uint8), r"holds no frames"),
        (np.zeros((2, 0, 3), np.uint8), r"holds no frames"),
    ],
)
def test_arrays_that_are_no_clips(tmp_path: Path, array: NDArray[Any], sentence: str) -> None:
    with pytest.raises(ClipError, match=sentence):
        read_array(saved(tmp_path / "a.npy", array))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 11])
def test_arrays_may_have_any_number_of_channels(tmp_path: Path, channels: int) -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, channels, 6, 7), dtype=np.uint8)
    path = saved(tmp_path / "a.npy", array)
    assert np.array_equal(read_array(path, layout="tchw")[0][0].numpy(), array)
    assert np.array_equal(read_array(path, channels=(channels,))[0][0].numpy(), array)


def test_known_channels_settle_the_layout(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npy", np.zeros((5, 3, 6, 2), np.uint8))
    assert open_array(path, channels=(2,)).shape == (1, 5, 2, 3, 6)
    assert open_array(path, channels=(3,)).shape == (1, 5, 3, 6, 2)
    with pytest.raises(ClipError, match=r"layout is not certain: no axis of channels has the length 5; state"):
        open_array(path, channels=(5,))


def test_arrays_have_no_transparency_unless_it_is_asked_for(tmp_path: Path) -> None:
    array = np.full((2, 6, 7, 4), 200, np.uint8)
    array[..., 3] = 0
    array[1, ..., 3] = 255
    path = saved(tmp_path / "a.npy", array)
    assert np.array_equal(read_array(path)[0][0].numpy(), array.transpose(0, 3, 1, 2))
    clips, _ = read_array(path, transparency=True)
    assert clips.unique(dim=1).tolist() == np.repeat([0, 200], 3 * 6 * 7).reshape(1, 2, 3, 6, 7).tolist()


def test_only_the_end_is_read(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(6, 1, 1) / 4 - 0.75  # the first are out of range
    assert read_array(saved(tmp_path / "a.npy", array), last=3)[0].flatten().tolist() == [0, 0.25, 0.5]
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
    assert read_array(tmp_path / "a.npz")[0].shape == (1, 2, 1, 3, 3)


def test_frames_in_npz_are_found_beside_lists(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", precip=np.ones((2, 3, 3), np.uint8), time=np.arange(2))
    assert read_array(tmp_path / "a.npz")[0].shape == (1, 2, 1, 3, 3)


def test_one_of_several_arrays_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, rain=np.ones((2, 3, 3), np.uint8), wind=np.full((2, 3, 3), 7, np.uint8), time=np.zeros(3))
    with pytest.raises(MediaError, match=r"name one of its arrays: rain \(2, 3, 3\), wind \(2, 3, 3\)\.$"):
        read_array(path)
    assert int(read_array(path, name="wind")[0].max()) == 7
    with pytest.raises(MediaError, match=r"holds no array named snow; its arrays are: rain"):
        read_array(path, name="snow")
    with pytest.raises(ConfigError, match="holds a single array without a name"):
        read_array(saved(tmp_path / "a.npy", np.ones((2, 3, 3))), name="rain")


def test_the_first_value_that_is_not_finite_is_located(tmp_path: Path) -> None:
    array = np.zeros((6, 4, 5), np.float32)
    array[3, 1, 2:] = np.nan
    with pytest.raises(
        ClipError, match=r"not finite .*2\.5.*% of those read, the first at frame 3, row 1, column 2; f"
    ):
        read_array(saved(tmp_path / "a.npy", array))


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([0, 4000], np.uint16), (0, 4095)),
        (np.array([7, 200], np.uint16), (0, 255)),
        (np.array([-300, 500], np.int16), (-300, 500)),
        (np.array([220.0, 280.0]), (220, 280)),
        (np.array([0, 70000], np.int64), (0, 70000)),
        (np.array([0, 1], np.int64), (0, 1)),
        (np.array([0, 1], np.uint16), (0, 255)),
        (np.array([0.2, 0.7]), None),
        (np.array([0, 9], np.uint8), None),
    ],
)
def test_a_suggested_range_and_the_way_back(
    tmp_path: Path, array: NDArray[Any], expected: tuple[float, float] | None
) -> None:
    path = saved(tmp_path / "a.npy", np.repeat(array, 8).reshape(4, 2, 2))
    video = read_clips(path, value_range="auto")
    assert (video.value_range and (video.value_range.low, video.value_range.high)) == expected
    if video.value_range is None:
        assert video.clips.dtype == (torch.uint8 if array.dtype == np.uint8 else torch.float32)
        return
    assert 0 <= video.clips.min() < video.clips.max() <= 1
    again = video.value_range.from_unit(video.clips)
    np.testing.assert_allclose(again.flatten().numpy(), np.repeat(array, 8), rtol=1e-5)
    assert any("scaled to [0, 1]" in note for note in video.notes)
    frames = torch.stack(list(open_frames(path, value_range="auto").frames))
    assert torch.equal(frames, video.clips[0])


def test_a_stated_range_scales_and_clamps(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npy", np.array([-40.0, -32, 14, 60]).reshape(4, 1, 1))
    clips = read_clips(path, value_range=ValueRange(-32, 60)).clips
    assert clips.flatten().tolist() == pytest.approx([0, 0, 0.5, 1])


def test_little_use_of_the_range_is_noted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    twelve_bits = saved(tmp_path / "a.npy", rng.integers(0, 4096, (4, 6, 6), dtype=np.uint16))
    assert any("uses only the values" in note for note in read_clips(twelve_bits).notes)
    assert not any("uses only" in note for note in read_clips(twelve_bits, value_range="auto").notes)
    full = saved(tmp_path / "b.npy", rng.integers(0, 65536, (4, 6, 6), dtype=np.uint16))
    assert read_clips(full).notes == ()


def test_an_array_too_large_for_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    shape = (3000, 1000, 1000)
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + 3000 * 1000 * 1000)  # takes no space on the disk
    with pytest.raises(MediaError, match=r"takes 2\.8 GiB of memory but at most 2 GiB are read at once; read only its"):
        read_array(tmp_path / "a.npy")
    assert read_array(tmp_path / "a.npy", last=2)[0].shape == (1, 2, 1, 1000, 1000)


def test_a_giant_npz_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (9999, 999, 999)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("frames.npy", header.getvalue())
    with pytest.raises(MediaError, match=r"takes .* GiB of memory but at most"):
        read_array(tmp_path / "a.npz")


def test_npz_that_zipfile_cannot_unpack(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, frames=np.zeros((2, 3, 3), np.uint8))
    whole = path.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    for offset, value in ((6, 1), (8, 99)):  # in the local header: flags (encrypted), compression method
        content = bytearray(whole)
        content[offset : offset + 2] = value.to_bytes(2, "little")
        content[directory + offset + 2 : directory + offset + 4] = value.to_bytes(2, "little")
        path.write_bytes(content)
        with pytest.raises(MediaError, match="is damaged or is not an array of numbers"):
            read_array(path)


@pytest.mark.parametrize("dtype", ["c8", "M8[s]", [("x", "f4"), ("y", "f4")], "S3"])
def test_values_that_are_no_numbers(tmp_path: Path, dtype: Any) -> None:
    with pytest.raises(ClipError, match=r"save numbers: uint8, uint16 or floats"):
        read_array(saved(tmp_path / "a.npy", np.zeros((2, 3, 3), dtype)))


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
        with pytest.raises(MediaError, match="is damaged or is not an array of numbers"):
            read_array(path)


def test_damage_inside_npz_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, np.random.default_rng(0).integers(0, 256, (9, 30, 30), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[3000:3100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(MediaError, match="is damaged or is not an array of numbers"):
        read_array(path)


class _Cycle:
    """Garbage that runs Python, and so lets other threads run, wherever it is collected."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(1e-5)


def test_sound_files_are_read_by_several_threads(tmp_path: Path, thorough_switching: None) -> None:
    array = np.zeros((3, 4, 5), np.uint8)
    np.save(tmp_path / "one.npy", array)
    np.savez(tmp_path / "one.npz", array)

    def read(number: int) -> tuple[int, ...]:
        _Cycle()
        return open_array(tmp_path / ("one.npz" if number % 4 == 0 else "one.npy")).shape

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(read, range(5000))) == {(1, 3, 1, 4, 5)}


@pytest.fixture
def thorough_switching() -> Iterator[None]:
    """Switch threads and collect garbage as often as possible."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(20)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)
