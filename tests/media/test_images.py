import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import Base
from torch import Tensor

from framepred.errors import ClipError, MediaError
from framepred.media.images import encode_png, folder_frames, read_image, survey_pictures
from framepred.media.ranges import ValueRange
from framepred.media.reading import open_frames


def random_frame(*shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    white = 255 if dtype == torch.uint8 else 65535
    return torch.from_numpy(np.random.default_rng(0).integers(0, white + 1, shape)).to(torch.int32).to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_exact(tmp_path: Path, dtype: torch.dtype, channels: int) -> None:
    frame = random_frame(channels, 5, 7, dtype=dtype)
    (tmp_path / "a.png").write_bytes(encode_png(frame))
    again = read_image(tmp_path / "a.png")
    assert again.dtype == dtype
    assert torch.equal(again, frame)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".bmp", ".webp"])
@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P"])
def test_pillow_modes(tmp_path: Path, suffix: str, mode: str) -> None:
    image = Image.fromarray(random_frame(9, 11, 3).numpy()).convert(mode)
    image.save(tmp_path / f"a{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    if suffix == ".webp":
        image = Image.open(tmp_path / "a.webp")  # WebP has no gray
    expected = np.asarray(image.convert("L" if image.mode in "L1" else "RGB")).reshape(9, 11, -1)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}").permute(1, 2, 0), expected)


@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 3), ("LA", 1)])
def test_transparency_is_laid_on_black(tmp_path: Path, mode: str, channels: int) -> None:
    image = Image.new(mode, (2, 1), (90,) * channels + (255,))
    image.putpixel((1, 0), (90,) * channels + (0,))
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[90, 0]]] * channels


def test_a_transparent_palette_is_laid_on_black(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    assert read_image(tmp_path / "a.png").tolist() == [[[0, 40]], [[0, 50]], [[0, 60]]]


def test_a_float_tiff_keeps_its_values(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 0.3, 1]], np.float32)).save(tmp_path / "a.tif")
    assert torch.equal(read_image(tmp_path / "a.tif"), torch.tensor([[[0, 0.3, 1]]]))
    Image.fromarray(np.array([[0, 7]], np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ClipError, match=r"floats from 0 to 7 but without a stated range they must lie in"):
        read_image(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif", ValueRange(0, 14)).flatten().tolist() == [0, 0.5]


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 8), "black")
    image.paste("white", (0, 0, 8, 8))  # the left half
    orientation = Image.Exif()
    orientation[0x0112] = 6  # to be turned clockwise, so that left becomes top
    image.save(tmp_path / "a.jpg", exif=orientation, quality=95)
    frame = read_image(tmp_path / "a.jpg")
    assert frame.shape == (3, 16, 8)
    assert frame[:, :7].min() > 240
    assert frame[:, 9:].max() < 15


def png(pixels: NDArray[Any], kind: int, transparent: bytes = b"") -> bytes:
    """A PNG file of pixels ``(h, w, c)``: gray (kind 0) or RGB (2), or these with opacity (4, 6)."""
    height, width, _ = pixels.shape
    bits, rows = 8 * pixels.itemsize, pixels.astype(pixels.dtype.newbyteorder(">"))
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0),
        **({b"tRNS": transparent} if transparent else {}),
        b"IDAT": zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts.items())


def chunk(name: bytes, part: bytes) -> bytes:
    """A part of a PNG file."""
    return struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_opacity_and_transparent_colours_of_png_are_laid_on_black(tmp_path: Path, dtype: str, channels: int) -> None:
    white = int(np.iinfo(dtype).max)
    pixels = np.random.default_rng(0).integers(1, white, (6, 9, channels + 1), dtype=dtype)
    colours, opacity = pixels[..., :-1].astype(np.uint64), pixels[..., -1:].astype(np.uint64)
    (tmp_path / "a.png").write_bytes(png(pixels, 4 if channels == 1 else 6))
    expected = ((colours * opacity + white // 2) // white).astype(dtype).transpose(2, 0, 1)
    assert np.array_equal(read_image(tmp_path / "a.png").numpy(), expected)
    assert survey_pictures(tmp_path) == channels

    key = pixels[0, 0, :-1]
    (tmp_path / "a.png").write_bytes(png(pixels[..., :-1], 0 if channels == 1 else 2, key.astype(">u2").tobytes()))
    expected = np.where((colours == key).all(axis=-1, keepdims=True), 0, colours).astype(dtype).transpose(2, 0, 1)
    assert np.array_equal(read_image(tmp_path / "a.png").numpy(), expected)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_transparent_gray_of_few_bits_is_laid_on_black(tmp_path: Path, bits: int) -> None:
    levels = np.arange(2**bits, dtype=np.uint8)
    row = np.packbits(np.unpackbits(levels[:, None], axis=1)[:, -bits:].ravel())
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", len(levels), 1, bits, 0, 0, 0, 0),
        b"tRNS": struct.pack(">H", levels[-1]),
        b"IDAT": zlib.compress(b"\0" + row.tobytes()),
        b"IEND": b"",
    }
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts.items()))
    expected = (levels[:-1].astype(int) * 255 // levels[-1]).tolist()
    assert read_image(tmp_path / "a.png").flatten().tolist() == [*expected, 0]
    assert "not opaque" in " ".join(open_frames(tmp_path).notes)


@pytest.mark.parametrize("white", [100, 255, 1023, 4095, 65535])
@pytest.mark.parametrize(("suffix", "magic", "channels"), [(".pgm", b"P5", 1), (".ppm", b"P6", 3)])
def test_the_largest_value_of_netpbm_is_white(
    tmp_path: Path, suffix: str, magic: bytes, channels: int, white: int
) -> None:
    values = np.random.default_rng(0).integers(0, white + 1, (6, 9, channels))
    stored = values.astype(np.uint8 if white < 256 else ">u2").tobytes()
    (tmp_path / f"a{suffix}").write_bytes(magic + f"\n9 6\n{white}\n".encode() + stored)
    found = read_image(tmp_path / f"a{suffix}")
    largest = 255 if white < 256 else 65535
    assert found.dtype == (torch.uint8 if white < 256 else torch.uint16)
    assert np.array_equal(found.numpy(), np.rint(values * largest / white).transpose(2, 0, 1))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_every_orientation_is_turned_upright(tmp_path: Path, suffix: str, channels: int, dtype: torch.dtype) -> None:
    frame = random_frame(channels, 6, 9, dtype=dtype)
    stored = frame.numpy()
    upright = [
        stored,
        stored[:, :, ::-1],
        stored[:, ::-1, ::-1],
        stored[:, ::-1],
        stored.swapaxes(1, 2),
        np.rot90(stored, -1, axes=(1, 2)),
        stored[:, ::-1, ::-1].swapaxes(1, 2),
        np.rot90(stored, 1, axes=(1, 2)),
    ]
    path = tmp_path / f"a{suffix}"
    for orientation, expected in enumerate(upright, start=1):
        path.write_bytes(oriented(frame, suffix, orientation))
        assert np.array_equal(read_image(path).numpy(), expected), orientation


def oriented(frame: Tensor, suffix: str, orientation: int) -> bytes:
    """A PNG or uncompressed TIFF file whose Exif data state an orientation."""
    if suffix == ".png":
        plain, exif = encode_png(frame), Image.Exif()
        exif[Base.Orientation] = orientation
        content = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
        return plain[:33] + chunk + plain[33:]  # after the header
    pixels = frame.permute(1, 2, 0).numpy()
    return tiff(pixels, 1 if len(frame) == 1 else 2, orientation)


def tiff(pixels: NDArray[Any], colours: int, orientation: int = 1) -> bytes:
    """An uncompressed TIFF file of pixels ``(h, w, c)``, whose tag PhotometricInterpretation is ``colours``."""
    height, width, channels = pixels.shape
    bits, content = 8 * pixels.itemsize, pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    end = 8 + 2 + 12 * 9 + 4
    depths = struct.pack(f"<{channels}H", *[bits] * channels)
    long, short = 4, 3
    tags = [
        (256, long, 1, width),
        (257, long, 1, height),
        (258, short, channels, bits if channels == 1 else end),
        (259, short, 1, 1),
        (262, short, 1, colours),
        (273, long, 1, end + len(depths)),
        (274, short, 1, orientation),
        (277, short, 1, channels),
        (279, long, 1, len(content)),
    ]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + bytes(4) + depths + content


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_in_which_zero_is_white_is_inverted(tmp_path: Path, dtype: type) -> None:
    white = np.iinfo(dtype).max
    pixels = np.array([[[0], [1], [white]]], dtype)
    for colours, expected in ((0, [white, white - 1, 0]), (1, [0, 1, white])):
        (tmp_path / "a.tif").write_bytes(tiff(pixels, colours))
        assert read_image(tmp_path / "a.tif").flatten().tolist() == expected


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_damaged_pictures_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(random_frame(32, 32, 3).numpy()).save(path)
    for content in (path.read_bytes()[: path.stat().st_size // 2], b"hello", b""):
        path.write_bytes(content)
        with pytest.raises(MediaError, match=rf"a\{suffix} is damaged or is not a \{suffix} picture"):
            read_image(path)


def test_gray_among_rgb_becomes_rgb(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(encode_png(torch.full((1, 4, 4), 9, dtype=torch.uint8)))
    (tmp_path / "2.png").write_bytes(encode_png(random_frame(3, 4, 4)))
    first, second = folder_frames(tmp_path).frames
    assert first.shape == second.shape == (3, 4, 4)
    assert (first == 9).all()


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        (random_frame(1, 4, 6), r"10\.png is 6×4 uint8 but 2\.png is 5×4 uint8; make all frames"),
        (random_frame(1, 4, 5, dtype=torch.uint16), r"10\.png is 5×4 uint16 but 2\.png is 5×4 uint8"),
    ],
)
def test_the_odd_one_out_is_named(tmp_path: Path, odd: Tensor, sentence: str) -> None:
    (tmp_path / "2.png").write_bytes(encode_png(random_frame(1, 4, 5)))
    (tmp_path / "10.png").write_bytes(encode_png(odd))
    with pytest.raises(MediaError, match=sentence):
        list(folder_frames(tmp_path).frames)


def test_a_picture_that_may_not_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", refuse)  # to the superuser no file is closed
    with pytest.raises(MediaError, match=r"a\.png may not be read; check its permissions\.$"):
        read_image(tmp_path / "a.png")


def test_a_picture_of_false_size_takes_no_memory(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[16:24] = (9000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(MediaError, match=r"frames of 9000×9000 pixels but at most 67 million are read"):
        read_image(tmp_path / "a.png")


def test_a_range_is_scaled_over_a_folder(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(np.full((4, 5), 220 + 30 * number, np.float32)).save(tmp_path / f"{number}.tif")
    stream = folder_frames(tmp_path, value_range="auto")
    assert stream.value_range == ValueRange(220, 280)
    assert [float(frame.mean()) for frame in stream.frames] == pytest.approx([0, 0.5, 1])


def test_every_suffix_of_jpeg_is_read(tmp_path: Path) -> None:
    for number, suffix in enumerate((".jpg", ".jpeg", ".jpe", ".jfif", ".JPG")):
        Image.new("L", (8, 8), 40 * number).save(tmp_path / f"{number}{suffix}", "JPEG")
    assert [float(frame.float().mean()) for frame in folder_frames(tmp_path).frames] == [0, 40, 80, 120, 160]


@pytest.mark.parametrize("opacity", [255, 100])
def test_transparency_in_a_folder_is_said(tmp_path: Path, opacity: int) -> None:
    for number in range(3):
        Image.new("RGBA", (8, 6), (200, 100, 50, opacity)).save(tmp_path / f"{number}.png")
    stream = folder_frames(tmp_path)
    assert any("not opaque" in note for note in stream.notes) == (opacity < 255)
    assert all(frame.shape == (3, 6, 8) for frame in stream.frames)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("opaque", ["RGBA", "RGB"])
def test_transparency_of_later_pictures_is_said(tmp_path: Path, suffix: str, opaque: str) -> None:
    opacities = [255, 255, 128, 128, 255]
    for number, opacity in enumerate(opacities):
        picture = Image.new("RGBA", (8, 6), (200, 100, 50, opacity))
        picture.convert("RGBA" if opacity < 255 else opaque).save(tmp_path / f"{number}{suffix}")
    assert [note.split()[0] for note in folder_frames(tmp_path).notes] == [f"2{suffix}"]
    assert folder_frames(tmp_path, last=1).notes == ()
    assert folder_frames(tmp_path, ignored=frozenset({2, 3})).notes == ()


def test_the_opacity_of_many_pictures_is_looked_at_in_some_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        Image.new("RGBA", (8, 6), (0, 0, 0, 255 if number < 8 else 9)).save(tmp_path / f"{number:02}.png")
    monkeypatch.setattr("framepred.media.images._OPACITY_CHECKS", 5)
    assert folder_frames(tmp_path).notes[0].startswith("09.png has pixels that are not opaque")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_survey_sees_pictures_as_they_are_read(tmp_path: Path, suffix: str, mode: str) -> None:
    mode = mode if suffix in (".jpg", ".tif") else "RGB"
    for orientation in range(1, 9):
        size, turned = (8, 6), Image.Exif()
        turned[Base.Orientation] = orientation
        Image.new(mode, size[:: -1 if orientation > 4 else 1]).save(tmp_path / f"{orientation}{suffix}", exif=turned)
    assert survey_pictures(tmp_path) == 3
    assert {frame.shape for frame in folder_frames(tmp_path).frames} == {(3, 6, 8)}
    turned[Base.Orientation] = 1
    Image.new(mode, (6, 8)).save(tmp_path / f"8{suffix}", exif=turned)
    with pytest.raises(MediaError, match=rf"8\{suffix} is 6×8 but 1\{suffix} is 8×6"):
        survey_pictures(tmp_path)


def test_a_damaged_picture_is_refused_where_it_is_read(tmp_path: Path) -> None:
    for number in range(4):
        Image.new("RGBA", (64, 48), (0, 0, 0, 255)).save(tmp_path / f"{number}.png")
    whole = (tmp_path / "2.png").read_bytes()
    (tmp_path / "2.png").write_bytes(whole[: len(whole) // 2])
    frames = folder_frames(tmp_path).frames
    assert len([next(frames), next(frames)]) == 2
    with pytest.raises(MediaError, match=r"2\.png"):
        next(frames)
