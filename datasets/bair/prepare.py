"""Convert BAIR robot pushing as distributed to array files: python prepare.py softmotion30_44k FOLDER.

TFRecord files are read without TensorFlow: each record is a protocol buffer of the type Example, which maps names to
lists of bytes or numbers.
"""

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CAMERA = "image_aux1"  # the one of the two cameras that published results use
FRAMES = 30
LENGTH_DELIMITED, VARINT, EIGHT_BYTES, FOUR_BYTES = 2, 0, 1, 5


def prepare(source: Path, folder: Path) -> None:
    """Write one array (n, 30, 64, 64, 3), uint8, for each TFRecord file."""
    files = sorted(source.glob("*/*.tfrecords"))
    if not files:
        sys.exit(f"{source} holds no train/*.tfrecords and test/*.tfrecords; give the folder softmotion30_44k.")
    for file in files:
        target = folder / file.parent.name / f"{file.stem}.npy"
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, np.stack([video(record) for record in records(file)]))


def video(example: bytes) -> np.ndarray:
    """Return the frames (t, h, w, c) of one trajectory."""
    features = dict(map(entry, entries(example)))
    frames = [features[f"{time}/{CAMERA}/encoded"] for time in range(FRAMES)]
    return np.stack([np.frombuffer(frame, np.uint8).reshape(64, 64, 3) for frame in frames])


def records(file: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file; a length and its checksum precede each, a checksum follows."""
    with file.open("rb") as stream:
        while header := stream.read(12):
            yield stream.read(struct.unpack("<Q", header[:8])[0])
            stream.read(4)


def entries(example: bytes) -> Iterator[bytes]:
    """Yield the entries of an Example's mapping: the fields 1 of its field 1."""
    return (entry for features in fields(example, 1) for entry in fields(features, 1))


def entry(message: bytes) -> tuple[str, bytes]:
    """Return the name and the first bytes of an entry; entries of numbers give no bytes."""
    (name,), (feature,) = fields(message, 1), fields(message, 2)
    values = [value for held in fields(feature, 1) for value in fields(held, 1)]
    return name.decode(), values[0] if values else b""


def fields(message: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the length-delimited fields with this number in a protocol buffer message."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        number, kind = key >> 3, key & 7
        size = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(kind, 0)
        if kind in (LENGTH_DELIMITED, VARINT):
            value, at = varint(message, at)
            size = value if kind == LENGTH_DELIMITED else 0
        if number == wanted and kind == LENGTH_DELIMITED:
            yield message[at : at + size]
        at += size


def varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a number stored in base 128, least digit first, and the position after it."""
    value = shift = 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    prepare(*map(Path, sys.argv[1:]))
