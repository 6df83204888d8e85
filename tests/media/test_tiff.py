"""TIFF files of every type, layout and compression, written by tifffile, read exactly."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from framepred.errors import ClipError, MediaError
from framepred.media.images import folder_frames, read_image, read_pixels, survey_pictures
from framepred.media.pages import page_frames
from framepred.media.ranges import DefaultRange, ValueRange
from framepred.media.reading import open_frames

TYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float16", "float32", "float64"]
HEIGHT, WIDTH = 20, 30


def noise(dtype: str, *shape: int) -> NDArray[Any]:
    """Values over the whole range of a type, or floats from -1 to 1."""
    rng, kind = np.random.default_rng(0), np.dtype(dtype)
    if kind.kind == "f":
        return rng.uniform(-1, 1, shape).astype(kind)
    if kind.kind == "b":
        return rng.random(shape) > 0.5
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)


def written(path: Path, values: NDArray[Any], **options: Any) -> Path:
    tifffile.imwrite(path, values, **{"photometric": "minisblack"} | options)
    return path


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"rowsperstrip": 7}], ids=str)
def test_every_type_is_read_exactly(tmp_path: Path, dtype: str, options: dict[str, Any]) -> None:
    values = noise(dtype, HEIGHT, WIDTH)
    found = read_pixels(written(tmp_path / "a.tif", values, **options))
    assert found.dtype == values.dtype
    assert np.array_equal(found[0], values)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd", "lzma", "packbits"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_compression_is_read_exactly(tmp_path: Path, dtype: str, compression: str, channels: int) -> None:
    values = noise(dtype, HEIGHT, WIDTH, channels)
    colours = {"photometric": "rgb" if channels == 3 else "minisblack", "planarconfig": "contig"}
    predictor = compression not in ("packbits", "lzma")
    stored = values[..., 0] if channels == 1 else values
    path = written(tmp_path / "a.tif", stored, compression=compression, predictor=predictor, **colours)
    assert np.array_equal(read_pixels(path), values.transpose(2, 0, 1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [2, 3, 5])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_channels_are_read_exactly(
    tmp_path: Path, dtype: str, channels: int, tile: tuple[int, int] | None, planes: str
) -> None:
    values = noise(dtype, channels, HEIGHT, WIDTH)
    stored = values if planes == "separate" else values.transpose(1, 2, 0)
    colours = "rgb" if channels == 3 else "minisblack"
    path = written(tmp_path / "a.tif", stored, photometric=colours, planarconfig=planes, tile=tile)
    assert np.array_equal(read_pixels(path), values)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_opacity_is_laid_on_black_once(tmp_path: Path, dtype: str) -> None:
    values = noise(dtype, HEIGHT, WIDTH, 4)
    white = int(np.iinfo(dtype).max)
    colours, opacity = values[..., :3].astype(np.uint64), values[..., 3:].astype(np.uint64)
    on_black = (colours * opacity + white // 2) // white
    for meaning, expected in (("unassalpha", on_black), ("assocalpha", colours), ("unspecified", colours)):
        path = written(tmp_path / f"{meaning}.tif", values, photometric="rgb", extrasamples=[meaning])
        assert np.array_equal(read_pixels(path), expected.transpose(2, 0, 1)), meaning


@pytest.mark.parametrize("name", ["unassalpha", "assocalpha"])
def test_opacity_is_said(tmp_path: Path, name: str) -> None:
    for number in range(2):
        values = noise("uint8", HEIGHT, WIDTH, 4)
        written(tmp_path / f"{number}.tif", values, photometric="rgb", extrasamples=[name])
    assert "not opaque" in " ".join(folder_frames(tmp_path).notes)


def test_other_colours_become_rgb_as_pillow_converts_them(tmp_path: Path) -> None:
    picture = Image.fromarray(noise("uint8", HEIGHT, WIDTH, 3))
    for mode in ("P", "CMYK", "YCbCr"):
        picture.convert(mode).save(tmp_path / "a.tif")
        with Image.open(tmp_path / "a.tif") as image:
            expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        assert np.array_equal(read_pixels(tmp_path / "a.tif"), expected), mode
    picture.save(tmp_path / "a.tif", compression="jpeg", quality=95)
    with Image.open(tmp_path / "a.tif") as image:
        expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    assert np.abs(read_pixels(tmp_path / "a.tif").astype(int) - expected).max() <= 1


@pytest.mark.parametrize("channels", [2, 5])
def test_folders_of_any_number_of_channels_are_clips(tmp_path: Path, channels: int) -> None:
    values = [noise("uint8", channels, HEIGHT, WIDTH) + number for number in range(3)]
    for number, picture in enumerate(values):
        written(tmp_path / f"{number}.tif", picture, planarconfig="separate")
    found = [frame.numpy() for frame in folder_frames(tmp_path).frames]
    assert np.array_equal(found, values)
    assert survey_pictures(tmp_path) == channels
    written(tmp_path / "3.tif", values[0][:1])
    with pytest.raises(MediaError, match=rf"3\.tif has 1 channel but 0\.tif has {channels}; make all frames"):
        folder_frames(tmp_path)


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32"])
def test_wide_integers_that_fit_are_16_bits(tmp_path: Path, dtype: str) -> None:
    path = written(tmp_path / "a.tif", np.array([[0, 7], [4095, 32767]], dtype))
    assert read_image(path).flatten().tolist() == [0, 7, 4095, 32767]
    assert read_pixels(path).dtype == np.uint16


@pytest.mark.parametrize("negative", [0, 2, 4])
@pytest.mark.parametrize("as_folder", [False, True])
def test_negative_values_are_refused_on_whatever_page(tmp_path: Path, negative: int, as_folder: bool) -> None:
    """Without a stated range; other pages hold 12 bits, which would be a range of their own."""
    values = np.full((5, HEIGHT, WIDTH), 4000, np.int16)
    values[negative, 0, 0] = -7
    if as_folder:
        for number, page in enumerate(values):
            written(tmp_path / f"{number}.tif", page)
    else:
        written(tmp_path / "a.tif", values)
    stream = open_frames(tmp_path if as_folder else tmp_path / "a.tif", value_range=DefaultRange())
    with pytest.raises(ClipError, match="holds int16 values, whose range is unknown; state it"):
        list(stream.frames)
    learned = DefaultRange(ValueRange(-7, 4000))
    frames = list(open_frames(tmp_path if as_folder else tmp_path / "a.tif", value_range=learned).frames)
    assert [float(frame.min()) for frame in frames] == [0.0 if number == negative else 1.0 for number in range(5)]


@pytest.mark.parametrize("kind", ["plain", "imagej", "ome"])
def test_stacks_keep_values_that_pillow_cannot_read(tmp_path: Path, kind: str) -> None:
    dtype = "int16" if kind == "imagej" else "float64"
    values = noise(dtype, 4, HEIGHT, WIDTH)
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    if kind == "imagej":
        tifffile.imwrite(path, values, imagej=True, metadata={"axes": "TYX"})
    else:
        written(path, values, ome=kind == "ome", metadata={"axes": "TYX"})
    low, high = float(values.min()), float(values.max())
    frames = list(page_frames(path, value_range=ValueRange(low, high)).frames)
    expected = (values.astype(np.float64) - low) / (high - low)
    assert np.allclose(np.stack([frame.numpy()[0] for frame in frames]), expected, atol=1e-6)


def test_a_volume_in_one_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise("uint8", 16, 32, 32), volumetric=True, tile=(16, 16, 16), photometric="minisblack")
    with pytest.raises(MediaError, match="holds a volume in one page; save its depths as pages"):
        read_pixels(path)
