"""HDF5 files and zarr stores: arrays are found by name, and nothing in a file reaches out of it or runs code."""

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from scipy.io import netcdf_file

from framepred.errors import ClipError, MediaError
from framepred.media.arrays import open_array
from framepred.media.ranges import ValueRange
from framepred.media.reading import read_clips, read_video

CLIPS = np.arange(2 * 6 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5, 6)  # (n, h, w, t), as SEVIR has it
CLIP = CLIPS[0].transpose(2, 0, 1)


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
def test_one_of_several_arrays_is_named(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"events{suffix}", id=np.array([7, 8]), ir=CLIP, vil=CLIP[::-1])
    with pytest.raises(MediaError, match=r"name one of its arrays: ir \(6, 4, 5\), vil \(6, 4, 5\)\.$"):
        open_array(path)
    assert np.array_equal(read_video(path, array_name="vil")[:, 0].numpy(), CLIP[::-1])


def test_arrays_in_groups_are_found(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data/images/vil"] = CLIP
    assert np.array_equal(read_video(tmp_path / "a.h5")[:, 0].numpy(), CLIP)


def test_packed_netcdf_is_unpacked(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        data = file.create_dataset("reflectivity", data=np.array([[[0, 50]], [[100, 184]]], np.int16))
        data.attrs["scale_factor"], data.attrs["add_offset"], data.attrs["_FillValue"] = 0.5, -32.0, np.int16(-9)
    video = read_clips(tmp_path / "a.nc", value_range="auto")
    assert video.value_range is not None
    np.testing.assert_allclose(video.value_range.from_unit(video.clips).flatten(), [-32, -7, 18, 60], atol=1e-4)


@pytest.mark.parametrize("name", ["_FillValue", "missing_value"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_values_that_mean_nothing_measured_are_nan(tmp_path: Path, name: str, dtype: type) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        data = file.create_dataset("rain", data=np.array([[[0, 50]], [[-99, 100]]], dtype))
        data.attrs[name] = np.array(-99, dtype)
        file.create_dataset("time", data=np.arange(2))
    with pytest.raises(ClipError, match="at frame 1, row 0, column 0"):
        read_clips(tmp_path / "a.nc", value_range=ValueRange(0, 100))
    clips = read_clips(tmp_path / "a.nc", value_range=ValueRange(0, 100, filler=0)).clips
    np.testing.assert_allclose(clips.flatten(), [0, 0.5, 0, 1])


def test_a_null_data_set_is_passed_over(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["nothing"] = h5py.Empty("f4")
    with pytest.raises(MediaError, match="must hold one array of frames"):
        open_array(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["frames"] = CLIP
    assert open_array(tmp_path / "a.h5").shape == (1, 6, 1, 4, 5)


def test_hdf5_does_not_reach_other_files(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.h5", frames=CLIP)
    (tmp_path / "secret.bin").write_bytes(bytes(120))
    for kind in ("link", "storage", "virtual", "soft"):
        path = tmp_path / f"{kind}.h5"
        with h5py.File(path, "w") as file:
            if kind == "link":
                file["frames"] = h5py.ExternalLink(str(secret), "/frames")
            elif kind == "storage":
                file.create_dataset("frames", (6, 4, 5), np.uint8, external=[(str(tmp_path / "secret.bin"), 0, 120)])
            elif kind == "virtual":
                layout = h5py.VirtualLayout((6, 4, 5), np.uint8)
                layout[:] = h5py.VirtualSource(str(secret), "frames", (6, 4, 5))
                file.create_virtual_dataset("frames", layout)
            else:
                file["other"] = h5py.ExternalLink(str(secret), "/")
                file["frames"] = h5py.SoftLink("/other/frames")
        with pytest.raises(MediaError, match=r"refers to another file for .*; copy the values into the file itself"):
            read_video(path)


def test_a_zarr_store_does_not_reach_out_of_its_folder(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.zarr", frames=CLIP)
    path = write(tmp_path / "a.zarr", frames=CLIP)
    chunk = next(file for file in sorted((path / "frames").rglob("*")) if file.is_file() and "json" not in file.name)
    twin = secret / chunk.relative_to(path)
    chunk.unlink()
    chunk.symlink_to(twin)
    with pytest.raises(MediaError, match="refers to another file for frames"):
        read_video(path)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("exploded"),)  # type: ignore[return-value]


@pytest.mark.parametrize("place", ["filters", "compressor"])
def test_a_zarr_store_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.zarr"
    store = zarr.open_group(path, mode="w", zarr_format=2)
    store.create_array("frames", data=CLIP, chunks=CLIP.shape, filters=None, compressors=None)
    metadata = json.loads((path / "frames" / ".zarray").read_text())
    codec = {"id": "pickle", "protocol": 5}
    metadata[place] = [codec] if place == "filters" else codec
    (path / "frames" / ".zarray").write_text(json.dumps(metadata))
    (path / "frames" / "0.0.0").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(MediaError):
        read_video(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("suffix", [".h5", ".zarr"])
def test_false_sizes_take_no_memory(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    shape = (4, 60_000, 60_000)
    if suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("frames", shape, np.uint8, chunks=(1, 100, 100))
    else:
        zarr.open_group(path, mode="w").create_array("frames", shape=shape, dtype="u1", chunks=(1, 100, 100))
    with pytest.raises(MediaError, match="frames of 60000×60000 pixels but at most 67 million are read"):
        read_video(path)


def test_a_chunk_of_false_size_takes_no_memory(tmp_path: Path) -> None:
    store = zarr.open_group(tmp_path / "a.zarr", mode="w")
    store.create_array("frames", shape=(4, 9, 9), dtype="u1", chunks=(9999, 999, 999))
    with pytest.raises(MediaError, match="GiB of memory but at most"):
        read_video(tmp_path / "a.zarr")


def write_netcdf(path: Path, data: np.ndarray, **attributes: object) -> Path:
    """One variable of NetCDF-4, which is HDF5, or with the suffix .nc3.nc of NetCDF-3."""
    if path.name.endswith(".nc3.nc"):
        with netcdf_file(path, "w") as file:
            for axis, length in zip("tyx", data.shape, strict=True):
                file.createDimension(axis, length)
            variable = file.createVariable("rain", data.dtype, ("t", "y", "x"))
            variable[:] = data
            for name, value in attributes.items():
                setattr(variable, name, value)
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("rain", data=data).attrs.update(attributes)
    return path


MISSING = {
    "one filler": {"_FillValue": np.float32(-9)},
    "several fillers": {"missing_value": np.array([-9, -8], np.float32)},
    "a valid range": {"valid_range": np.array([0, 1], np.float32)},
    "a lowest value": {"valid_min": np.float32(0)},
}


@pytest.mark.parametrize("name", ["a.nc", "a.nc3.nc"])
@pytest.mark.parametrize("attributes", MISSING.values(), ids=MISSING.keys())
def test_what_netcdf_calls_missing_is_nan(tmp_path: Path, name: str, attributes: dict[str, object]) -> None:
    data = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 2, 3)
    data[1] = -9
    path = write_netcdf(tmp_path / name, data, **attributes)
    found = open_array(path)[:][0, :, 0]
    assert np.isnan(found[1]).all()
    assert np.array_equal(found[[0, 2, 3]], data[[0, 2, 3]])
    filled = read_video(path, value_range=ValueRange(0, 1, filler=0.5))
    assert filled[1].unique().tolist() == [0.5]


def test_netcdf_marks_unsigned_bytes(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "a.nc", CLIP.view(np.int8) + np.int8(-100), _Unsigned="true")
    assert np.array_equal(read_video(path)[:, 0].numpy(), CLIP.astype(np.uint8) + np.uint8(156))


@pytest.mark.parametrize("name", ["vil", "images/vil", "/data/images/vil"])
def test_an_array_in_a_group_is_named_by_its_end_or_its_path(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data/images/vil"], file["data/images/ir"] = CLIP, CLIP[::-1]
    if name == "images/vil":
        with pytest.raises(MediaError, match="holds no array named images/vil"):
            read_video(tmp_path / "a.h5", array_name=name)
    else:
        assert np.array_equal(read_video(tmp_path / "a.h5", array_name=name)[:, 0].numpy(), CLIP)


@pytest.mark.parametrize("valid", [None, (0, -2)])
def test_attributes_of_unsigned_values_are_unsigned(tmp_path: Path, valid: tuple[int, int] | None) -> None:
    """Radar files store unsigned bytes as signed ones; then -1 stands for 255, which was not measured."""
    stored = np.full((3, 4, 5), 100, np.uint8)
    stored[:, 0], stored[:, 1] = 255, 254
    with h5py.File(tmp_path / "a.nc", "w") as file:
        data = file.create_dataset("dbz", data=stored.view(np.int8))
        attributes = {"_Unsigned": "true", "_FillValue": np.int8(-1), "scale_factor": 0.5, "add_offset": -32.0}
        data.attrs.update(attributes)
        if valid is not None:
            data.attrs["valid_range"] = np.array(valid, np.int8)
    clips = read_clips(tmp_path / "a.nc", value_range=ValueRange(-32, 95.5, filler=-32)).clips
    found = -32 + 127.5 * clips[0, 0, 0, :3, 0]
    np.testing.assert_allclose(found, [-32, 95, 18], atol=1e-4)


@pytest.mark.parametrize("filler", [-9999.9, 1e20])
def test_a_fill_value_is_rounded_as_the_values_are(tmp_path: Path, filler: float) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        data = file.create_dataset("rain", data=np.array([[[0, filler]], [[50, 100]]], np.float32))
        data.attrs["missing_value"] = np.float64(filler)
    clips = read_clips(tmp_path / "a.nc", value_range=ValueRange(0, 100, filler=0)).clips
    np.testing.assert_allclose(clips.flatten(), [0, 0, 0.5, 1])


UNWRITTEN = {
    "i2": -32767, "i4": -2147483647, "i8": -9223372036854775806, "u2": 65535, "u4": 4294967295,
    "u8": 18446744073709551614, "f4": 9.969209968386869e36, "f8": 9.969209968386869e36,
}  # fmt: skip
"""The default fill values of ``netcdf.h``."""


def partly_written(path: Path, dtype: str, kind: str, compression: str | None = None, **attributes: object) -> Path:
    """Three scans of which the library of NetCDF, or HDF5, filled the second."""
    filler, shape = UNWRITTEN.get(dtype, -127), (3, 4, 5)
    values = np.full(shape, 50, dtype)
    values[1] = np.array(filler).astype(dtype)
    if kind == "NetCDF-3":
        with netcdf_file(path, "w") as file:
            for name, length in zip("tyx", shape, strict=True):
                file.createDimension(name, length)
            data = file.createVariable("v", values.dtype, tuple("tyx"))
            data[:] = values
            vars(data)["_attributes"].update(attributes)
        return path
    never = kind == "filled by nobody"
    with h5py.File(path, "w") as file:
        fill = {"fillvalue": values[1, 0, 0], "fill_time": "never" if never else "ifset"}
        data = file.create_dataset("v", data=values, chunks=(1, 4, 5), compression=compression, **fill)
        data.attrs.update(attributes)
        if kind == "named dimensions":
            for axis, (name, length) in enumerate(zip("tyx", shape, strict=True)):
                file[name] = np.arange(length)
                file[name].make_scale(name)
                data.dims[axis].attach_scale(file[name])
        elif kind != "plain HDF5":
            file.attrs["_NCProperties"] = "version=2,netcdf=4.9.2,hdf5=1.14.3"
    return path


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *(("NetCDF-3", dtype) for dtype in ("i2", "i4", "f4", "f8")),  # it has no wider integers, and no unsigned ones
        *((kind, dtype) for kind in ("named dimensions", "NetCDF-4") for dtype in UNWRITTEN),
    ],
)
def test_what_nobody_wrote_into_netcdf_is_missing(tmp_path: Path, kind: str, dtype: str) -> None:
    path = partly_written(tmp_path / "a.nc", dtype, kind)
    array = open_array(path, "thw")[:][0, :, 0]
    assert np.isnan(array[1]).all()
    assert (array[[0, 2]] == 50).all()
    assert array.dtype == np.promote_types(dtype, np.float32)  # which holds all numbers of the type, up to 2**53
    clips = read_clips(path, layout="thw", value_range=ValueRange(0, 100, filler=0)).clips
    assert clips[0, :, 0, 0, 0].tolist() == [0.5, 0, 0.5]


@pytest.mark.parametrize(
    ("dtype", "kind", "attributes"),
    [
        ("f4", "plain HDF5", {}),
        ("i2", "plain HDF5", {}),
        ("f4", "filled by nobody", {}),
        ("f8", "NetCDF-4", {"_FillValue": -1.0}),
        ("u2", "NetCDF-4", {"_FillValue": np.uint16(3)}),
        ("i1", "NetCDF-4", {}),
        ("i1", "NetCDF-4", {"_Unsigned": "true"}),
    ],
)
def test_what_was_written_is_a_value(tmp_path: Path, dtype: str, kind: str, attributes: dict[str, object]) -> None:
    """In plain HDF5, where filling was turned off, where another fill value is stated, and in bytes."""
    array = open_array(partly_written(tmp_path / "a.nc", dtype, kind, **attributes), "thw")[:]
    assert not np.isnan(array).any()
    assert np.unique(array).size == 2


@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", "f8"])
def test_whole_numbers_of_netcdf_stay_integers_where_all_were_written(tmp_path: Path, dtype: str) -> None:
    clip = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(dtype)
    named(tmp_path / "4.nc", clip, ("time", "y", "x"))
    assert open_array(tmp_path / "4.nc")[:].dtype == dtype


@pytest.mark.parametrize("kind", ["NetCDF-3", "NetCDF-4", "named dimensions"])
def test_parts_of_whole_numbers_are_floats_only_where_some_are_missing(tmp_path: Path, kind: str) -> None:
    array = open_array(partly_written(tmp_path / "a.nc", "i4", kind), "thw")
    assert [array[:, time : time + 1].dtype.kind for time in range(3)] == ["i", "f", "i"]
    assert array.dtype.kind == "i"


def test_only_the_wanted_part_of_whole_numbers_is_read(tmp_path: Path) -> None:
    """The first frames are damaged, which nobody finds who reads the last ones."""
    path = partly_written(tmp_path / "a.nc", "i2", "NetCDF-4", compression="gzip")
    with h5py.File(path, "r+") as file:
        file["v"].id.write_direct_chunk((0, 0, 0), b"damaged")
    array = open_array(path, "thw")
    assert (array[:, 2:] == 50).all()
    with pytest.raises(MediaError, match="damaged"):
        array[:, :1]


@pytest.mark.parametrize("shape", [(0, 4, 5), (3, 0, 5), (3, 4, 0)])
@pytest.mark.parametrize("chunks", [(1, 4, 5), None])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_netcdf_without_frames_is_no_damaged_file(
    tmp_path: Path, shape: tuple[int, ...], chunks: tuple[int, ...] | None, dtype: str
) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.attrs["_NCProperties"] = "version=2,netcdf=4.9.2,hdf5=1.14.3"
        file.create_dataset("v", shape, dtype, chunks=chunks, maxshape=(None, None, None) if chunks else None)
    with pytest.raises(ClipError, match=r"a\.nc holds no frames: its shape is"):
        open_array(tmp_path / "a.nc")


def test_unsigned_and_packed_fill_values_are_missing(tmp_path: Path) -> None:
    path = partly_written(tmp_path / "a.nc", "i2", "NetCDF-4", _Unsigned="true", scale_factor=0.5)
    array = open_array(path, "thw")[:][0, :, 0]
    assert np.isnan(array[1]).all()
    assert (array[[0, 2]] == 25).all()


def named(path: Path, clip: np.ndarray, names: tuple[str, ...]) -> None:
    """A file whose axes have names: NetCDF-4 as netCDF4 writes it, NetCDF-3 or zarr."""
    if path.suffix == ".zarr":
        zarr.create_array(path, data=clip, dimension_names=names)
    elif path.name == "3.nc":
        with netcdf_file(path, "w") as file:
            for name, length in zip(names, clip.shape, strict=True):
                file.createDimension(name, length)
            file.createVariable("v", clip.dtype, names)[:] = clip
    else:
        with h5py.File(path, "w") as file:
            file["v"] = clip
            for axis, (name, length) in enumerate(zip(names, clip.shape, strict=True)):
                file[name] = np.arange(length)
                file[name].make_scale(name)
                file["v"].dims[axis].attach_scale(file[name])


@pytest.mark.parametrize("name", ["4.nc", "3.nc", "a.zarr"])
@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("time", "y", "x"), "thw"),
        (("lat", "lon", "time"), "hwt"),
        (("x", "Y", "T"), "wht"),
        (("row", "col", "frame"), "hwt"),
        (("y", "x", "scan"), "hwt"),
        (("scan", "lon", "lat"), "twh"),
        (("time", "x", "azimuth"), "twh"),
    ],
)
def test_axes_are_found_by_their_names(tmp_path: Path, name: str, names: tuple[str, ...], order: str) -> None:
    clip = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6) / 200
    named(tmp_path / name, clip.transpose(["thw".index(axis) for axis in order]), names)
    assert np.array_equal(read_video(tmp_path / name)[:, 0].numpy(), clip)
    stated = read_video(tmp_path / name, layout="thw")[:, 0].numpy()
    assert stated.shape == clip.transpose(["thw".index(axis) for axis in order]).shape


def test_axes_and_fill_value_of_zarr_2_are_read_as_xarray_writes_them(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 200, (5, 6, 4)).astype(np.int16)
    values[0, 0] = -999
    names = {"_ARRAY_DIMENSIONS": ["lat", "lon", "time"], "scale_factor": 0.1, "add_offset": 0.0}
    data = zarr.create_array(
        tmp_path / "a.zarr", shape=values.shape, dtype="i2", fill_value=-999, zarr_format=2, attributes=names
    )
    data[:] = values
    found = read_clips(tmp_path / "a.zarr", value_range=ValueRange(0, 20, filler=10)).clips[0, :, 0].numpy()
    expected = np.where(values == -999, 10, values * 0.1).transpose(2, 0, 1) / 20
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_known_axes_in_another_order_than_expected_are_not_guessed(tmp_path: Path) -> None:
    named(tmp_path / "a.nc", np.zeros((4, 3, 5, 6), np.float32), ("y", "one", "other", "x"))
    with pytest.raises(ClipError, match="names its axes y, one, other, x, so that their order is not certain"):
        read_video(tmp_path / "a.nc")


def test_an_axis_of_time_where_none_is_expected_is_not_guessed(tmp_path: Path) -> None:
    named(tmp_path / "a.nc", np.zeros((4, 5, 6), np.float32), ("range", "azimuth", "time"))
    with pytest.raises(ClipError, match="names its axes range, azimuth, time, so that their order is not certain"):
        read_video(tmp_path / "a.nc")
    assert len(read_video(tmp_path / "a.nc", layout="hwt")) == 6
    named(tmp_path / "b.nc", np.zeros((4, 5, 6), np.float32), ("time", "azimuth", "range"))
    assert len(read_video(tmp_path / "b.nc")) == 4
