"""Animated GIF and PNG are composed by the rules of their formats."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from framepred.media.pages import page_frames, read_pages, survey_pages

WIDTH, HEIGHT = 12, 9


def gif(patches: list[tuple[int, int, NDArray[np.uint8], int]], palette: NDArray[np.uint8], hidden: int) -> bytes:
    """A GIF of patches: left, top, indices of three bits ``(h, w)``, and disposal; index ``hidden`` is transparent."""
    content = b"GIF89a" + struct.pack("<HHBBB", WIDTH, HEIGHT, 0b11110010, 0, 0) + palette.tobytes()
    for left, top, indices, disposal in patches:
        height, width = indices.shape
        content += b"\x21\xf9\x04" + struct.pack("<BHBB", disposal << 2 | 1, 5, hidden, 0)
        content += b"\x2c" + struct.pack("<HHHHB", left, top, width, height, 0)
        # Without compression: a clear code before every second value keeps codes at four bits.
        codes = [code for pair in batched(indices.ravel().tolist(), 2) for code in (8, *pair)] + [9]
        bits = sum(code << 4 * number for number, code in enumerate(codes))
        packed = bits.to_bytes((4 * len(codes) + 7) // 8, "little")
        blocks = (packed[start : start + 255] for start in range(0, len(packed), 255))
        content += b"\x03" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
    return content + b";"


def batched(values: list[int], size: int) -> Iterator[list[int]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def png_chunk(name: bytes, part: bytes) -> bytes:
    return struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))


def apng(patches: list[tuple[int, int, NDArray[Any], int, int]]) -> bytes:
    """An animated PNG of RGBA patches: left, top, pixels ``(h, w, 4)``, disposal, and whether they are laid over."""
    bits = 8 * patches[0][2].itemsize
    content = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, 6, 0, 0, 0))
    content += png_chunk(b"acTL", struct.pack(">II", len(patches), 0))
    for number, (left, top, pixels, disposal, over) in enumerate(patches):
        height, width, _ = pixels.shape
        first = 2 * number - (number > 0)
        control = struct.pack(">IIIIIHHBB", first, width, height, left, top, 1, 25, disposal, over)
        rows = pixels.astype(pixels.dtype.newbyteorder(">"))
        stored = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
        content += png_chunk(b"fcTL", control)
        content += (
            png_chunk(b"IDAT", stored) if number == 0 else png_chunk(b"fdAT", struct.pack(">I", first + 1) + stored)
        )
    return b"\x89PNG\r\n\x1a\n" + content + png_chunk(b"IEND", b"")


def composed(patches: list[tuple[int, int, NDArray[np.uint8], int, int]]) -> NDArray[np.uint8]:
    """The frames on black ``(n, 3, h, w)``, where opacity is 0 or 255, by the rules of both formats.

    Disposal: 0 keeps the patch, 1 clears its place, 2 restores what was there before.
    """
    canvas, frames = np.zeros((HEIGHT, WIDTH, 4), np.uint8), []
    for left, top, pixels, disposal, over in patches:
        place = (slice(top, top + pixels.shape[0]), slice(left, left + pixels.shape[1]))
        before = canvas[place].copy()
        canvas[place] = np.where(pixels[..., 3:] > 0, pixels, before) if over else pixels
        frames.append(np.where(canvas[..., 3:] > 0, canvas[..., :3], 0).transpose(2, 0, 1))
        canvas[place] = {0: canvas[place], 1: np.zeros_like(before), 2: before}[disposal]
    return np.stack(frames)


def random_place(rng: np.random.Generator, number: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of a patch; the first covers all."""
    if number == 0:
        return 0, 0, WIDTH, HEIGHT
    left, top = int(rng.integers(0, WIDTH - 1)), int(rng.integers(0, HEIGHT - 1))
    return left, top, int(rng.integers(1, WIDTH - left + 1)), int(rng.integers(1, HEIGHT - top + 1))


@pytest.mark.parametrize("seed", range(12))
def test_every_disposal_of_gif_is_followed(tmp_path: Path, seed: int) -> None:
    rng, hidden = np.random.default_rng(seed), 3
    palette = rng.integers(0, 256, (8, 3), np.uint8)
    stored, expected = [], []
    for number in range(6):
        left, top, width, height = random_place(rng, number)
        indices, disposal = rng.integers(0, 8, (height, width), np.uint8), int(rng.choice([0, 1, 2, 3]))
        disposal = 1 if number == 0 else disposal
        stored.append((left, top, indices, disposal))
        opacity = np.where(indices == hidden, 0, 255)[..., None]
        pixels = np.concatenate([palette[indices], opacity], axis=-1).astype(np.uint8)
        expected.append((left, top, pixels, {0: 0, 1: 0, 2: 1, 3: 2}[disposal], 1))
    (tmp_path / "a.gif").write_bytes(gif(stored, palette, hidden))
    found = np.stack([frame.numpy() for frame in page_frames(tmp_path / "a.gif").frames])
    assert np.array_equal(found, composed(expected))


@pytest.mark.parametrize("seed", range(12))
def test_every_disposal_and_blend_of_animated_png_is_followed(tmp_path: Path, seed: int) -> None:
    rng, patches = np.random.default_rng(seed), []
    for number in range(6):
        left, top, width, height = random_place(rng, number)
        pixels = rng.integers(0, 256, (height, width, 4), np.uint8)
        pixels[..., 3] = 255 * rng.integers(0, 2, (height, width))
        patches.append((left, top, pixels, int(rng.integers(0, 2 if number == 0 else 3)), int(rng.integers(0, 2))))
    (tmp_path / "a.png").write_bytes(apng(patches))
    found = np.stack([frame.numpy() for frame in page_frames(tmp_path / "a.png").frames])
    assert np.array_equal(found, composed(patches))
    assert list(range(6)) == [*page_numbers(tmp_path / "a.png", found)]


def page_numbers(path: Path, frames: NDArray[np.uint8]) -> Iterator[int]:
    """Where each frame lies that is read alone."""
    pages = survey_pages(path)
    for number in range(len(pages.groups)):
        (alone,) = read_pages(pages, range(number, number + 1))
        assert np.array_equal(alone, frames[number])
        yield number


def test_half_transparent_patches_of_animated_png_are_blended(tmp_path: Path) -> None:
    red, green = np.zeros((HEIGHT, WIDTH, 4), np.uint8), np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    red[..., [0, 3]], green[..., 1], green[..., 3] = 255, 255, 128
    (tmp_path / "a.png").write_bytes(apng([(0, 0, red, 0, 0), (0, 0, green, 0, 1)]))
    second = list(page_frames(tmp_path / "a.png").frames)[1]
    assert (second[0] - 127.0).abs().max() <= 1
    assert (second[1] - 128.0).abs().max() <= 1


def test_16_bits_of_animated_png_are_scaled_and_this_is_said(tmp_path: Path) -> None:
    values = (100, 1000, 30000, 65535)
    patches = [(0, 0, np.full((HEIGHT, WIDTH, 4), [value, 0, 0, 65535], np.uint16), 0, 0) for value in values]
    (tmp_path / "a.png").write_bytes(apng(patches))
    stream = page_frames(tmp_path / "a.png")
    assert "a.png has 16 bits per channel, of which frames keep the upper 8" in " ".join(stream.notes)
    found = [int(frame[0, 0, 0]) for frame in stream.frames]
    assert all(abs(level - value / 257) <= 1 for level, value in zip(found, values, strict=True))


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_rates_above_100_are_kept(tmp_path: Path, suffix: str) -> None:
    pictures = [Image.fromarray(np.full((6, 8, 3), 40 * number, np.uint8)) for number in range(5)]
    pictures[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=pictures[1:], duration=8, lossless=True)
    assert page_frames(tmp_path / f"a{suffix}").fps == 125
