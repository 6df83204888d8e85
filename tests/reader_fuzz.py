"""Mutated files for every reader, and what reading them gives."""

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from PIL import Image
from video_zoo import write_codec

from framepred.errors import FramepredError
from framepred.media.random_access import open_reader
from framepred.media.reading import open_frames, read_clips

LIMIT_SECONDS = 20  # that reading one small file may take


class Hang(BaseException):
    """Reading took longer than ``LIMIT_SECONDS``; no ``Exception``, so that no reader takes it for a damaged file."""


_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_VIDEOS = {
    "h264.mp4": ("libx264", "yuv420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "ffv1.mkv": ("ffv1", "yuv420p"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "mpeg2.ts": ("mpeg2video", "yuv420p"),
    "mpeg2.mpg": ("mpeg2video", "yuv420p"),
    "png.mov": ("png", "rgb24"),
    "flv1.flv": ("flv", "yuv420p"),
    "wmv2.wmv": ("wmv2", "yuv420p"),
}


def seeds(folder: Path) -> dict[str, Path]:
    """One small valid source of each kind, by name."""
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (6, 12, 16), dtype=np.uint8)
    color = rng.integers(0, 256, (6, 12, 16, 3), dtype=np.uint8)
    for name, (codec, pixels) in _VIDEOS.items():
        write_codec(folder / name, codec, pixels, frames=8, size=(32, 32))
    pictures = [Image.fromarray(frame) for frame in color]
    for name, more in {
        "a.gif": {}, "a.png": {}, "a.webp": {"lossless": True}, "plain.tif": {},
        "lzw.tif": {"compression": "tiff_lzw"}, "deflate.tif": {"compression": "tiff_adobe_deflate"},
    }.items():  # fmt: skip
        pictures[0].save(folder / name, save_all=True, append_images=pictures[1:], **more)
    for suffix in (".png", ".jpg", ".bmp", ".webp", ".tif"):
        (folder / f"folder{suffix[1:]}").mkdir()
        for number in range(3):
            pictures[number].save(folder / f"folder{suffix[1:]}" / f"{number}{suffix}")
    np.save(folder / "a.npy", clip)
    np.savez(folder / "stored.npz", frames=clip, time=np.arange(6))
    np.savez_compressed(folder / "deflated.npz", frames=clip)
    _write_stores(folder, clip)
    return {path.name: path for path in sorted(folder.iterdir())}


def _write_stores(folder: Path, clip: np.ndarray) -> None:
    import h5py
    import zarr

    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("frames", data=clip, chunks=(2, 12, 16), compression="gzip")
        file["time"] = np.arange(6)
    for version in (2, 3):
        group = zarr.open_group(folder / f"v{version}.zarr", mode="w", zarr_format=version)
        group.create_array("frames", data=clip, chunks=(2, 12, 16))


def mutate(source: Path, target: Path, rng: np.random.Generator) -> None:
    """Copy a file or folder with one to four changes in one of its files."""
    files = [source] if source.is_file() else sorted(file for file in source.rglob("*") if file.is_file())
    chosen = files[int(rng.integers(len(files)))]
    for file in files:
        place = target if file == source else target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        content = bytearray(file.read_bytes())
        if file == chosen:
            for _ in range(int(rng.integers(1, 5))):
                _CHANGES[int(rng.integers(len(_CHANGES)))](content, rng)
        place.write_bytes(content)


def _position(content: bytearray, rng: np.random.Generator) -> int:
    """A position; every other time within the header."""
    end = len(content) if rng.random() < 0.5 else min(len(content), 256)
    return int(rng.integers(max(1, end)))


def _overwrite(content: bytearray, rng: np.random.Generator) -> None:
    start = _position(content, rng)
    new = rng.integers(0, 256, int(rng.integers(1, 33)), dtype=np.uint8).tobytes()
    content[start : start + len(new)] = new


def _flip(content: bytearray, rng: np.random.Generator) -> None:
    if content:
        content[_position(content, rng)] ^= 1 << int(rng.integers(8))


def _extreme(content: bytearray, rng: np.random.Generator) -> None:
    start, width = _position(content, rng), int(rng.choice([1, 2, 4, 8]))
    value = _EXTREMES[int(rng.integers(len(_EXTREMES)))] & (1 << 8 * width) - 1
    content[start : start + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")


def _cut(content: bytearray, rng: np.random.Generator) -> None:
    del content[_position(content, rng) :]


def _remove(content: bytearray, rng: np.random.Generator) -> None:
    start = _position(content, rng)
    del content[start : start + int(rng.integers(1, 65))]


def _repeat(content: bytearray, rng: np.random.Generator) -> None:
    start = _position(content, rng)
    content[start:start] = content[start : start + int(rng.integers(1, 129))]


def _digit(content: bytearray, rng: np.random.Generator) -> None:
    """Make a number in text larger, or negative."""
    places = [index for index, byte in enumerate(content[:4096]) if 48 <= byte < 58]
    if places:
        at = places[int(rng.integers(len(places)))]
        content[at : at + 1] = [b"99999999", b"-1", b"0", b"null", b"[]", b"1e99"][int(rng.integers(6))]


_CHANGES: list[Callable[[bytearray, np.random.Generator], None]] = [
    _overwrite, _flip, _extreme, _cut, _remove, _repeat, _digit,
]  # fmt: skip


def _read_all(path: Path) -> None:
    read_clips(path)


def _read_end(path: Path) -> None:
    read_clips(path, last=3, value_range="auto")


def _read_in_order(path: Path) -> None:
    for _ in open_frames(path).frames:
        pass


def _read_by_number(path: Path) -> None:
    with closing(open_reader(path)) as reader:
        for _ in reader.read(range(reader.frames - 1, -1 + reader.frames)):
            pass
        for _ in reader.read(range(0, reader.frames, 2)):
            pass


READERS: list[Callable[[Path], None]] = [_read_all, _read_end, _read_in_order, _read_by_number]


def outcome(path: Path) -> str:
    """What the readers make of a file: ``read``, ``refused``, or the first exception of another kind with its line."""
    results = set()
    for reader in READERS:
        try:
            with _limited():
                reader(path)
            results.add("read")
        except FramepredError:
            results.add("refused")
        except (Exception, Hang) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno} ({reader.__name__}): {error}"[
                :300
            ]
    return "refused" if "refused" in results else "read"


@contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> Any:
        raise Hang(f"not read in {LIMIT_SECONDS} s")

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)
