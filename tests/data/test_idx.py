import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framepred.data.digit_files import read_idx_images
from framepred.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
FILE = bytes.fromhex("00000803 00000003 0000001c 0000001c") + IMAGES.tobytes()


def test_plain_and_gzipped_files_read_alike(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(FILE)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(FILE))
    np.testing.assert_array_equal(read_idx_images(tmp_path / "plain"), IMAGES)
    np.testing.assert_array_equal(read_idx_images(tmp_path / "packed.gz"), IMAGES)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (FILE[:-1], "fewer bytes than the 3 images"),
        (FILE + b"\0", "more bytes than the 3 images"),
        (FILE[:10], "10 bytes, fewer than"),
        (b"", "0 bytes, fewer than"),
        (b"\0\0\x08\x01" + FILE[4:], "begins with 0x00000801 but IDX images with 0x00000803"),
        (FILE[:8] + bytes.fromhex("00000020 00000020") + FILE[16:], "32×32"),
        (bytes.fromhex("00000803 00000000 0000001c 0000001c"), "0 images"),
        (bytes.fromhex("00000803 ffffffff 0000001c 0000001c"), "4294967295 images"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    for path, written in ((tmp_path / "digits", content), (tmp_path / "digits.gz", gzip.compress(content))):
        path.write_bytes(written)
        with pytest.raises(DataError, match=complaint) as caught:
            read_idx_images(path)
        assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    "content", [gzip.compress(FILE)[:-100], b"no gzip at all", b"", b"\x1f\x8b\x08" + b"\xff" * 50]
)
def test_a_damaged_gzip_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "digits.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"digits\.gz"):
        read_idx_images(path)


def test_a_flipped_bit_in_a_gzip_is_found(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(FILE))
    packed[-6] ^= 1  # in the checksum
    (tmp_path / "digits.gz").write_bytes(packed)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx_images(tmp_path / "digits.gz")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("count", [4, 60_000, 1_000_000, 2**32 - 1])
def test_a_header_cannot_make_memory_grow(tmp_path: Path, count: int, packed: bool) -> None:
    """Memory is taken for the bytes that are there, not for the images that the header states."""
    content = FILE[:4] + count.to_bytes(4, "big") + FILE[8:]
    path = tmp_path / ("digits.gz" if packed else "digits")
    path.write_bytes(gzip.compress(content) if packed else content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read_idx_images(path)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_unpacks_to_more_than_its_header_states_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "digits.gz"
    path.write_bytes(gzip.compress(FILE + bytes(50_000_000), 1))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="more bytes than the 3 images"):
            read_idx_images(path)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 255)), max_size=6),
    end=st.integers(0, 3000),
    packed=st.booleans(),
)
def test_mutated_files_give_images_or_one_sentence(
    tmp_path: Path, changes: list[tuple[int, int]], end: int, packed: bool
) -> None:
    content = bytearray(gzip.compress(FILE) if packed else FILE)
    for position, value in changes:
        content[position % len(content)] = value
    path = tmp_path / ("digits.gz" if packed else "digits")
    path.write_bytes(content[:end])
    try:
        assert read_idx_images(path).shape[1:] == (28, 28)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017
